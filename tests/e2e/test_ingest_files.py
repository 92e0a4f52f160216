"""`newsieve ingest files` on a real broker: each record of a file comes once, whatever happens."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from newsieve.filters.article import Article
from newsieve.kafka.config import Cluster
from newsieve.kafka.state_topic import latest_by_key
from newsieve.kafka.topic_reader import read
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from tests.support.cli import Result, newsieve
from tests.support.stream import Stream
from tests.support.web_archive import page, warc_record
from tests.support.workers import ROOT

ARTICLES = 3_000  # several transactions


def raw_values(stream: Stream) -> list[bytes]:
    """The committed records of the raw topic."""
    cluster = Cluster(stream.servers, {})
    records = read(cluster, stream.raw_topic, from_beginning=True, until_end=True)
    return [item.record.value or b"" for item in records]


def states(stream: Stream) -> dict[bytes, bytes]:
    """What is known of files, once everything is decided."""
    cluster = Cluster(stream.servers, {})
    return latest_by_key(cluster, f"{stream.prefix}.feeds", None, lambda: None)


def test_each_record_comes_once_however_often_the_command_is_killed(stream: Stream) -> None:
    """In either of two files, at any moment; at the end nothing is known of them."""
    lines = [json.dumps({"id": f"a{n}", "title": f"School {n} reopens"}) for n in range(ARTICLES)]
    half = ARTICLES // 2
    (stream.folder / "a.jsonl").write_text("\n".join([*lines[:half], "no article", ""]))
    array = f"[{','.join(lines[half:])}]".encode()
    (stream.folder / "b.json.gz").write_bytes(gzip.compress(array, 1))

    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_sender",
         str(stream.folder / "a.jsonl"), str(stream.folder / "b.json.gz")],
        cwd=ROOT, env={**os.environ, **stream.environment()}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr  # for the bad line
    assert done.stderr.count("goes on behind record") == 2 + 2, done.stderr  # 2 in the last run
    assert done.stderr.endswith("bad records, which were not sent: 1\n")
    assert Counter(raw_values(stream)) == Counter(line.encode() for line in lines)
    assert states(stream) == {}


def test_pages_of_a_web_archive_become_articles(stream: Stream) -> None:
    """Those that are whole; a bad record is named and stepped over, what is no page passed over."""
    records = [
        warc_record(1, page(1)),
        warc_record(2, b"x", content_type="image/png"),
        warc_record(3, page(3), digest_of=b"other bytes"),
        warc_record(4, page(4, language="nl")),
        warc_record(5, page(5)),
    ]
    packed = [*map(gzip.compress, records[:-1]), gzip.compress(records[-1])[:-40]]
    archive = stream.folder / "CC-NEWS.warc.gz"
    archive.write_bytes(b"".join(packed))

    done = newsieve("ingest", "files", str(archive), env=stream.environment())

    assert done.code == 1
    assert "produced 2 records" in done.text and "(1 records that are no articles" in done.text
    position = len(b"".join(packed[:2]))
    assert f"WARC record at byte {position:,}: its digest is not that of its bytes" in done.err
    assert "cut off: " in done.err and "bad records, which were not sent: 2" in done.err
    articles = sorted(map(json.loads, raw_values(stream)), key=lambda article: article["url"])
    assert [article.pop("content").split(".")[0] for article in articles] == [
        f"The neighbours of village {n} rebuilt their school over two years: it reopens today"
        for n in (1, 4)
    ]
    assert articles == [
        {
            "url": f"https://example.org/{n}",
            "title": f"School {n} reopens",
            "source": "The Local Herald",
            "language": language,
            "published_at": "2026-11-03",
        }
        for n, language in ((1, "en"), (4, "nl"))
    ]


def test_a_folder_is_the_files_in_it(stream: Stream) -> None:
    """At whatever depth, hidden ones apart; one without files is refused."""
    folder = stream.folder / "news"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "b.csv").write_text("id,title\nb,School b reopens\n")
    (folder / "a.json").write_text('{"id": "a",\n"title": "School a reopens"}')
    (folder / ".hidden").write_text("nothing")
    env = stream.environment()

    assert newsieve("ingest", "files", str(folder), env=env).code == 0
    assert sorted(json.loads(value)["id"] for value in raw_values(stream)) == ["a", "b"]

    empty = stream.folder / "empty"
    empty.mkdir()
    assert f"there are no files in {empty}" in newsieve("ingest", "files", str(empty), env=env).err


def test_a_second_command_for_the_same_file_takes_over(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one ends and says why; each record comes once."""
    file = stream.folder / "a.jsonl"
    file.write_text("".join(f'{{"id": "a{n}", "title": "x"}}\n' for n in range(10)))
    env = stream.environment()
    others: list[Result] = []
    is_begun = threading.Event()

    def decoding(record: RawRecord, policy: DecodePolicy) -> Article:
        if b'"a7"' in record.value and not is_begun.is_set():
            is_begun.set()
            others.append(newsieve("ingest", "files", str(file), env=env))
        return decode(record, policy)

    monkeypatch.setattr("newsieve.bootstrap.ingest_files.decode", decoding)
    first = newsieve("ingest", "files", str(file), env=env)

    assert [other.code for other in others] == [0], others
    assert first.code == 3 and "another command that sends the same files" in first.err
    assert len(raw_values(stream)) == 10 and states(stream) == {}


def test_what_a_pipe_brings_is_there_before_its_end(stream: Stream) -> None:
    """Whoever writes to it may take his time; half a line waits for its other half."""
    fifo = stream.folder / "pipe"
    os.mkfifo(fifo)
    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            newsieve("ingest", "files", str(fifo), env=stream.environment())
        )
    )
    thread.start()
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(b'{"id": "a", "title": "x"}\n{"id": "b", ')
        deadline = time.monotonic() + 30
        while not raw_values(stream):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        pipe.write(b'"title": "y"}\n')
    thread.join(30)

    assert [result.code for result in results] == [0], results
    assert sorted(json.loads(value)["id"] for value in raw_values(stream)) == ["a", "b"]
    assert states(stream) == {}


@pytest.mark.parametrize("topic", ["raw", "feeds"])
def test_a_topic_that_is_missing_is_named_with_the_command_that_creates_it(
    stream: Stream, topic: str
) -> None:
    """Before anything is sent."""
    stream.delete_topic(topic)
    file = stream.folder / "a.jsonl"
    file.write_text('{"title": "x"}\n')

    done = newsieve("ingest", "files", str(file), env=stream.environment())

    assert done.code == 1
    assert f"there is no topic {stream.prefix}.{topic}. Run `newsieve topics create`" in done.err
