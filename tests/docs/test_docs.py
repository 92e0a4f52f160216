"""What the documentation says is so: the rooms, the links, and what the project never contains.

Knows no command; tests/docs/test_examples.py runs those.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT, capture_output=True, text=True, check=True,
).stdout.splitlines()  # fmt: skip
MAX_LINES = 300
MAX_METHODS = 15
MAX_FUNCTION_LINES = 50
MAX_FILE_BYTES = 20_000_000
MAX_TREE_BYTES = 60_000_000
PACKAGES = ("schemas/newsieve_schemas", "worker/newsieve", "training/newsieve_training")
PYTHON = [ROOT / name for name in TRACKED if name.startswith(PACKAGES) and name.endswith(".py")]
PAGES = [
    name
    for name in TRACKED
    if name.endswith(".md") and (name.startswith(("docs/", "deploy/")) or "/" not in name)
]


def rooms() -> set[str]:
    """Return the package folders of the three distributions."""
    return {
        name.removesuffix("__init__.py")
        for name in TRACKED
        if name.startswith(PACKAGES) and name.endswith("/__init__.py") and (ROOT / name).is_file()
    }


def test_every_room_has_one_line_in_the_architecture_page() -> None:
    """A package folder without a line there cannot be found by a stranger."""
    named = re.findall(r"(?m)^\| `([\w/]+/)` \|", ARCHITECTURE)

    assert rooms() <= set(named)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_paths_named_in_a_page_exist(page: str) -> None:
    """A file or folder of the tree in backticks is there under this name.

    The change log names what was there at its time.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    top = "schemas|worker|training|benchmarks|tests|deploy|docs"
    for name in re.findall(rf"`((?:{top})/[\w./-]*)`", text):
        assert (ROOT / name).exists(), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A relative link of a page leads to a file of the tree."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_no_class_has_more_methods_than_an_idea() -> None:
    """15, or a reason in a comment of the class."""
    for path in PYTHON:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(item, ast.FunctionDef) for item in node.body)
                of_class = "\n".join(lines[node.lineno - 3 : node.end_lineno])
                assert methods <= MAX_METHODS or "More than 15 methods" in of_class, (
                    f"{path}: {node.name} has {methods}"
                )


def test_no_function_is_longer_than_a_screen() -> None:
    """50 lines, without its parameters and its docstring."""
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                body = node.body[1:] if has_docstring else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert lines <= MAX_FUNCTION_LINES, f"{path}: {node.name} has {lines}"


def test_no_module_is_longer_than_an_idea() -> None:
    """300 lines, or a reason in the file."""
    for name in TRACKED:
        path = ROOT / name
        if name.endswith(".py") and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            assert len(lines) <= MAX_LINES or any("over 300 lines because" in x for x in lines), (
                name
            )


def test_the_project_is_small() -> None:
    """No file over 20 MB, 60 MB in all."""
    sizes = {name: (ROOT / name).stat().st_size for name in TRACKED if (ROOT / name).is_file()}

    assert max(sizes.values()) < MAX_FILE_BYTES
    assert sum(sizes.values()) < MAX_TREE_BYTES


def test_no_file_names_a_registry_or_this_machine() -> None:
    """No download addresses, no path of a developer's."""
    hosts = [
        "pypi" + ".org",
        "files.python" + "hosted",
        "repo1" + ".maven",
        "repo.maven" + ".apache",
    ]
    for name in TRACKED:
        path = ROOT / name
        if path.is_file() and path.suffix != ".safetensors":
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not any(host in text for host in hosts), name
            assert not any(
                path_of in text for path_of in ("/ho" + "me/", "/wo" + "rk/", "/ro" + "ot/")
            ), name
