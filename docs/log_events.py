"""Finds every log event that the packages write, by reading their source.

A call counts if it is a method of a logger (`_log.info(…)`, `log.warning(…)`) and its first
argument begins with `noun.verb`. Runs nothing and imports nothing of newsieve.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

LEVELS: Final = ("debug", "info", "warning", "error", "critical", "exception")
PACKAGES: Final = ("worker/newsieve", "training/newsieve_training")
EVENT: Final = re.compile(r"([a-z_]+\.[a-z_]+)\b")


class LogEvent(NamedTuple):
    """One event: its name, its level, the fields it may carry, and the folder that writes it."""

    name: str
    level: str
    fields: tuple[str, ...]
    room: str


def log_events(root: Path) -> list[LogEvent]:
    """Return the events of all packages below `root`, each once a name, level and room."""
    fields: dict[tuple[str, str, str], set[str]] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            room = f"{path.parent.relative_to(root).as_posix()}/"
            for call, level in calls(ast.parse(path.read_text(encoding="utf-8"))):
                for name in names(call.args[0]):
                    found = fields.setdefault((name, level, room), set())
                    found |= {item.arg for item in call.keywords if item.arg}
    return [
        LogEvent(name, level, tuple(sorted(given)), room)
        for (name, level, room), given in sorted(fields.items())
    ]


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Yield the calls of a logger's methods that have an event, and the level of each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute):
            level = {"exception": "error"}.get(node.func.attr, node.func.attr)
            if level in LEVELS and "log" in ast.unparse(node.func.value).lower():
                yield node, level


def names(event: ast.expr) -> Iterator[str]:
    """Yield the events that an expression may be: a string, or one of two by a condition."""
    for node in ast.walk(event):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = EVENT.match(node.value)
            if match:
                yield match[1]
