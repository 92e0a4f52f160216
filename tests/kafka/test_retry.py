"""Asking a broker again: whose patience ends, and what that means."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from newsieve.errors import BrokerUnavailable
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.timeouts import Timeouts

IMPATIENT = Timeouts(patience_seconds=0, retry_seconds=0)


class SilentClient:
    """A client whose every call fails in the same way, without a word from librdkafka."""

    complaints: tuple[KafkaError, ...] = ()

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self, _seconds: float) -> None:
        """Nothing has come."""

    def call(self) -> int:
        raise KafkaException(KafkaError(self.code))


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError.UNKNOWN])
def test_a_command_that_gets_no_answer_says_that_no_broker_answers(code: int) -> None:
    """Whatever the error, it may pass: a program's loop goes on asking, without an end by it."""
    client = SilentClient(code)

    with pytest.raises(BrokerUnavailable, match=r"no broker answers: .*_SERVERS") as caught:
        retry_until_available(client, client.call, IMPATIENT)

    assert caught.value.passes
