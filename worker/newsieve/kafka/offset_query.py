"""What a worker asks the broker when it does not know where it stands.

Each time through a client of its own that lives for the question: a member's own client can hang
behind a pending join, and a client that has lived through a broker's fault may know nothing new.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException

from newsieve.errors import AccessDenied, BrokerUnavailable, TopicsWrong
from newsieve.kafka.config import (
    Config,
    Partition,
    last_client_error,
    make_consumer,
    require_access,
    topic_partition,
)
from newsieve.kafka.message_errors import MessageError, message_error_of

ANSWER_SECONDS: Final = 8
TRIES: Final = 6  # of BETWEEN_SECONDS: a topic being made anew is not missing for good
BETWEEN_SECONDS: Final = 1.0
# Then the caller looks around, whether it was told to stop, and asks again. A broker that loads its
# offsets refuses at once, many times a second.
PATIENCE_SECONDS: Final = 15
REFUSED_SECONDS: Final = 0.2
# In a row. A broker that ends in the middle of a handshake, or has yet to load its users, looks for
# once as if it did not trust us.
DENIALS: Final = 2

Answer = TypeVar("Answer")

_log = logging.getLogger("newsieve.kafka")


class Watermarks(NamedTuple):
    """A partition's first offset, one past its last, and the group's own, if it has any."""

    low: int
    high: int
    committed: int | None


class OffsetQuery:
    """Asks for one group and its topics."""

    def __init__(
        self, config: Config, topics: Sequence[str], heartbeat: Callable[[], None]
    ) -> None:
        """`topics` are those that have to be there; `heartbeat` says the loop is alive."""
        self._config = {key: value for key, value in config.items() if key != "group.instance.id"}
        self._topics = topics
        self._heartbeat = heartbeat
        self._denials = 0

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The group's offsets, where it has any.

        Raises BrokerUnavailable without an answer, TopicsWrong or AccessDenied for a refusal.
        """
        return {item: offset for item, (offset, _) in self.notes(partitions).items()}

    def notes(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, str]]:
        """The group's offsets, where it has any, and what was noted with them. Raises as
        `committed`."""

        def ask(consumer: Consumer) -> dict[Partition, tuple[int, str]]:
            wanted = [topic_partition(partition, OFFSET_INVALID) for partition in partitions]
            found = consumer.committed(wanted, timeout=ANSWER_SECONDS)
            for item in found:
                if item.error is not None:
                    raise KafkaException(item.error)
            return {
                (item.topic, item.partition): (item.offset, item.metadata or "")
                for item in found
                if item.offset >= 0
            }

        return self._patiently(ask)

    def extents(self, partitions: Sequence[Partition]) -> dict[Partition, Watermarks]:
        """Where partitions begin and end. Raises as `committed`."""
        committed = self.committed(partitions)

        def ask(consumer: Consumer) -> dict[Partition, Watermarks]:
            found = {}
            for partition in partitions:
                place = topic_partition(partition, OFFSET_INVALID)
                low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
                found[partition] = Watermarks(low, high, committed.get(partition))
            return found

        return self._patiently(ask)

    def require_topics(self) -> None:
        """Raise TopicsWrong when a topic stays away; a broker that does not answer is no news.

        Raises AccessDenied when it does not trust us any more.
        """
        missing: list[str] = []
        for _ in range(TRIES):
            self._heartbeat()
            with self._consumer() as consumer:
                try:
                    missing = [topic for topic in self._topics if not _exists(consumer, topic)]
                except KafkaException:
                    self._complaint_of(consumer)
                    return
            self._denials = 0
            if not missing:
                return
            time.sleep(BETWEEN_SECONDS)
        raise TopicsWrong(
            f"no longer there: {', '.join(missing)}. `newsieve topics create` makes what is missing"
        )

    def _patiently(self, ask: Callable[[Consumer], Answer]) -> Answer:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._heartbeat()
            with self._consumer() as consumer:
                try:
                    answer = ask(consumer)
                    self._denials = 0
                    return answer
                except KafkaException as failure:
                    error = failure.args[0]
                    require_access(error)
                    reason = self._complaint_of(consumer) or str(error)
            _log.warning("inquiry.failed %s", reason)
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"the broker does not say what is committed: {reason}",
                    passes=message_error_of(error) is not MessageError.UNKNOWN,
                )
            time.sleep(REFUSED_SECONDS)

    def _complaint_of(self, consumer: Consumer) -> str:
        """Raises AccessDenied once that is no passing one."""
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
        consumer = make_consumer(self._config)
        try:
            yield consumer
        finally:
            consumer.close()


def _exists(consumer: Consumer, topic: str) -> bool:
    """Raises KafkaException when the broker does not say."""
    found = consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].error
    if found is not None and message_error_of(found) is not MessageError.TOPIC:
        raise KafkaException(found)
    return found is None
