"""Scoring a stretch of the raw topic again, beside the live group."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from newsieve.kafka.state_topic import headers
from newsieve.records.decode import Headers
from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.filters import load
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
    tiered = len(reader.outputs.tiered)
    offsets = stream.committed()

    first = stream.start_worker("a", *SPAN, worker__commit_records=200, worker__commit_seconds=0.05)
    first.wait_until("transaction.committed")
    first.kill()
    (begun,) = first.events("backfill.begun")
    assert begun["records_at_most"] >= len(stretch)  # type: ignore[operator]
    assert begun["tier_records_on_record"] == tiered > 0
    second = stream.start_worker("a", *SPAN)  # the slot's: what the first left open is aborted

    assert second.wait(120) == 0, second.text()[-2_000:]
    outputs = reader.read_to_end()
    again = Counter({place[:2]: count - 1 for place, count in outputs.outcomes().items()})
    assert +again == Counter(stretch)
    assert set(outputs.event_ids) == set(live_ids)
    assert len(outputs.tiered) == tiered  # subscribers see nothing twice
    assert any(entry.get("on_record") for entry in second.events("transaction.committed"))
    assert stream.committed() == offsets
    assert hanging_transactions(stream.servers, stream.prefix) == []
    reader.close()


def test_a_backfill_of_what_nobody_has_published_is_killed_and_publishes_each_fact_once(
    stream: Stream,
) -> None:
    """An article that came twice is one fact. `--again` publishes all of them again, once more."""
    articles = list(raw_records(3_000, seed=4))
    stream.produce([*articles, *articles[-100:]], timestamp_ms=at(2))
    reader = stream.reader()
    killed = stream.start_worker(
        "a", *SPAN, worker__commit_records=200, worker__commit_seconds=0.05
    )
    killed.wait_until("transaction.committed")
    killed.kill()

    finished = stream.start_worker("b", *SPAN)

    assert finished.wait(120) == 0, finished.text()[-2_000:]
    outputs = reader.read_to_end()
    assert killed.events("backfill.begun")[0]["tier_records_on_record"] == 0
    on_record = finished.events("backfill.begun")[0]["tier_records_on_record"]
    assert 0 < on_record < len(outputs.tiered)  # type: ignore[operator]
    published = load("uplifting").definition.published_tiers
    surfaced = Counter(fact(item) for item in outputs.scored if item["tier"] in published)
    once = Counter(dict.fromkeys(surfaced, 1))
    assert Counter(fact(item) for _, item in outputs.tiered) == once != surfaced
    assert len(outputs.scored) + len(outputs.letters) == len(articles) + 100

    again = stream.start_worker("a", *SPAN, "--again")

    assert again.wait(120) == 0, again.text()[-2_000:]
    assert "even those that are there already" in again.text()
    outputs = reader.read_to_end()
    assert Counter(fact(item) for _, item in outputs.tiered) == once + surfaced
    reader.close()


def fact(scored: dict[str, Any]) -> tuple[str, str]:
    """What makes a fact of one filter and student."""
    return scored["article"]["id"], scored["article"]["content_hash"]


def test_a_backfill_stops_when_it_is_told_to_while_it_reads_what_is_on_record(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may take minutes; nothing was begun, so there is nothing to drain."""

    def told(*arguments: Any) -> Iterator[Headers | None]:
        os.kill(os.getpid(), signal.SIGTERM)
        return headers(*arguments)

    monkeypatch.setattr("newsieve.bootstrap.scoring.headers", told)

    done = newsieve("worker", *SPAN, env=stream.environment(worker__slot="a"))

    assert done.code == 0, done.err
    assert "backfill.reading" in done.err and "backfill.begun" not in done.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--again"], "--from-timestamp"),
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
