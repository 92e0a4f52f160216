"""Asks the broker where a group and its partitions stand.

Each time through a client of its own that lives for the question: a member's own client can hang
behind a pending join, and a client that has lived through a broker's fault may know nothing new.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException

from newsieve.errors import AccessDenied, TopicsWrong
from newsieve.kafka.config import Config, Partition, make_consumer, topic_partition
from newsieve.kafka.message_errors import MessageError, message_error_of
from newsieve.kafka.retry import RetryPolicy, ask_until_answered, last_client_error
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts

# How often a topic is looked for: one that is being made anew is not missing for good.
TRIES: Final = 6
# In a row. A broker that ends in the middle of a handshake, or has yet to load its users, looks for
# once as if it did not trust us.
DENIALS: Final = 2

Answer = TypeVar("Answer")

_log = logging.getLogger("newsieve.kafka")


class Watermarks(NamedTuple):
    """A partition's first offset, the one past its last, and the group's own, if it has any."""

    low: int
    high: int
    committed: int | None


class OffsetQuery:
    """Asks the broker for the offsets of one group and its topics."""

    def __init__(
        self,
        config: Config,
        topics: Sequence[str],
        heartbeat: Callable[[], None],
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        """`topics` are those that have to be there; `heartbeat` says the loop is alive."""
        self._config = {key: value for key, value in config.items() if key != "group.instance.id"}
        self._topics = topics
        self._heartbeat = heartbeat
        self._timeouts = timeouts
        self._denials = 0

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The group's offsets, for the partitions where it has one.

        Raises BrokerUnavailable without an answer, TopicsWrong or AccessDenied for a refusal.
        """
        return {
            item: offset for item, (offset, _) in self.committed_with_metadata(partitions).items()
        }

    def committed_with_metadata(
        self, partitions: Sequence[Partition]
    ) -> dict[Partition, tuple[int, str]]:
        """The group's offsets, where it has any, each with the metadata that was committed with
        it. Raises as `committed`."""

        def ask(consumer: Consumer) -> dict[Partition, tuple[int, str]]:
            wanted = [topic_partition(partition, OFFSET_INVALID) for partition in partitions]
            found = consumer.committed(wanted, timeout=self._timeouts.answer_seconds)
            for item in found:
                if item.error is not None:
                    raise KafkaException(item.error)
            return {
                (item.topic, item.partition): (item.offset, item.metadata or "")
                for item in found
                if item.offset >= 0
            }

        return self._ask(ask)

    def watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, Watermarks]:
        """Where partitions begin and end, and where the group stands. Raises as `committed`."""
        committed = self.committed(partitions)

        def ask(consumer: Consumer) -> dict[Partition, Watermarks]:
            found = {}
            for partition in partitions:
                low, high = consumer.get_watermark_offsets(
                    topic_partition(partition, OFFSET_INVALID),
                    timeout=self._timeouts.answer_seconds,
                )
                found[partition] = Watermarks(low, high, committed.get(partition))
            return found

        return self._ask(ask)

    def require_topics(self) -> None:
        """Raise TopicsWrong when a topic stays away; a broker that does not answer is no news.

        Raises AccessDenied when it does not trust us any more.
        """
        missing: list[str] = []
        for _ in range(TRIES):
            with self._consumer() as consumer:
                try:
                    missing = [topic for topic in self._topics if not self._exists(consumer, topic)]
                except KafkaException:
                    self._complaint_of(consumer)
                    return
            self._denials = 0
            if not missing:
                return
            time.sleep(self._timeouts.topic_return_seconds)
        raise TopicsWrong(
            f"these topics are gone: {', '.join(missing)}. `newsieve topics create` creates topics "
            "that are missing"
        )

    def _ask(self, ask: Callable[[Consumer], Answer]) -> Answer:
        policy = RetryPolicy(
            self._timeouts.query_patience_seconds,
            self._timeouts.query_retry_seconds,
            "the broker does not say what is committed: {reason}",
            counts_unlisted=True,
        )
        answer = ask_until_answered(self._consumer, ask, self._explain, policy)
        self._denials = 0
        return answer

    def _explain(self, consumer: Consumer, error: KafkaError) -> str:
        reason = self._complaint_of(consumer) or str(error)
        _log.warning("inquiry.failed %s", reason)
        return reason

    def _complaint_of(self, consumer: Consumer) -> str:
        """The reason that the client gives. Raises AccessDenied when the broker has turned us away
        DENIALS times in a row."""
        try:
            complaint = last_client_error(consumer)
        except AccessDenied as denied:
            self._denials += 1
            if self._denials == DENIALS:
                raise
            return str(denied)
        self._denials = 0
        return complaint

    @contextlib.contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        self._heartbeat()
        consumer = make_consumer(self._config)
        try:
            yield consumer
        finally:
            consumer.close()

    def _exists(self, consumer: Consumer, topic: str) -> bool:
        """Whether the topic is there. Raises KafkaException when the broker does not say."""
        metadata = consumer.list_topics(topic, timeout=self._timeouts.answer_seconds)
        error = metadata.topics[topic].error
        if error is not None and message_error_of(error) is not MessageError.TOPIC:
            raise KafkaException(error)
        return error is None
