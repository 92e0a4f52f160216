"""What a command for alerts is given: the alert, and nothing that is ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from newsieve.cli import drift_tail

LOOK = """
import os, pathlib, sys
names = [name for name in os.environ if name.startswith("NEWSIEVE_")]
pathlib.Path("seen").write_bytes(f"{sys.argv[1:]} {names} ".encode() + sys.stdin.buffer.read())
"""


def test_a_command_gets_the_alert_and_nothing_of_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are secrets among them; and an alert has words that others wrote."""
    monkeypatch.setenv("NEWSIEVE_ORACLE__API_KEY", "sk-secret")
    monkeypatch.chdir(tmp_path)
    alert = b'{"headline": "$(touch ran); `touch ran`"}'

    assert drift_tail._run([sys.executable, "-c", LOOK, "one"], alert) is None

    assert (tmp_path / "seen").read_bytes() == b"['one'] [] " + alert
    assert not (tmp_path / "ran").exists()


def test_a_command_is_no_line_of_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are words, whatever a shell would make of them."""
    monkeypatch.chdir(tmp_path)

    words = drift_tail._words(f"{sys.executable} -c '' a; touch ran $(touch ran) > ran")

    assert words[3:] == ["a;", "touch", "ran", "$(touch", "ran)", ">", "ran"]
    assert drift_tail._run(words, b"") is None
    assert list(tmp_path.iterdir()) == []
