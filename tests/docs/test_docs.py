"""What the documentation says is so: the tree, the links, and what the project never contains."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT, capture_output=True, text=True, check=True,
).stdout.splitlines()  # fmt: skip
MAX_LINES = 300
MAX_FILE_BYTES = 20_000_000
MAX_TREE_BYTES = 60_000_000
# Words of the tree that stand where modules do.
NO_MODULES = {
    f"training/newsieve_training/recipes/{word}" for word in ("TOML,", "one", "per", "student")
}


def tree() -> str:
    return README.split("## The tree")[1].split("```")[1]


def named_modules(package: str) -> set[str]:
    """Paths of the modules that the tree names for a package, without .py.

    On a line, they stand before two spaces; of a folder without lines of its own, behind them.
    """
    part = re.split(r"\n(?=\S)", tree().split(f"\n{package}/")[1])[0]
    found = {f"{package}/{name}" for name in names_of(re.findall(r"(?m)^  (\w.*)", part))}
    for folder, beside, below in re.findall(r"(?m)^  (\w+)/ +(.*)((?:\n    .*)*)", part):
        names = names_of(below.splitlines() or [beside.partition(";")[0]])
        found |= {f"{package}/{folder}/{name}" for name in names}
    return found - NO_MODULES


def names_of(lines: list[str]) -> set[str]:
    words = {word for line in lines for word in line.strip().partition("  ")[0].split()}
    return {word for word in words if not word.endswith("/")}


@pytest.mark.parametrize("package", ["schemas", "worker", "training"])
def test_the_readmes_tree_names_every_module(package: str) -> None:
    """In its folder, and nothing that is not there."""
    modules = {
        name.removesuffix(".py")
        for name in TRACKED
        if name.startswith(f"{package}/") and name.endswith(".py") and "__" not in name
    }

    assert named_modules(package) == modules


def test_links_lead_somewhere() -> None:
    """In every Markdown file of the root."""
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_files_named_in_the_readme_exist() -> None:
    """Paths in backticks."""
    for name in re.findall(r"`((?:schemas|worker|training|benchmarks)/[\w./]*)`", README):
        assert (ROOT / name).exists(), name


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
