"""How a worker ends when it has to: nothing dropped, nothing left open, the right exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from tests.support.scripted import (
    Ledger,
    LedgerProducer,
    Message,
    Scene,
    ScriptedConsumer,
    abortable,
    assigned,
    nothing,
    records,
)
from worker.codec.encode import OutRecord
from worker.errors import OffsetsWrong, RecordRefused, TopicsWrong, Transient
from worker.kafka.transaction import Publisher


def test_a_record_that_cannot_even_be_a_dead_letter_stops_the_worker_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came before it is committed, so that skipping it skips nothing else."""
    huge = b"[" * (8 * 1024 * 1024)
    scene = Scene(
        [
            assigned(0),
            lambda _: [Message(0, 0), Message(0, 1), Message(0, 2, huge), Message(0, 3)],
            nothing,
        ]
    )
    with pytest.raises(RecordRefused, match="offset 2"):
        scene.run(monkeypatch)

    assert scene.ledger.offsets == {0: 2}
    scene.ledger.assert_exactly_once()


def test_a_worker_that_has_to_end_leaves_no_transaction_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or its readers would wait for the time-out."""

    def fatal(_: ScriptedConsumer) -> list[Message]:
        assert scene.producer.is_open
        raise OffsetsWrong("scripted")

    scene = Scene([assigned(0), records((0, 0)), nothing, fatal])
    with pytest.raises(OffsetsWrong):
        scene.run(monkeypatch)

    assert not scene.producer.is_open
    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


class Publishing:
    """A publisher on a scripted producer, and the delivery callback it registered."""

    def __init__(self) -> None:
        self.producer = LedgerProducer(Ledger())
        self.publisher = Publisher(self._make, lambda: None)
        self.publisher.connect()

    def _make(self, on_delivery: Callable[[Any, Any], None]) -> LedgerProducer:
        self.deliver = on_delivery
        return self.producer

    def fail_a_commit(self) -> None:
        self.publisher.produce(OutRecord("t", None, b"{}", []))
        self.producer.failing = {"commit": abortable()}
        self.publisher.commit_records()


def refused() -> KafkaError:
    return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "scripted")


def test_a_refusal_stops_the_worker_with_what_the_broker_said() -> None:
    """Trying again would be refused again."""
    publishing = Publishing()
    publishing.deliver(refused(), Message(0, 0))

    with pytest.raises(TopicsWrong, match="newsieve topics check"):
        publishing.fail_a_commit()


def test_a_refusal_that_was_overcome_is_forgotten() -> None:
    """An ordinary abort, hours later, is not the person on call's business."""
    publishing = Publishing()
    publishing.deliver(refused(), Message(0, 0))
    publishing.publisher.produce(OutRecord("t", None, b"{}", []))
    publishing.publisher.commit_records()

    with pytest.raises(Transient):
        publishing.fail_a_commit()


def test_deliveries_that_did_not_fail_are_no_news() -> None:
    """A user may ask librdkafka to report all of them."""
    publishing = Publishing()
    publishing.deliver(None, Message(0, 0))

    with pytest.raises(Transient):
        publishing.fail_a_commit()


def test_a_broker_that_allows_no_such_transactions_is_a_persons_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A restart would meet the same limit."""
    scene = Scene([nothing])
    scene.producer.init_error = KafkaError(KafkaError.INVALID_TRANSACTION_TIMEOUT, "scripted")

    with pytest.raises(TopicsWrong):
        scene.run(monkeypatch)
