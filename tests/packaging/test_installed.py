"""The three distributions as a user gets them: wheels, installed away from the tree.

The folder in which the commands run has packages `schemas`, `training`, `worker` and `filters` of
its own, as a user's project may have; importing one of them would be an error.
"""

from __future__ import annotations

import json
import random

import pytest

from tests.support.installation import IMPORTED_AS, ROOT, Environment, succeeded
from tests.support.labels import label_row, write_rows

ARTICLES = ROOT / "worker" / "newsieve" / "demo" / "articles.jsonl"
HEAVY = ("torch", "transformers", "tokenizers", "safetensors", "scipy", "sklearn", "peft")
WALK = """
import sys, typer
from importlib import import_module
from typer.testing import CliRunner
app = import_module(sys.argv[1]).app
def walk(command, path):
    yield path
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from walk(command.get_command(None, name), [*path, name])
for path in walk(typer.main.get_command(app), []):
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0 and "Usage:" in done.output, (path, done.output, done.exception)
    print(*path)
"""
IMPORT_ALL = """
import pkgutil, sys
from importlib import import_module
for name in sys.argv[1:]:
    package = import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
print(*sorted({module.partition(".")[0] for module in sys.modules}))
"""


def test_everything_can_be_imported_with_what_is_declared(full: Environment) -> None:
    """Every module of the three, where only what they ask for is installed."""
    loaded = succeeded(full.run("python", "-c", IMPORT_ALL, *IMPORTED_AS.values())).split()

    assert set(HEAVY) <= set(loaded)


@pytest.mark.parametrize("program", ["newsieve.cli", "newsieve_training.cli.main"])
def test_every_command_has_help(program: str, full: Environment) -> None:
    """Each of them, whichever others it stands under."""
    walked = succeeded(full.run("python", "-c", WALK, program)).splitlines()

    assert {"score", "filters list"} <= set(walked) or {"prepare", "fit"} <= set(walked)


@pytest.mark.parametrize(
    "command",
    [
        ("newsieve", "--help"),
        ("python", "-m", "newsieve", "--help"),
        ("newsieve-train", "--help"),
        ("python", "-m", "newsieve_training", "--help"),
    ],
)
def test_a_program_starts_by_its_name_and_by_its_module(
    command: tuple[str, ...], full: Environment
) -> None:
    """Also where the working folder, which `python -m` looks through first, has such packages."""
    assert "Usage:" in succeeded(full.run(*command))


def test_a_shipped_student_scores(full: Environment) -> None:
    """Scored articles come out, and are tiered again from their scores, alike."""
    articles = b"".join(ARTICLES.read_bytes().splitlines(keepends=True)[:3])

    scored = succeeded(full.run("newsieve", "score", stdin=articles))
    tiered = succeeded(full.run("newsieve", "tier", stdin=scored.encode()))

    before = [json.loads(line) for line in scored.splitlines()]
    after = [json.loads(line) for line in tiered.splitlines()]
    assert len(before) == 3
    assert [item["tier"] for item in before] == [item["tier"] for item in after]


def test_training_prepares_a_run(full: Environment) -> None:
    """With a recipe that came with the package; the run's folder is in the working folder."""
    chance = random.Random(5)
    rows = [label_row(number, chance) for number in range(40)]
    for row in rows:
        row["oracle_scores"][0]["oracle"] = "gemini-pro-api-batch"
    write_rows(full.working_folder / "labels.jsonl", rows)
    packages = next(full.folder.glob("lib/*/site-packages"))
    recipe = packages / "newsieve_training" / "recipes" / "uplifting_minilm.toml"

    run = succeeded(full.run("newsieve-train", "prepare", str(recipe), "labels.jsonl")).strip()

    assert (full.working_folder / run / "run.json").is_file()


def test_without_extras_nothing_of_torch_is_there(slim: Environment) -> None:
    """What the tests below are about is so."""
    for name in HEAVY:
        done = slim.run("python", "-c", f"import {name}")
        assert b"ModuleNotFoundError" in done.stderr, name


def test_without_extras_every_command_has_help(slim: Environment) -> None:
    """Whoever runs the oracle or the drift monitor installs no torch."""
    assert "score" in succeeded(slim.run("python", "-c", WALK, "newsieve.cli")).splitlines()


def test_without_extras_rules_are_decided(slim: Environment) -> None:
    """Filters are listed, with those that came with the package, and tiers are decided."""
    names = ("agency", "progress", "collective_benefit", "connection")
    names += ("innovation", "justice", "resilience", "wonder")
    scores = json.dumps(dict.fromkeys(names, 8.0)).encode()

    listed = succeeded(slim.run("newsieve", "filters", "list"))
    tiered = json.loads(succeeded(slim.run("newsieve", "tier", stdin=scores)))

    assert "uplifting/v4" in listed and "investment_risk/v2" in listed
    assert tiered["tier"] == "impact"


def test_without_extras_score_says_what_to_install(slim: Environment) -> None:
    """Exit 2 and one line, no traceback."""
    done = slim.run("newsieve", "score")

    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-1].endswith("pip install 'newsieve[worker]'")


def test_without_extras_doctor_reports_what_it_can(slim: Environment) -> None:
    """It says that torch is missing and what to install, and gives the rest of its report."""
    unreachable = {"NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    done = slim.run("newsieve", "doctor", "--json", env=unreachable)

    rows = {row["check"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert rows["students"]["verdict"] == "note"
    assert "is not installed: worker, score and demo need it" in rows["students"]["finding"]
    assert rows["students"]["mend"] == "pip install 'newsieve[worker]'"
    assert rows["filters"]["verdict"] == "ok" and rows["broker"]["verdict"] == "wrong"
    assert {"settings", "sampling key", "label rate"} <= set(rows)


def test_without_extras_the_contract_is_not_written(slim: Environment) -> None:
    """Exit 2 and one line that says what to install."""
    done = slim.run("python", "-m", "newsieve_schemas.export")

    assert done.returncode == 2
    assert done.stderr.decode() == "yaml is not installed: pip install 'newsieve-schemas[export]'\n"
