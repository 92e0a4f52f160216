"""A plain, idempotent producer for commands that put files on a topic.

It knows no transactions, and nothing of what the records say.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, Message

from newsieve.deadline import Deadline
from newsieve.errors import BrokerUnavailable, TopicsWrong
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster, make_producer
from newsieve.kafka.transactional_producer import PRODUCERS_CLOCK
from newsieve.records.decode import Headers


class PlainProducer:
    """Sends records to one topic and counts what arrived. Leaving the block waits for all that
    was sent, whatever ends it."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.topic = topic
        self.delivered = 0
        self._cluster = cluster
        self._failure: KafkaError | None = None
        config = cluster.producer({"linger.ms": 20}) | {"delivery.report.only.error": False}
        config.pop("transaction.timeout.ms")
        self._producer = make_producer(config)

    def __enter__(self) -> PlainProducer:
        """Require that the topic is there. Raises BrokerUnavailable or TopicsWrong."""
        # Asked for one topic, a broker may create it, with its own defaults.
        if self.topic not in TopicAdmin(self._cluster).partitions():
            raise TopicsWrong(f"there is no topic {self.topic}. Run `newsieve topics create`")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        deadline = Deadline(self._cluster.timeouts.delivery_seconds)
        while self._producer.flush(1) and not deadline.is_over:
            pass
        if kind is not None:
            return
        self._raise_failure()
        if len(self._producer):
            raise BrokerUnavailable(f"{len(self._producer)} records were not delivered in time")

    def send(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        timestamp_ms: int = PRODUCERS_CLOCK,
    ) -> None:
        """Send one record. Raises BrokerUnavailable for one that was not delivered."""
        while True:
            self._raise_failure()
            try:
                self._producer.produce(
                    self.topic,
                    value=value,
                    key=key,
                    headers=headers or [],
                    timestamp=timestamp_ms,
                    on_delivery=self._delivered,
                )
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as failure:
                raise BrokerUnavailable(f"{self.topic}: {failure.args[0].str()}") from None

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        elif self._failure is None:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BrokerUnavailable(f"{self.topic}: {self._failure.str()}")
