"""`newsieve produce` on a real broker: each line of a file is sent as it is."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from newsieve.filters.article import Article
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from tests.support.cli import newsieve
from tests.support.stream import Stream


def test_produce_sends_every_line_as_it_is_keyed_by_its_id(stream: Stream, tmp_path: Path) -> None:
    """Bad lines too; blank ones not."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"id": 7, "title": "x"}\n\n\xff{\n{"title": "no id"}')

    env = stream.environment(kafka__options='{"delivery.report.only.error": true}')
    done = newsieve("produce", str(file), "-", stdin=b'{"id": "s", "title": "y"}', env=env)

    assert done.text == f"produced 4 records to {stream.raw_topic}\n"
    shown = newsieve(
        "tail",
        stream.raw_topic,
        "--from-beginning",
        "--until-end",
        "--json",
        env=stream.environment(),
    )
    assert sorted(shown.text.splitlines())[:2] == sorted(
        ['{"id": 7, "title": "x"}', '{"id": "s", "title": "y"}']
    )
    assert len(shown.text.splitlines()) == 4


def test_produce_sends_nothing_of_what_it_does_not_read_but_as_it_is(
    stream: Stream, tmp_path: Path
) -> None:
    """A good file beside it neither, until --as-is; a byte order mark and CRLF are no fault."""
    good, packed = tmp_path / "good.jsonl", tmp_path / "packed.jsonl.xz"
    good.write_bytes(b'\xef\xbb\xbf{"id": "a", "title": "x"}\r\n{"id": "b", "title": "y"}\r\n')
    packed.write_bytes(lzma.compress(good.read_bytes()))
    env = stream.environment()

    refused = newsieve("produce", str(good), str(packed), env=env)
    assert refused.code == 2 and "looks like xz" in refused.err
    assert raw_count(stream) == 0

    assert newsieve("produce", str(good), env=env).text.startswith("produced 2 records")
    lines = len([line for line in packed.read_bytes().split(b"\n") if line.strip()])
    sent = newsieve("produce", str(packed), "--as-is", env=env)
    assert sent.text.startswith(f"produced {lines} records")
    assert raw_count(stream) == 2 + lines


def raw_count(stream: Stream) -> int:
    """How many records the raw topic has."""
    shown = newsieve(
        "tail", stream.raw_topic, "--from-beginning", "--until-end", env=stream.environment()
    )
    assert shown.code == 0
    return len(shown.text.splitlines())


def test_produce_opens_all_files_before_it_sends_anything(stream: Stream, tmp_path: Path) -> None:
    """A misspelt second name leaves nothing half done."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"title": "x"}\n' * 10)

    done = newsieve("produce", str(file), str(tmp_path / "b.jsonl"), env=stream.environment())

    assert done.code == 2
    assert "b.jsonl" in done.err
    assert raw_count(stream) == 0


def test_produce_names_what_the_broker_does_not_take_and_delivers_what_it_read(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is too large is stepped over; an interruption says where it was."""
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_bytes(b'{"title": "x"}\n' * 4)
    second.write_bytes(b'{"title": "x"}\n\n' + b"x" * 50_000 + b'\n{"title": "y"}\n')

    env = stream.environment(kafka__options='{"message.max.bytes": 40000}')
    done = newsieve("produce", str(first), str(second), env=env)

    assert done.code == 1 and done.text.startswith("produced 6 records")
    assert f"{second}, line 3: more than the limit of 40,000 bytes" in done.err
    assert raw_count(stream) == 6

    def interrupted(record: RawRecord, policy: DecodePolicy) -> Article:
        if b"y" in record.value:
            raise KeyboardInterrupt
        return decode(record, policy)

    monkeypatch.setattr("newsieve.bootstrap.ingest_files.decode", interrupted)
    done = newsieve("produce", str(second), env=env)

    assert done.code != 0 and "Traceback" not in done.err
    assert (
        f"interrupted. 1 records delivered; stopped at {second}, line 4. The same command goes on"
        in " ".join(done.err.split("\n"))
    )
    assert raw_count(stream) == 7
    monkeypatch.undo()
    done = newsieve("produce", str(second), env=env)
    assert done.text.startswith("produced 1 records") and raw_count(stream) == 8
