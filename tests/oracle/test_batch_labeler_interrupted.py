"""A bulk labelling that is interrupted: nothing is lost, torn, or paid for in silence."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from newsieve.oracle.budget import Ledger
from newsieve.oracle.label_file_writer import LabelFileWriter
from tests.support.bulk import KEY, articles, environment, label, rows
from tests.support.oracle_server import OracleServer, and_then, fails, good, raw, serving

ROOT = Path(__file__).resolve().parents[2]


def test_a_torn_last_line_is_written_again() -> None:
    """A process was killed while it wrote: the rest stands."""
    Path("articles.jsonl").write_bytes(articles(4))
    with serving() as server:
        label(server)
        whole = Path("labels.jsonl").read_bytes()
        Path("labels.jsonl").write_bytes(whole[:-40])

        assert label(server).code == 0

    assert len(server.calls) == 5
    assert [row["id"] for row in rows()] == ["a0", "a1", "a2", "a3"]


def test_a_key_that_is_refused_ends_it_with_what_was_labelled() -> None:
    """Exit 1; the rows before it are there, and the next run goes on."""
    Path("articles.jsonl").write_bytes(articles(4))
    with serving(good(), good(), fails(401, f"{KEY} is bad")) as server:
        done = label(server, concurrency=1)
        assert done.code == 1
        assert "NEWSIEVE_ORACLE__API_KEY" in done.err and KEY not in done.err
        assert [row["id"] for row in rows()] == ["a0", "a1"]
        server.script = [good()]
        assert label(server).code == 0

    assert [row["calls_without_record"] for row in rows()] == [0, 0, 0, 0]


def test_a_disk_that_is_full_once_makes_no_call_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is made whose claim could not be written; the next run makes each one once."""
    Path("articles.jsonl").write_bytes(articles(3))
    write = LabelFileWriter.claim
    failures = [OSError(errno.ENOSPC, "No space left on device", "labels.jsonl.claims")]

    def claim(writer: LabelFileWriter, ledger: Ledger) -> None:
        if failures:
            raise failures.pop()
        write(writer, ledger)

    monkeypatch.setattr(LabelFileWriter, "claim", claim)
    with serving(good()) as server:
        stopped = label(server)
        calls_of_the_first_run = len(server.calls)
        assert label(server).code == 0

    assert stopped.code == 1 and "No space left on device" in stopped.err
    assert calls_of_the_first_run == 0 and len(server.calls) == 3
    assert [row["calls_without_record"] for row in rows()] == [0, 0, 0]


def run_in_a_process(server: OracleServer) -> subprocess.Popen[bytes]:
    command = ["-m", "newsieve", "oracle", "label", "articles.jsonl", "--out", "labels.jsonl"]
    return subprocess.Popen(
        [sys.executable, *command, "--yes"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment(server, concurrency=2)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_ctrl_c_keeps_what_was_answered_and_kill_9_knows_what_was_not() -> None:
    """Ctrl-C in mid-call waits for the answers; after kill -9 the row of the lost call says so."""
    Path("articles.jsonl").write_bytes(articles(6))
    running: list[subprocess.Popen[bytes]] = []
    slow = raw(b"", delay_seconds=0.5)
    with serving() as server:

        def interrupt() -> None:
            running[-1].send_signal(signal.SIGINT)

        def kill() -> None:
            running[-1].kill()

        server.script = [good(), and_then(good(), interrupt), good()]
        running.append(run_in_a_process(server))
        out, err = running[-1].communicate(timeout=30)
        assert running[-1].returncode == 130, err
        assert b"the same command goes on" in err and b"Traceback" not in err
        after_first = len(rows())
        assert 2 <= after_first == len(server.calls)

        server.script = [and_then(good(), kill), slow]
        running.append(run_in_a_process(server))
        running[-1].communicate(timeout=30)
        asked_twice = server.calls[after_first:]

        server.script = [good()]
        assert label(server).code == 0

    found = rows()
    assert sorted(row["id"] for row in found) == [f"a{n}" for n in range(6)]
    lost = {row["id"]: row["calls_without_record"] for row in found}
    for call in asked_twice:
        assert lost[call.text.split("Text of ")[1].rstrip(".")] == 1
    assert sum(lost.values()) >= len(asked_twice) >= 1
    assert out
