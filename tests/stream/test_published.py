"""What is on tier topics is not published there again by a backfill."""

from __future__ import annotations

import uuid

import pytest

from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.scoring.path import RecordOutcomes
from newsieve.records.dead_letter import RecordPosition, Writer
from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import OutRecord
from newsieve.stream import published
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.metrics import Metrics
from newsieve.stream.outcome import SCORED, Outcome
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.published import Published
from newsieve.stream.transaction_counts import TransactionCounts

TIER = "articles.tier.uplifting.impact"
# Bytes that end in zeros are where fixed-width arrays of bytes go wrong.
FACTS = [uuid.UUID(int=n << 64) for n in range(1, 6)]


def headers(fact: uuid.UUID) -> Headers:
    return [("ce_type", b"t"), ("ce_id", str(fact).encode()), ("ce_time", b"now")]


def record(fact: uuid.UUID, topic: str = TIER) -> OutRecord:
    return OutRecord(topic, b"a", b"{}", headers(fact))


def test_a_fact_on_record_is_not_published_again() -> None:
    """Other facts are, and records of other topics, whatever their id."""
    facts = Published([TIER], map(headers, [FACTS[2], FACTS[0], FACTS[0]]))

    assert [facts.admit(record(fact)) for fact in FACTS] == [False, True, False, True, True]
    assert not facts.admit(record(FACTS[0]))
    assert facts.admit(record(FACTS[0], "articles.scored"))
    assert len(facts) == 3


def test_a_fact_is_published_once_and_again_only_after_a_rollback() -> None:
    """An article that comes twice in a stretch is one fact."""
    facts = Published([TIER], [])
    assert facts.admit(record(FACTS[0]))
    assert not facts.admit(record(FACTS[0]))
    facts.rolled_back()
    assert facts.admit(record(FACTS[0]))
    facts.committed()
    facts.rolled_back()

    assert not facts.admit(record(FACTS[0]))
    assert facts.admit(record(FACTS[1]))


def test_what_others_put_on_a_tier_topic_hides_nothing() -> None:
    """Records without headers, without an id, or with one that is no UUID."""
    strange: list[Headers | None] = [
        None,
        [],
        [("ce_id", None)],
        [("ce_id", b"\xff")],
        [("ce_id", b"abcd")],
        headers(FACTS[1]),
    ]
    facts = Published([TIER], strange)

    assert len(facts) == 1
    assert [facts.admit(record(fact)) for fact in FACTS[:2]] == [True, False]
    assert facts.admit(OutRecord(TIER, None, b"{}", []))


def test_many_published_facts_are_packed_and_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those that were found."""
    monkeypatch.setattr(published, "MOST_RECENT", 1)
    facts = Published([TIER], [headers(FACTS[2])])
    for fact in (FACTS[4], FACTS[0], FACTS[1]):
        assert facts.admit(record(fact))
        facts.committed()

    assert [facts.admit(record(fact)) for fact in FACTS] == [False, False, False, True, False]


class KeepingPublisher(TransactionalProducer):
    """Keeps what it is to publish."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, lambda: None)
        self.topics: list[str] = []

    def produce(self, record: OutRecord) -> None:
        self.topics.append(record.topic)


def test_only_the_tiers_record_of_an_outcome_is_left_out_and_counted() -> None:
    """It is scored, sampled and accounted for as ever, whoever has its tier's record."""
    producer = KeepingPublisher()
    facts = Published([TIER], [headers(FACTS[0])])
    limits = DeadLetterLimiter(1, 1_000, 100)
    publisher = OutcomePublisher(producer, limits, Writer("d", "g", "0"), lambda: "now", facts)
    raw = RawRecord(b"{}", None, None, None, {})
    counts, metrics = TransactionCounts(), Metrics()

    for fact in FACTS[:2]:
        records = [record(fact, topic) for topic in ("scored", TIER, "oracle.requests")]
        row = RecordOutcomes(raw, None, (), [Outcome("uplifting", SCORED, "impact", records, None)])
        position = RecordPosition("articles.raw", 0, 0)
        counts.add(row.record, publisher.publish(row.record, position, row.outcomes))
    metrics.committed(counts, 0.1)

    assert producer.topics == ["scored", "oracle.requests", "scored", TIER, "oracle.requests"]
    assert counts.outcomes["uplifting", SCORED, "impact"] == 2
    counted = metrics.registry.get_sample_value("newsieve_tier_records_on_record_total")
    assert counted == counts.on_record == 1
