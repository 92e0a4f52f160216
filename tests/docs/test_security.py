"""SECURITY.md promises nothing that no test shows: every promise names its tests, which exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
HEADING = "## Promises, and the tests behind them"


def promises() -> list[tuple[str, list[str]]]:
    """The table's rows: the promise, and the tests as `file::name`, below tests/."""
    table = SECURITY.split(HEADING)[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")][2:]
    return [(promise.strip(), re.findall(r"`([^`]+)`", tests)) for promise, tests in rows]


def test_there_is_a_table_of_promises() -> None:
    """Two columns: what is promised, and the tests."""
    assert len(promises()) > 20


@pytest.mark.parametrize(("promise", "tests"), promises(), ids=lambda item: str(item)[:40])
def test_every_promise_names_tests_that_exist(promise: str, tests: list[str]) -> None:
    """By file and name; a test that was renamed is found missing here."""
    assert tests, promise
    for test in tests:
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        assert path.is_file(), f"{promise}: {file}"
        assert re.search(rf"(?m)^def {re.escape(name)}\(", path.read_text(encoding="utf-8")), (
            f"{promise}: {test}"
        )
