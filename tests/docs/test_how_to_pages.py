"""The tutorial, and the code in how-to pages that no command runs, do what the pages say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from newsieve import cli
from newsieve.filters.registry import BUILTIN_FOLDER, FilterRegistry
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.base import ANSWERED
from newsieve.oracle.providers.registry import ProviderSetup
from newsieve_training.cli import main as training
from newsieve_training.pipeline.recipe import Recipe
from tests.support.articles import raw_records
from tests.support.cli import newsieve

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "add-an-oracle-provider.md").read_text(encoding="utf-8")

TUTORIAL = (ROOT / "docs" / "tutorials" / "your-own-filter.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL)
    for line in block.splitlines()
]
APPS = {"newsieve": cli.app, "newsieve-train": training.app}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_tutorial_parses(line: str) -> None:
    """Its name, arguments and options are those of the program."""
    program, *arguments = line.split()
    command: Any = typer.main.get_command(APPS[program])
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command = command.get_command(None, arguments.pop(0))

    assert command.make_context(line, arguments).params


def test_the_tutorials_filter_is_written_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of its first step, as they stand, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    lines = [value for _, value in raw_records(20) if b"\n" not in value and value[:1] == b"{"]
    (tmp_path / "articles.jsonl").write_bytes(b"\n".join(lines))
    first = [line for line in COMMANDS if line.startswith("newsieve filters ")]

    done = [newsieve(*line.split()[1:]) for line in first]

    assert [result.code for result in done] == [0, 0, 0], done
    assert (tmp_path / "filters" / "local_news" / "v1" / "prompt.md").is_file()


def test_the_tutorials_recipe_is_one() -> None:
    """Every key is known, and none is missing."""
    (text,) = re.findall(r"```toml\n(.*?)```", TUTORIAL, re.DOTALL)

    assert Recipe.model_validate(tomllib.loads(text)).filter == "local_news/v1"


def test_the_provider_of_the_how_to_page_labels_an_article() -> None:
    """Its options are read, and its answer has a score for each dimension of the filter."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    page: dict[str, Any] = {}
    exec(code, page)  # noqa: S102 - the page's own code
    kind = page["KIND"]
    options = kind.read_options("words", {"words_per_point": 2})
    config = OracleConfig("words", kind.default_model, None, None)
    setup = ProviderSetup(config, None, None, False, 1.0, 100, None, options)  # noqa: FBT003
    filter_ = FilterRegistry((BUILTIN_FOLDER,)).load("uplifting")

    response = kind.make(setup).complete(Prompt(filter_, 1_000).for_article("a", "six words " * 3))

    assert response.outcome == ANSWERED
    assert response.text.count(": 3") == len(filter_.definition.dimension_names)
