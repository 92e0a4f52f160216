"""Every docstring of the three distributions can be read by a stranger, without its place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas/newsieve_schemas", "worker/newsieve", "training/newsieve_training")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FEWEST_WORDS = 4
LEANS_ON_ITS_PLACE = re.compile(r"(Of|They|See above)\b")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def faults(source: str) -> Iterator[str]:
    """Yield the place and the fault of each docstring that nobody understands alone."""
    for node in ast.walk(ast.parse(source)):
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text is None:
            continue
        place = f"{getattr(node, 'name', 'module')}, line {getattr(node, 'lineno', 1)}: {text!r}"
        if len(text.split()) < FEWEST_WORDS:
            yield f"{place} has fewer than {FEWEST_WORDS} words"
        if LEANS_ON_ITS_PLACE.match(text):
            yield f"{place} is no sentence of its own"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_docstring_is_understood_without_the_code_around_it(path: Path) -> None:
    """It has four words at least, and does not begin with "Of", "They" or "See above"."""
    assert not list(faults(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "docstring",
    [
        "They are.",
        "Of a whole topic, in order.",
        "They are counted at once.",
        "See above for the reason.",
    ],
)
def test_the_check_sees_a_docstring_that_leans_on_its_place(docstring: str) -> None:
    """In modules, classes and functions alike."""
    text = f'"""{docstring}"""'

    assert list(faults(text))
    assert list(faults(f"class A:\n    {text}"))
    assert list(faults(f"class A:\n    def b(self):\n        {text}"))
    assert not list(faults('def b():\n    """Offers four words here."""'))
