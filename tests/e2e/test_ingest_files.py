"""`newsieve ingest files` on a real broker: every record of a file comes once, whatever happens."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from pathlib import Path

from newsieve.kafka.config import Cluster
from newsieve.kafka.state_topic import latest_by_key
from newsieve.kafka.topic_reader import read
from tests.support.cli import newsieve
from tests.support.stream import Stream
from tests.support.web_archive import page, warc_record
from tests.support.workers import WorkerProcess

ARTICLES = 40_000
KILLS = 6


class IngestProcess(WorkerProcess):
    """`newsieve ingest` in a process of its own."""

    command = "ingest"


def raw_values(stream: Stream) -> list[bytes]:
    """The committed records of the raw topic."""
    records = read(Cluster(stream.servers, {}), stream.raw_topic, from_beginning=True, until_end=True)
    return [item.record.value or b"" for item in records]


def states(stream: Stream) -> dict[bytes, bytes]:
    """What is known of files."""
    return latest_by_key(Cluster(stream.servers, {}), f"{stream.prefix}.feeds", None, lambda: None)


def test_each_record_of_a_file_comes_once_however_often_the_command_is_killed(
    stream: Stream, tmp_path: Path
) -> None:
    """At any moment, between two files, too; at the end nothing is known of them."""
    lines = [json.dumps({"id": f"a{n}", "title": f"School {n} reopens"}) for n in range(ARTICLES)]
    half = ARTICLES // 2
    (tmp_path / "a.jsonl").write_text("\n".join(lines[:half]) + "\nno article\n")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(f"[{','.join(lines[half:])}]".encode(), 1))
    log, kills, code = tmp_path / "ingest.log", 0, -1
    environment = stream.environment()

    while kills < KILLS:
        ingest = IngestProcess(log, environment, "files", "a.jsonl", "b.json.gz")
        before = len(states(stream))
        deadline = time.monotonic() + 0.5 + 0.15 * kills
        while time.monotonic() < deadline and ingest.process.poll() is None:
            time.sleep(0.01)
        ingest.process.send_signal(signal.SIGKILL)
        code = ingest.wait(10)
        kills += 1
        if code != -signal.SIGKILL:
            break
    ...
