"""The network faces of real processes: idle connections, a provider that drips, terminals."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time
import unicodedata
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.hostile.idle import idle_connections
from tests.hostile.metered import Watched, metered, usage_of, wait_for
from tests.support.evil_texts import EVIL
from tests.support.filters import load
from tests.support.workers import ROOT

MEGABYTE = 1_000_000
COMMAND_CPU_SECONDS = 6
COMMAND_BYTES = 300 * MEGABYTE
IDLE_CONNECTIONS = 600
SCRAPES = 20
SERVING = """
import sys, time
from newsieve.stream.health import Health
from newsieve.stream.metrics import Metrics
with Health("127.0.0.1", 0, Metrics()) as health:
    print(health.port, flush=True)
    sys.stdin.read()
"""
LABEL = [sys.executable, "-m", "newsieve", "oracle", "label", "--yes"]


@contextmanager
def serving() -> Iterator[tuple[psutil.Process, int]]:
    """A program's port of metrics and health, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        yield psutil.Process(process.pid), int(process.stdout.readline())
        process.terminate()


def get(port: int, page: str) -> tuple[int, float]:
    """Its status, and how long that took."""
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10) as answer:
        answer.read()
        return answer.status, time.monotonic() - began


def test_idle_connections_cost_next_to_nothing_and_keep_nobody_waiting() -> None:
    """600 that have sent half a request: health and metrics are answered while they hang, no thread
    is theirs, files are bounded, and all of them are cut off within seconds."""
    with serving() as (process, port):
        get(port, "livez")
        threads, before = process.num_threads(), usage_of(process.pid)
        with idle_connections(port, IDLE_CONNECTIONS) as idle:
            answers = [get(port, page) for page in ("livez", "metrics") for _ in range(SCRAPES)]
            files, after = process.num_fds(), usage_of(process.pid)
            for connection in idle:
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""

        assert {status for status, _ in answers} == {200}
        assert max(seconds for _, seconds in answers) < 2
        assert process.num_threads() == threads and files < 300
        assert after.cpu_seconds - before.cpu_seconds < 2
        assert after.peak_bytes - before.peak_bytes < 30 * MEGABYTE


@contextmanager
def dripping() -> Iterator[str]:
    """A provider that sends a header every now and then, and never comes to an end."""
    stop = threading.Event()

    def drip(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.recv(65_536)
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.5):
                peer.sendall(b"X-Header: y\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    threading.Thread(target=drip, args=(peer,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_a_provider_that_drips_headers_is_given_up_in_time(tmp_path: Path) -> None:
    """Each call after its second, not when the last header has come: the labelling says so, and
    goes on to ask again until it is told to stop."""
    articles = tmp_path / "articles.jsonl"
    articles.write_text(json.dumps({"id": "a", "title": "Bridge", "content": "Rebuilt. " * 20}))
    with dripping() as endpoint:
        process = subprocess.Popen(
            [*LABEL, str(articles), "--out", str(tmp_path / "labels.jsonl")],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "NEWSIEVE_ORACLE__PROVIDER": "openai",
                "NEWSIEVE_ORACLE__MODEL": "m",
                "NEWSIEVE_ORACLE__API_KEY": "sk-secret-key-0123456789",
                "NEWSIEVE_ORACLE__ENDPOINT": endpoint,
                "NEWSIEVE_ORACLE__TIMEOUT_SECONDS": "1",
            },
        )
        assert process.stderr is not None
        said = ""
        while "no answer: incomplete after 1 s" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        used = usage_of(process.pid)
        process.terminate()
        process.communicate(timeout=30)

    assert used.cpu_seconds < COMMAND_CPU_SECONDS and used.peak_bytes < COMMAND_BYTES


def on_a_terminal(arguments: Sequence[str], folder: Path) -> str:
    """All that a command sends to the terminal that it runs on."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "newsieve", *arguments],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )  # fmt: skip
    watched = Watched(process.pid)
    os.close(slave)
    found = b""
    with contextlib.suppress(OSError):  # EIO, when it has ended
        while select.select([master], [], [], 60)[0]:
            found += os.read(master, 65_536)
    used = wait_for(process, 60)
    os.close(master)
    assert used.ru_utime + used.ru_stime < COMMAND_CPU_SECONDS
    assert watched.usage.peak_bytes < COMMAND_BYTES
    # Its lines end with the terminal's own \r\n; a progress bar and bold letters are ours.
    return found.decode("utf-8", "replace")


OURS = re.compile(r"\x1b\[(\?25[lh]|[0-9;]*m|2K|1A)|\r\n|\r")


@pytest.fixture
def hostile_files(tmp_path: Path) -> Path:
    """Score objects and articles whose every field is hostile, broken lines among them."""
    names = ("id", "title", "source", "language", "url", "published_at")
    rows = [
        json.dumps({**dict.fromkeys(names, text), "content": f"A bridge. {text}"}) for text in EVIL
    ]
    broken = [json.dumps({"id": text, "x": [0]}, ensure_ascii=False)[:-2] for text in EVIL]
    (tmp_path / "articles.jsonl").write_text("\n".join([*rows, *broken]))
    fives = dict.fromkeys(load("uplifting").definition.dimension_names, 5)
    scores = [json.dumps({**fives, "id": text}, ensure_ascii=False) for text in EVIL]
    (tmp_path / "scores.jsonl").write_text("\n".join([*scores, *broken]))
    (tmp_path / "file\x1b]0;pwned\x07").write_text("not JSON \x1b[2J")
    return tmp_path


COMMANDS = {
    "tier": ["tier", "scores.jsonl"],
    "replay": ["drift", "replay", "scores.jsonl"],
    "filters": ["filters", "check", "uplifting", "--articles", "articles.jsonl"],
    "produce": ["produce", "file\x1b]0;pwned\x07"],
    "no file": ["tier", "no such \x9b2J\u202e file"],
    "no command": ["nosuch\x1b[2J"],
}


def test_what_others_wrote_reaches_no_terminal(hostile_files: Path) -> None:
    """Real ones, on which colours and a progress bar are; one a command, side by side."""
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda command: on_a_terminal(command, hostile_files), COMMANDS.values())
        shown = dict(zip(COMMANDS, found, strict=True))

    for name, text in shown.items():
        said = OURS.sub("\n", text)
        assert said.strip(), name
        odd = {c for c in said if not c.isprintable() and c != "\n"}
        assert {c for c in odd if unicodedata.category(c) != "Zs"} == set(), name
        assert not any(line.startswith("Exactly once") for line in said.splitlines()), name


def test_hostile_lines_in_a_pipe_stay_as_they_are(hostile_files: Path) -> None:
    """Who reads them is no terminal, and counts on the bytes."""
    done = metered([sys.executable, "-m", "newsieve", "tier", str(hostile_files / "scores.jsonl")])

    ids = [json.loads(line).get("id") for line in done.out.splitlines()]
    assert ids[: len(EVIL)] == list(EVIL)
    assert "safe \u202eexe.fdp\u202c title".encode() in done.out
    assert done.cpu_seconds < COMMAND_CPU_SECONDS and done.peak_bytes < COMMAND_BYTES
