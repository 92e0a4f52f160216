"""What people decide about a drift monitor, before a broker is asked: tests/e2e has the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import newsieve
from tests.support.drift_scene import DriftScene


@pytest.mark.parametrize("name", ["", " ", "\udcff", "\x1b[31m", "n" * 501])
@pytest.mark.parametrize("command", ["rebaseline", "acknowledge"])
def test_who_decides_is_a_name_that_a_record_can_carry(command: str, name: str) -> None:
    """Bytes of another encoding or control characters are wrong usage, not a traceback."""
    done = newsieve("drift", command, "--filter", "uplifting", "--yes", "--by", name)

    assert done.code == 2
    assert "--by" in done.err and "printable" in done.err


def test_a_baseline_for_nobody_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no label has come and no student is here, no monitor would ever make one."""
    scene = DriftScene(monkeypatch, tmp_path, worker__filters="uplifting")
    monkeypatch.setattr(
        "newsieve.cli.drift_decisions.load_current_state", lambda *_: scene.on_record(0)
    )
    folders = {"NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(tmp_path)})}

    done = newsieve("drift", "rebaseline", "--filter", "uplifting", "--yes", env=folders)

    assert done.code == 1
    assert "no monitor to make a baseline for" in done.err and "decided" not in done.text
