"""Keeps what the broker refused for good since the last commit, until the transaction has been
aborted.

The reasons come in pieces: a delivery report names the topic, but calls a time that is refused no
more than an invalid record; the error that ends the transaction says which it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from confluent_kafka import KafkaError, Message

from newsieve.errors import TimestampRefused, TopicsWrong
from newsieve.kafka.message_errors import PERMANENT, advice_on, message_error_of


class Refusals:
    """The refusals of one transactional producer."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget all refusals: a commit has shown that they were overcome."""
        self._error: KafkaError | None = None
        self._topic: str | None = None
        self._refused_ms: list[int] = []
        self._suspected_ms: defaultdict[tuple[str | None, int | None], list[int]]
        self._suspected_ms = defaultdict(list)

    def note(self, error: KafkaError, topic: str | None = None) -> None:
        """Keep the error if it does not pass. The last one counts."""
        if message_error_of(error) in PERMANENT:
            self._error = error
            self._topic = topic or self._topic

    def raise_if_any(self) -> None:
        """Raise TopicsWrong or TimestampRefused, once."""
        error, topic = self._error, self._topic
        times = self._refused_ms, list(self._suspected_ms.values())
        self.forget()
        if error is None:
            return
        where = f"topic {topic}" if topic is not None else "the broker refuses"
        message = f"{where}: {error}. {advice_on(error)}"
        if error.code() == KafkaError.INVALID_TIMESTAMP:
            refusal = TimestampRefused(message)
            refusal.refused_ms, refusal.suspected_ms = times
            raise refusal
        raise TopicsWrong(message)

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:
        """The delivery callback of a producer. It is called for failures, unless the user's options
        ask for all reports."""
        if error is not None:
            self.note(error, message.topic())

    def on_delivery_of(self, timestamp_ms: int) -> Callable[[KafkaError | None, Message], None]:
        """The delivery callback of a record with a time of its own, which its report does not
        have."""

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None and error.code() == KafkaError.INVALID_RECORD:
                self._refused_ms.append(timestamp_ms)  # of several in its batch: they are named
            elif error is not None and error.code() == KafkaError.INVALID_TIMESTAMP:
                # One of its batch: all are reported.
                self._suspected_ms[message.topic(), message.partition()].append(timestamp_ms)
            self.on_delivery(error, message)

        return on_delivery
