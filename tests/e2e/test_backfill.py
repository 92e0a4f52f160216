"""Scoring a stretch of the raw topic again, beside the live group."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.reader import hanging_transactions
from tests.support.stream import Stream

# Not longer ago: a topic's retention would take them away.
BEGIN = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=10)


def hour(number: int) -> dt.datetime:
    return BEGIN + dt.timedelta(hours=number)


def at(number: int) -> int:
    """An hour, as Kafka's timestamp."""
    return int(hour(number).timestamp() * 1_000)


SPAN = ("--from-timestamp", hour(2).isoformat(), "--until", hour(4).isoformat())


def test_a_backfill_killed_in_the_middle_scores_its_stretch_once_and_ends(stream: Stream) -> None:
    """The live group's offsets stay; a fact the live worker has published keeps its id."""
    stream.produce(raw_records(200, seed=1), timestamp_ms=at(1))
    before = set(stream.raw)
    stream.produce(raw_records(4_000, seed=2), timestamp_ms=at(2))
    stretch = stream.raw - before
    stream.produce([(b"tombstone", None)], timestamp_ms=at(3))
    stream.produce(raw_records(200, seed=3), timestamp_ms=at(4))
    live = stream.start_worker("a")
    reader = stream.reader()
    reader.read_until(lambda o: len(o.scored) + len(o.letters) == 4_400, 120)
    assert live.terminate() == 0
    live_ids = Counter(reader.read_to_end().event_ids)
    offsets = stream.committed()

    first = stream.start_worker("a", *SPAN, worker__commit_records=200, worker__commit_seconds=0.05)
    first.wait_until("transaction.committed")
    first.kill()
    assert first.events("backfill.begun")[0]["records_at_most"] >= len(stretch)
    second = stream.start_worker("a", *SPAN)  # the slot's: what the first left open is aborted

    assert second.wait(120) == 0, second.text()[-2_000:]
    outputs = reader.read_to_end()
    again = Counter({place[:2]: count - 1 for place, count in outputs.outcomes().items()})
    assert +again == Counter(stretch)
    assert set(outputs.event_ids) == set(live_ids)
    assert stream.committed() == offsets
    assert hanging_transactions(stream.servers, stream.prefix) == []
    reader.close()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--until", "2026-11-04"], "--from-timestamp"),
        (["--from-timestamp", "last week"], "not a time"),
        (["--from-timestamp", "2026-11-04", "--until", "2026-11-02"], "not before"),
        (["--from-timestamp", "2999-01-01"], "not before now"),
    ],
)
def test_a_stretch_that_cannot_be_is_wrong_usage(arguments: list[str], complaint: str) -> None:
    """Said before anything is loaded."""
    done = newsieve("worker", *arguments)

    assert done.code == 2
    assert complaint in done.err
