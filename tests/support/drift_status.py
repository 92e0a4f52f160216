"""`newsieve drift status` over what a monitor has put on record, without a broker."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from newsieve.programs.drift.current_state import MonitorGroup
from tests.support.cli import Result, newsieve
from tests.support.drift import PAIRS, errors_times
from tests.support.drift_records import (
    MINUTE,
    START,
    Given,
    canaries,
    hash_of,
    label,
    scored,
    stratum_of,
    student_folder,
)
from tests.support.drift_scene import DriftScene
from tests.support.html_page import Element, read_page

AT_WORK = MonitorGroup("watchers", at_work=True, standing_by=0)
MINUTES_AGO = 4
WORSE = errors_times(2.5)


class Commands:
    """`newsieve drift status` over what a monitor has put on record."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.group = AT_WORK
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.scene = DriftScene(monkeypatch, folder / "student", worker__filters="uplifting")
        monkeypatch.setattr(
            "newsieve.cli.drift_status.load_current_state", lambda *_: self._record()
        )
        monkeypatch.setattr("newsieve.cli.drift_status.monitor_group", lambda _: self.group)

    def anew(self) -> Commands:
        """With the student as it lies there now."""
        return Commands(self._monkeypatch, self.folder)

    def _record(self) -> Any:
        return self.scene.on_record(time.time_ns() // 1_000_000 - MINUTES_AGO * MINUTE)

    def monitor(self, records: Sequence[Given]) -> None:
        """Let a monitor read these, shortly after the last one."""
        self.scene.topics.give(records)
        self.scene.now = max(record.at for record in records) + 10 * MINUTE
        self.scene.run()

    def status(self, *arguments: str) -> Result:
        folders = json.dumps({"uplifting": str(self.folder / "student")})
        env = {"NEWSIEVE_STUDENT__FOLDERS": folders, "NEWSIEVE_WORKER__FILTERS": "uplifting"}
        done = newsieve("drift", "status", *arguments, env=env)
        assert "Traceback" not in done.err
        return done

    def rows(self) -> dict[str | None, dict[str, Any]]:
        return {row["stratum"]: row for row in self.status("--json").json()}

    def page(self) -> Element:
        target = self.folder / "drift.html"
        assert self.status("--html", str(target)).code == 0
        return read_page(target.read_text(encoding="utf-8"))


def labels(commands: Commands, count: int, step: int = MINUTE, **facts: Any) -> Iterator[Given]:
    """Of healthy articles."""
    name, rng = hash_of(commands.folder / "student"), random.Random(1)
    for n in range(count):
        yield label(f"a{n}", rng.choice(PAIRS), START + n * step, name, **facts)


def drifting(commands: Commands) -> list[Given]:
    """Low ones drift, surfaced ones do not, and canaries have moved."""
    name, rng = hash_of(commands.folder / "student"), random.Random(2)
    found = []
    for n in range(300):
        pair = rng.choice(PAIRS)
        worse = WORSE(pair)
        is_low = stratum_of(pair) == stratum_of(worse) == "low"
        found.append(label(f"a{n}", worse if is_low else pair, START + n * MINUTE, name))
    return [*found, canaries(START + 300 * MINUTE, passed=False, student=name)]


def articles(commands: Commands, count: int) -> Iterator[Given]:
    """Every half a minute."""
    name = hash_of(commands.folder / "student")
    for n in range(count):
        scores = {k: min(max(v, 0.0), 10.0) for k, v in PAIRS[n % 50]["student"].items()}
        yield scored(f"s{n}", scores, START + n * MINUTE // 2, name)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    student_folder(tmp_path / "student")
    return Commands(monkeypatch, tmp_path)
