"""How a worker ends when it has to: nothing dropped, nothing left open, the right exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError

from newsieve.errors import (
    BrokerLost,
    BrokerUnavailable,
    Fatal,
    NoProgress,
    OffsetsWrong,
    TopicsWrong,
    Transient,
)
from newsieve.kafka import message_errors
from newsieve.kafka.config import Partition
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.encode import OutRecord
from tests.support.impatience import limits
from tests.support.ledger import Always, Ledger, LedgerProducer
from tests.support.scripted import (
    Message,
    Scene,
    ScriptedConsumer,
    Step,
    abortable,
    assigned,
    failing,
    lost,
    nothing,
    records,
)


def test_a_record_that_is_too_large_for_a_dead_letter_does_not_stop_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part of it is one; what comes before and behind it goes on."""
    huge = b"[" * (8 * 1024 * 1024)
    letters: list[tuple[bytes, dict[str, bytes]]] = []
    scene = Scene(
        [
            assigned(0),
            lambda _: [Message(0, 0), Message(0, 1), Message(0, 2, huge), Message(0, 3)],
            nothing,
        ]
    )
    produce = scene.producer.produce

    def noting(topic: str, value: bytes, key: bytes, **more: Any) -> None:
        if topic == "d":
            letters.append((value, dict(more["headers"])))
        produce(topic, value, key, **more)

    monkeypatch.setattr(scene.producer, "produce", noting)
    scene.run(monkeypatch)

    ((value, headers),) = letters
    assert huge.startswith(value) and 0 < len(value) <= 65_536
    assert headers["dlq.truncated"] == str(len(huge)).encode()
    assert scene.ledger.offsets == {0: 4}
    assert sorted(scene.ledger.outputs) == [(0, 0), (0, 1), (0, 3)]


@pytest.mark.parametrize("failure", [OffsetsWrong("scripted"), BrokerLost("scripted")])
def test_a_worker_that_has_to_end_leaves_no_transaction_open(
    failure: Fatal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its readers would wait for the time-out."""

    def fatal(_: ScriptedConsumer) -> list[Message]:
        assert scene.producer.is_open
        raise failure

    scene = Scene([assigned(0), records((0, 0)), nothing, fatal])
    with pytest.raises(type(failure)):
        scene.run(monkeypatch)

    assert not scene.producer.is_open
    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


class Publishing:
    """A publisher on a scripted producer, and the delivery callback it registered."""

    def __init__(self) -> None:
        self.producer = LedgerProducer(Ledger())
        self.publisher = TransactionalProducer(self._make, lambda: None)
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


def refusing(scene: Callable[[], Scene], code: int, tries: list[int]) -> Step:
    """From here on each commit fails in this way, and the records come again."""

    def step(consumer: ScriptedConsumer) -> list[Message]:
        scene().producer.failing = Always(scene().producer, commit=abortable(code))
        tries.append(consumer.sought.get(0, 0))
        return [Message(0, at) for at in range(3)] if len(tries) % 2 else []

    return step


def test_the_same_unlisted_failure_ends_the_worker_with_where_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It might pass; but not for ever. Told each time, and nothing is dropped."""
    monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)
    tries: list[int] = []
    scene = Scene([assigned(0), *[refusing(lambda: scene, KafkaError.UNKNOWN, tries)] * 40])
    scene.commit_seconds = 0

    scene.timeouts = limits(same_failure_seconds=0, backoff_seconds=0)
    with pytest.raises(NoProgress, match=r"articles\.raw/0 from offset 0 to 3"):
        scene.run(monkeypatch)

    assert scene.observer.faults == [*["unknown"] * message_errors.SAME_TIMES, "permanent"]
    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


def test_what_passes_is_waited_for_however_often_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker's restart, an election: never a person's turn."""
    monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)
    tries: list[int] = []
    away = KafkaError.COORDINATOR_NOT_AVAILABLE

    def recover(_: ScriptedConsumer) -> list[Message]:
        scene.producer.failing = {}
        return [Message(0, at) for at in range(3)]

    scene = Scene([assigned(0), *[refusing(lambda: scene, away, tries)] * 40, recover, nothing])
    scene.commit_seconds = 0
    scene.timeouts = limits(same_failure_seconds=0, backoff_seconds=0)
    scene.run(monkeypatch)

    assert set(scene.observer.faults) == {"passing"}
    assert len(scene.observer.faults) > 2 * message_errors.SAME_TIMES
    assert scene.ledger.offsets == {0: 3}
    scene.ledger.assert_exactly_once()


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError.UNKNOWN])
def test_a_broker_that_is_silent_after_a_commit_of_unknown_outcome_is_asked_until_it_says(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Until then nothing is published, not even on the way out: it could be for the second time.
    Its silence is no new failure of the kind that nobody has listed."""
    monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)
    asked, silences = 0, 2 * message_errors.SAME_TIMES

    def committed(_: OffsetQuery, partitions: Sequence[Partition]) -> dict[Partition, int]:
        nonlocal asked
        asked += 1
        if asked <= silences:
            assert scene.ledger.offsets == {}
            raise BrokerUnavailable("silent")
        return dict.fromkeys(partitions, 0)

    monkeypatch.setattr(OffsetQuery, "committed", committed)
    unknown = KafkaError(code, "scripted")
    begun = [Message(0, at) for at in range(3)]
    scene = Scene(
        [
            assigned(0),
            lambda _: begun,
            failing(lambda: scene, commit=unknown),
            # Beyond what nobody knows of.
            *[lambda c: [] if c.sought else [Message(0, 3)]] * (silences + 2),
            lambda c: [Message(0, at) for at in range(c.sought[0], 4)],
            nothing,
        ]
    )
    scene.commit_seconds = 0
    scene.timeouts = limits(same_failure_seconds=0, backoff_seconds=0)
    scene.run(monkeypatch)

    assert asked == silences + 1
    assert scene.consumer.sought == {0: 0}
    scene.ledger.assert_exactly_once()


def test_a_worker_that_is_told_to_stop_while_the_broker_is_silent_commits_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Offsets of a transaction that is gone, without its records, would lose them."""
    monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)

    def silent(*_: object) -> None:
        raise BrokerUnavailable("silent")

    monkeypatch.setattr(OffsetQuery, "committed", silent)
    unknown = KafkaError(KafkaError._TIMED_OUT, "scripted")
    scene = Scene(
        [assigned(0), records((0, 0), (0, 1)), failing(lambda: scene, commit=unknown), nothing]
    )
    scene.commit_seconds = 0
    scene.timeouts = limits(backoff_seconds=0)
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


def test_an_unknown_outcome_stays_unknown_whatever_else_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another partition is lost meanwhile: what was committed of this one is asked all the same."""
    monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)
    silences = iter((True, True))

    def committed(_: OffsetQuery, partitions: Sequence[Partition]) -> dict[Partition, int]:
        if next(silences, False):
            raise BrokerUnavailable("silent")
        return dict.fromkeys(partitions, 2)  # it had been committed

    monkeypatch.setattr(OffsetQuery, "committed", committed)
    unknown = KafkaError(KafkaError._TIMED_OUT, "scripted")
    scene = Scene(
        [
            assigned(0, 1),
            records((0, 0), (0, 1)),
            failing(lambda: scene, commit=unknown),
            lost(1),
            *[nothing] * 4,
        ]
    )
    scene.commit_seconds = 0
    scene.timeouts = limits(backoff_seconds=0)
    scene.run(monkeypatch)

    assert scene.consumer.sought == {0: 2}
