"""Filters of a user's own: begun, checked, listed, used, from wherever the settings say."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from newsieve.bootstrap import common
from newsieve.filters.registry import BUILTIN_FOLDER
from newsieve.filters.scaffold import filter_schema
from newsieve.settings.loader import load_settings
from tests.support.cli import newsieve

PATH = "NEWSIEVE_FILTERS__PATH"
Edit = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """Begins the filter `mine`; returns what replaces text in its filter.toml, once."""
    assert newsieve("filters", "new", "mine").code == 0
    path = tmp_path / "filters" / "mine" / "v1" / "filter.toml"

    def replace(old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return replace


def copy_of_uplifting(folder: Path) -> None:
    """A filter of the name and version of a built-in one, with another description."""
    target = folder / "uplifting" / "v4"
    source = BUILTIN_FOLDER / "uplifting" / "v4"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("student"))
    text = (target / "filter.toml").read_text()
    (target / "filter.toml").write_text(text.replace("whatever the tone it is told in", "MINE"))


def test_a_new_filter_is_valid_listed_and_decides_tiers() -> None:
    """As it is written, before anything in it is edited."""
    begun = newsieve("filters", "new", "mine")

    assert begun.code == 0 and "newsieve filters check mine" in begun.text
    assert "mine/v1 is valid" in newsieve("filters", "check", "mine").text
    assert "mine/v1" in newsieve("filters", "list").text
    good, other = {"relevance": 8, "substance": 7, "reach": 6}, {"relevance": 3, "substance": 7}
    lines = f"{json.dumps(good)}\n{json.dumps({**other, 'reach': 9})}\n"
    decided = newsieve("tier", "--filter", "mine", stdin=lines.encode()).rows()
    assert [(row["tier"], row["gates"]) for row in decided] == [
        ("top", []),
        ("rest", ["off_topic"]),
    ]


def test_the_rules_of_a_new_filter_read_articles(tmp_path: Path) -> None:
    """One blocks, one leads to a cap."""
    newsieve("filters", "new", "mine")
    titles = ["A sponsored post", "Opinion: why not", "A quiet day", "A law on sponsored content"]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"title": title}) for title in titles))

    done = newsieve("filters", "check", "mine", "--articles", "a.jsonl", "--json")

    rows = done.json()["rules"]
    assert [(row["rule"], row["meets"], row["blocks"]) for row in rows] == [
        ("advertisement", 0.25, 0.25),
        ("opinion_page", 0.25, 0.0),
    ]


def test_nothing_that_exists_is_written_over(tmp_path: Path) -> None:
    """Neither a filter, nor a folder that holds something else, nor the name of a built-in one."""
    newsieve("filters", "new", "mine")
    file = tmp_path / "filters" / "mine" / "v1" / "filter.toml"
    file.write_text("mine alone")
    (tmp_path / "filters" / "notes" / "v1").mkdir(parents=True)

    for name, reason in (
        ("mine", "already"),
        ("notes", "exists already"),
        ("uplifting", "already"),
        ("../evil", "cannot name a filter"),
        ("No", "cannot name a filter"),
    ):
        done = newsieve("filters", "new", name)
        assert done.code == 2 and reason in done.err, name
    assert file.read_text() == "mine alone"
    assert sorted(item.name for item in (tmp_path / "filters").iterdir()) == ["mine", "notes"]


@pytest.mark.parametrize(
    ("old", "new", "place", "complaint"),
    [
        ("weight = 0.3", "weight = 0.4", "[[dim", "dimensions: the weights sum to 1.1, not 1"),
        ("published = true", "publishd = true", "publishd", "tiers.0.publishd: there is no such"),
        ("limit = 5.0", "limit = 50", "limit = 50", "caps.0.limit: Input should be less than"),
        ('"substance < 7"', '"subst < 7"', '"subst <', "caps.0.when: cap opinion_page names subst"),
        ('"score >= 4.5"', '"score => 4.5"', '"score => 4.5"', "tiers.1.when: "),
        ("'^(opinion|", "'^((opinion|", '[[rules]]\nname = "opinion', "rule opinion_page: pattern"),
        ('"opinion_page"\nw', '"opinion"\nw', 'rule = "opinion"', "caps.0.rule: a cap names the"),
        (
            '"reach"',
            '"substance"',
            '[[dimensions]]\nname = "substance"\nweight = 0.2',
            "dimensions.2: ",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_key(
    edit: Edit, old: str, new: str, place: str, complaint: str
) -> None:
    """So that a person finds it in an editor."""
    edit(old, new)
    text = Path("filters/mine/v1/filter.toml").read_text()
    line = text[: text.index(place)].count("\n") + 1

    done = newsieve("filters", "check", "mine")

    assert done.code == 2
    assert f"filters/mine/v1/filter.toml: line {line}: {complaint}" in done.err


def test_what_is_no_toml_is_said_with_its_line(edit: Edit) -> None:
    """In the parser's words."""
    edit("[[gates]]", "[[gates")

    assert "(at line 42, column " in newsieve("filters", "check", "mine").err


