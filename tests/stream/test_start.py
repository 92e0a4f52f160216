"""What a program says when it starts, and how much it says from then on."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

import newsieve as package
from newsieve.__main__ import EXIT_INTERRUPTED, is_program, main
from newsieve.cli.common import read_settings
from newsieve.stream import logs
from tests.support.cli import newsieve, newsieve_train

ROOT = Path(__file__).resolve().parents[2]
# Of the first line: Python, structlog, the package's version. All commands take some 1.0 to load.
FIRST_LINE_CPU_SECONDS = 0.7
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextmanager
def started(program: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """It finds no broker, so it goes no further than asking for one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "newsieve", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS_PER_SECOND


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU time is read from /proc")
@pytest.mark.parametrize("program", ["worker", "oracle", "drift"])
def test_a_programs_first_line_comes_before_anything_is_loaded(program: str) -> None:
    """Within a second on any machine: whoever watches must see life. It says what starts."""
    with started(program) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        spent_seconds = cpu_seconds(process.pid)

    assert (line["event"], line["program"]) == ("program.started", program)
    assert (line["version"], line["pid"]) == (package.__version__, process.pid)
    assert spent_seconds < FIRST_LINE_CPU_SECONDS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["worker"], True),
        (["drift", "--config", "x.toml"], True),
        (["oracle", "--config=x.toml"], True),
        (["worker", "--from-timestamp", "2026-11-01", "--until=2026-11-08"], True),
        (["worker", "--again", "--from-timestamp", "2026-11-01"], True),
        (["oracle", "label", "articles.jsonl"], False),
        (["drift", "--config", "x.toml", "status"], False),
        (["drift", "--config=x.toml", "status"], False),
        (["worker", "--help"], False),
        (["score", "articles.jsonl"], False),
        (["--version"], False),
        ([], False),
    ],
)
def test_only_programs_announce_themselves(arguments: list[str], expected: bool) -> None:  # noqa: FBT001 - the answer
    """A command's stderr is for people who wait for its end."""
    assert is_program(arguments) is expected


def test_a_log_level_holds_from_the_first_line_on() -> None:
    """Of a quiet program nothing is heard but what is wrong."""
    wrong = {"NEWSIEVE_KAFKA__OPTIONS": "{"}
    with started("worker", NEWSIEVE_OBSERVE__LOG_LEVEL="warning", **wrong) as process:
        _, said = process.communicate(timeout=60)

    assert said.startswith("newsieve: NEWSIEVE_KAFKA__OPTIONS: ")


@pytest.mark.parametrize("level", get_args(logs.Level))
def test_what_is_below_the_log_level_is_not_written(
    level: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of newsieve's own lines; of libraries no more than warnings are, whatever is set."""
    monkeypatch.setenv("NEWSIEVE_OBSERVE__LOG_LEVEL", level)
    read_settings(None)

    for name in logs.LEVELS:
        getattr(logs.get_logger("test"), name)("test.said", at=name)
        getattr(logging.getLogger("httpx2"), name)("a request")

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    own = [line["at"] for line in lines if line["event"] == "test.said"]
    others = [line["level"] for line in lines if line["event"] != "test.said"]
    assert own == list(logs.LEVELS[logs.LEVELS.index(level) :])  # type: ignore[arg-type]
    assert others == [name for name in own if name in ("warning", "error")]


def test_an_unknown_log_level_is_a_wrong_setting() -> None:
    """Said with those that there are."""
    result = newsieve("doctor", env={"NEWSIEVE_OBSERVE__LOG_LEVEL": "loud"})

    assert result.code == 2
    assert "NEWSIEVE_OBSERVE__LOG_LEVEL" in result.err and "'warning'" in result.err


def test_the_version_is_said_by_both_commands() -> None:
    """And nothing else is done."""
    for command, name in ((newsieve, "newsieve"), (newsieve_train, "newsieve-train")):
        result = command("--version")
        assert (result.code, result.text) == (0, f"{name} {package.__version__}\n")


def test_the_installed_command_announces_itself_too() -> None:
    """It enters where `python -m newsieve` does."""
    scripts = tomllib.loads((ROOT / "worker" / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts["newsieve"] == "newsieve.__main__:main"


class _Interrupting:
    """Stands for a module during whose loading somebody presses Ctrl-C."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_an_interrupt_while_it_loads_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells say it: 130."""
    monkeypatch.setattr(sys, "argv", ["newsieve", "topics", "check"])
    monkeypatch.setitem(sys.modules, "newsieve.cli", _Interrupting())

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == EXIT_INTERRUPTED
