"""What the tests themselves keep to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def patched_names(tree: ast.AST) -> Iterator[object]:
    """What `setattr` is given as a text: a name, or a whole path."""
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and node.func.attr == "setattr":
            yield from (item.value for item in node.args if isinstance(item, ast.Constant))


def test_no_test_patches_a_time_out() -> None:
    """Whoever waits is given its time-outs: what a test shortens is what it hands in."""
    patched = [
        f"{path.relative_to(TESTS)}: {name}"
        for path in TESTS.rglob("*.py")
        for name in patched_names(ast.parse(path.read_text(encoding="utf-8")))
        if str(name).endswith("_SECONDS")
    ]

    assert patched == []
