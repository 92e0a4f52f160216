"""What a command for alerts is given: the alert, and nothing that is ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from newsieve.cli import drift_tail
from newsieve.programs.pushing.command import CommandDeliverer
from newsieve.programs.pushing.events import DELIVERED, Attempt
from tests.support.pushing import stored

LOOK = """
import os, pathlib, sys
names = [name for name in os.environ if name.startswith("NEWSIEVE_")]
pathlib.Path("seen").write_bytes(f"{sys.argv[1:]} {names} ".encode() + sys.stdin.buffer.read())
"""


def run(words: list[str], alert: bytes) -> Attempt:
    """Run a command once, as `drift tail --exec` does."""
    command = CommandDeliverer(words, 60, drift_tail._environment(), "alert")
    return command.deliver(stored(alert))


def test_a_command_gets_the_alert_and_nothing_of_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are secrets among them; and an alert has words that others wrote."""
    monkeypatch.setenv("NEWSIEVE_ORACLE__API_KEY", "sk-secret")
    monkeypatch.chdir(tmp_path)
    alert = b'{"headline": "$(touch ran); `touch ran`"}'

    assert run([sys.executable, "-c", LOOK, "one"], alert) == DELIVERED

    assert (tmp_path / "seen").read_bytes() == b"['one'] [] " + alert
    assert not (tmp_path / "ran").exists()


def test_a_command_is_no_line_of_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are words, whatever a shell would make of them."""
    monkeypatch.chdir(tmp_path)

    words = drift_tail._words(f"{sys.executable} -c '' a; touch ran $(touch ran) > ran")

    assert words[3:] == ["a;", "touch", "ran", "$(touch", "ran)", ">", "ran"]
    assert run(words, b"") == DELIVERED
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_is_told_by_the_place_of_its_alert() -> None:
    """What went wrong, how often, and that the alert stays the next one."""
    command = CommandDeliverer(["false"], 60, {}, "alert")
    item = stored(b"{}", offset=17, partition=0)

    failed = command.deliver(item)

    assert failed == Attempt("refused", "ended with 1")
    assert command.failed(item, failed.reason) == "false ended with 1 on the alert at 0/17"
    assert str(command.given_up(item, failed.reason, 6)) == (
        "false ended with 1 6 times on the alert at 0/17, which stays the next one. Repair the "
        "command and start again"
    )
