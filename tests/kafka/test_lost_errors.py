"""Errors of the Kafka client that its Python layer loses on their way to us."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from newsieve.errors import Fenced
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.encode import OutRecord
from tests.support.ledger import Ledger, LedgerProducer


def commits(*failures: BaseException) -> Callable[..., None]:
    """A commit that fails so, once for each, and then goes through."""
    left = list(failures)

    def commit(*_: object) -> None:
        if left:
            raise left.pop(0)

    return commit


def committing(*failures: BaseException) -> TransactionalProducer:
    producer = LedgerProducer(Ledger())
    producer.commit_transaction = commits(*failures)  # type: ignore[method-assign]
    publisher = TransactionalProducer(lambda _: producer, lambda: None)  # type: ignore[arg-type,return-value]
    publisher.connect()
    publisher.produce(OutRecord("t", None, b"{}", []))
    return publisher


def test_an_error_that_the_client_lost_is_asked_for_again() -> None:
    """What fences a producer still does: a fenced one ends as such, and without a traceback."""
    lost = SystemError("exception <class 'str'> is not a BaseException subclass")
    fenced = KafkaException(KafkaError(KafkaError._FENCED))

    with pytest.raises(Fenced):
        committing(lost, fenced).commit_records()
    committing(lost).commit_records()


def test_a_fault_that_is_not_kafkas_is_raised() -> None:
    """Nobody asks for ever."""
    with pytest.raises(SystemError, match="twice"):
        committing(SystemError("once"), SystemError("twice")).commit_records()
