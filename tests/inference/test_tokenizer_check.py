"""A tokenizer is tried in a process of its own: what it may cost there, and where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.inference import tokenizer_check
from newsieve.inference.student import load_student
from tests.support.workers import ROOT

GIB = 1024**3


@pytest.fixture
def folder(tiny_student: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_student, tmp_path / "student"))


def blanks(facts: dict[str, Any]) -> None:
    """What these patterns cost grows with the square of a run of blanks."""
    split = {
        "type": "Split",
        "pattern": {"Regex": r"\s+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    facts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split] * 9}


def millions(facts: dict[str, Any]) -> None:
    """Two replacements, one after the other, of what no canary has."""
    pairs = [("§", "±" * 1_000), ("±", "#" * 1_000)]
    steps = [{"type": "Replace", "pattern": {"String": old}, "content": new} for old, new in pairs]
    facts["normalizer"] = {"type": "Sequence", "normalizers": steps}


@pytest.mark.parametrize(
    ("change", "limit", "value"),
    [(blanks, "CPU_SECONDS", 1), (millions, "MEMORY_BYTES", 2**29)],
)
def test_a_tokenizer_that_costs_too_much_is_given_up(
    folder: Path,
    uplifting: Filter,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], object],
    limit: str,
    value: int,
) -> None:
    """By the kernel, which counts the seconds and the memory of a process of its own."""
    monkeypatch.setattr(tokenizer_check, limit, value)
    path = folder / "tokenizer.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))

    with pytest.raises(StudentInvalid, match="its patterns or replacements explode"):
        load_student(uplifting, folder)


@pytest.mark.parametrize(
    ("limit", "value"), [("RLIMIT_AS", 3 * GIB), ("RLIMIT_CPU", 15), ("RLIMIT_CORE", 0)]
)
def test_a_program_under_limits_of_its_own_tries_within_them(
    folder: Path, limit: str, value: int
) -> None:
    """A container's or a service manager's: nobody may raise them, nor has to."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from newsieve.inference.tokenizer_check import highest_id\n"
        f"resource.setrlimit(resource.{limit}, ({value}, {value}))\n"
        "path = Path(sys.argv[1])\n"
        "print(highest_id(path.read_bytes(), ['a'], path))\n"
    )
    command = [sys.executable, "-c", program, str(folder / "tokenizer.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.stderr == "" and int(done.stdout) > 0


@pytest.mark.parametrize(
    ("program", "complaint"), [("/nowhere/python", "No such file"), (None, "can't open file")]
)
def test_where_no_process_can_be_started_nothing_is_said_of_the_tokenizer(
    folder: Path,
    uplifting: Filter,
    monkeypatch: pytest.MonkeyPatch,
    program: str | None,
    complaint: str,
) -> None:
    """The reason is the system's, in one sentence."""
    monkeypatch.setattr(tokenizer_check, "_tried", {})
    monkeypatch.setattr(tokenizer_check, "SCRIPT", Path("/nowhere"))
    if program is not None:
        monkeypatch.setattr(sys, "executable", program)

    with pytest.raises(StudentInvalid, match=f"cannot be tried .*: .*{complaint}"):
        load_student(uplifting, folder)


def test_one_tokenizer_is_tried_once(
    folder: Path, uplifting: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many students share it."""
    load_student(uplifting, folder)
    monkeypatch.setattr(tokenizer_check, "SCRIPT", Path("/nowhere"))

    load_student(uplifting, folder)
