"""`newsieve broker` in a process of its own; and how commands name the program in what they say."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsieve.cli import broker, common
from newsieve.devbroker.broker import Broker
from newsieve.devbroker.java_broker import ENVIRONMENT, require_java
from newsieve.errors import BrokerMissing
from tests.support.cli import newsieve
from tests.support.impatience import hurry


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, whose temporary files are in a folder of the test's."""
    try:
        require_java()
    except BrokerMissing as error:
        pytest.skip(str(error))
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "newsieve", "broker"],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_a_broker_runs_alone_until_it_is_told_to_stop(
    started: subprocess.Popen[str], tmp_path: Path
) -> None:
    """It says what to run in another terminal; nothing of it is left."""
    assert started.stdout is not None
    said = ""
    while "topics create" not in said:
        line = started.stdout.readline()
        assert line, started.communicate()[1]
        said += line
    (address,) = re.findall(rf"export {ENVIRONMENT}=(\S+)", said)
    command = shlex.split(said.splitlines()[-1])
    assert Path(command[0]).is_absolute() and Path(command[0]).is_file()
    assert "created articles.raw" in newsieve(*command[1:], env={ENVIRONMENT: address}).text
    other = newsieve("broker", env={ENVIRONMENT: address})
    assert other.code == 0 and f"configured already, and answers: {address}" in other.text

    started.send_signal(signal.SIGTERM)

    _, complaints = started.communicate(timeout=30)
    assert started.returncode == 0, complaints
    assert "nothing of the broker is left" in complaints and "Traceback" not in complaints
    assert list((tmp_path / "temporary").iterdir()) == []
    host, _, port = address.partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_a_broker_that_is_interrupted_while_it_starts_leaves_nothing(
    started: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Whatever it is waiting for."""
    assert started.stderr is not None
    assert "starting" in started.stderr.readline()

    started.send_signal(signal.SIGINT)

    shown, complaints = started.communicate(timeout=30)
    assert started.returncode == 0, complaints
    assert shown == "" and "Traceback" not in complaints
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_broker_that_ends_by_itself_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is to wait beside a broker that has gone."""

    @contextmanager
    def gone(*_: object) -> Iterator[Broker]:
        yield Broker("127.0.0.1:1", "a test's", ends_with_us=True, is_alive=lambda: False)

    monkeypatch.setattr(broker, "find_or_start", gone)

    done = newsieve("broker")

    assert done.code == 1
    assert done.err == "newsieve: the broker at 127.0.0.1:1 has ended by itself\n"


def test_a_broker_that_is_configured_in_the_file_and_does_not_answer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is started beside it: the other commands would not find that one."""
    hurry(monkeypatch, patience_seconds=0, call_seconds=0.1)
    (tmp_path / "newsieve.toml").write_text('[kafka]\nbootstrap_servers = "127.0.0.1:1"\n')

    done = newsieve("broker")

    assert done.code == 1
    assert "no broker answers" in done.err


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("a b/newsieve", "'a b/newsieve'"),
        ("newsieve", "./newsieve"),
        ("{tmp}/elsewhere/newsieve", "{tmp}/elsewhere/newsieve"),
        ("-c", "{tmp}/bin/newsieve"),
        ("{tmp}/pytest", "{tmp}/bin/newsieve"),
    ],
)
def test_the_program_is_named_as_a_shell_here_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str, said: str
) -> None:
    """By the path it was called by, or the one beside its interpreter; relative where it can be."""
    for folder in ("here", "here/a b", "elsewhere", "bin"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "newsieve").touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "argv", [called.format(tmp=tmp_path), "demo"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))

    assert common.this_program() == said.format(tmp=tmp_path)


def test_without_a_script_the_program_is_its_interpreters_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it was installed without one."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))

    assert common.this_program() == "bin/python -m newsieve"