def test_an_invalid_filter_hides_no_other_in_the_list(edit: Edit) -> None:
    """The others are listed, the reason is said, exit 2."""
    edit("weight = 0.3", "weight = 0.4")

    done = newsieve("filters", "list", "--json")

    assert done.code == 2 and "the weights sum to 1.1" in done.err
    assert "uplifting/v4" in [row["filter"] for row in done.json()]


def test_the_schema_agrees_with_every_filter_there_is(edit: Edit) -> None:
    """Editors complete and check filter.toml with it; the template names it in its first line."""
    own = Path("filters/mine/v1")
    reference, _, file = (own / "filter.toml").read_text().partition("\n")[0].partition(" ")
    assert reference == "#:schema"
    assert json.loads((own / file).read_text()) == newsieve("filters", "schema").json()
    schema = Draft202012Validator(filter_schema())
    schema.check_schema(filter_schema())
    for path in (own / "filter.toml", *BUILTIN_FOLDER.glob("*/*/filter.toml")):
        assert list(schema.iter_errors(tomllib.loads(path.read_text()))) == [], path
    edit("published = true", "publishd = true")
    assert list(schema.iter_errors(tomllib.loads((own / "filter.toml").read_text())))


def test_of_two_filters_of_one_name_and_version_the_first_wins_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the command line as a note, in programs as a log line."""
    for name in ("first", "second"):
        copy_of_uplifting(tmp_path / name)
    environment = {PATH: "first, second"}

    done = newsieve("filters", "show", "uplifting", env=environment)

    assert "MINE" in done.text
    assert (
        "uplifting/v4 is taken from first/uplifting/v4; second/uplifting/v4 is ignored" in done.err
    )
    assert f"{BUILTIN_FOLDER}/uplifting/v4 is ignored" in done.err
    with capture_logs() as lines:
        # A command that ran before may have made the logger keep its old configuration.
        monkeypatch.setattr(common, "_log", structlog.get_logger())
        (loaded,) = common.load_filters(load_settings(None, environment))
    assert loaded.folder == Path("first/uplifting/v4")
    assert [line["event"] for line in lines] == ["filter.ignored"] * 2


def test_filters_are_found_where_the_settings_say(tmp_path: Path) -> None:
    """In the file or the environment; the built-in ones stay."""
    assert newsieve("filters", "new", "mine", env={PATH: "elsewhere"}).code == 0
    (tmp_path / "n.toml").write_text('[filters]\npath = ["elsewhere"]\n')

    listed = newsieve("filters", "list", "--config", "n.toml", "--json").json()

    assert {"mine/v1", "uplifting/v4"} <= {row["filter"] for row in listed}
    unknown = newsieve("filters", "show", "mine")
    assert unknown.code == 2
    assert "there is no filter 'mine'" in unknown.err and "looked for in filters, " in unknown.err


def test_settings_of_a_filter_of_ones_own_are_known() -> None:
    """And a misspelt one is told which was meant."""
    newsieve("filters", "new", "mine")
    folders = 'NEWSIEVE_STUDENT__FOLDERS={"%s": "/models/mine"}'
    good, bad = (dict([(folders % name).split("=", 1)]) for name in ("mine", "mime"))

    assert load_settings(None, good).student.folders == {"mine": Path("/models/mine")}
    done = newsieve("topics", "check", env=bad)
    assert done.code == 2
    assert "NEWSIEVE_STUDENT__FOLDERS: there is no filter 'mime'; did you mean mine?" in done.err
