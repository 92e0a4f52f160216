"""The consuming side: records in, with the epoch they were taken in; rebalances; going back.

Owner thread only. A rebalance is served inside `take`: before partitions are given up, the listener
may publish and commit what is finished.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from newsieve.errors import ConsumerFailed, Transient
from newsieve.kafka import group_process
from newsieve.kafka.call_timeout import CallTimedOut, RateLimit, TimedCaller
from newsieve.kafka.config import Config, Partition, make_consumer, require_access, topic_partition
from newsieve.kafka.group_membership import GroupMembershipCheck, generation_and_member
from newsieve.kafka.message_errors import MessageError, message_error_of, unreadable_advice
from newsieve.kafka.messages import raw_record
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.offset_reset import OffsetReset
from newsieve.kafka.offsets import Offsets
from newsieve.kafka.poll_size import PollSize
from newsieve.records.decode import RawRecord

RENEWALS_PER_MINUTE: Final = 3
CLOSE_SECONDS: Final = 5
# A consumer that has lost its coordinator may never join again. A rebalance takes less, as long as
# no member is in the middle of a commit.
OUTSIDE_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 20.0  # a topic that is gone says nothing: ask

_log = logging.getLogger("newsieve.kafka")


class ConsumedRecord(NamedTuple):
    """A raw record, where it stood, and the epoch it was taken in. `record` is None for a
    tombstone and for the end of a backfill, which have no outcome but move the offset on."""

    record: RawRecord | None
    partition: Partition
    offset: int
    epoch: int


class RebalanceListener(Protocol):
    """Who has work in flight."""

    def before_revoke(self, partitions: Sequence[Partition]) -> None:
        """Publish and commit what is finished; must not raise."""
        ...

    def after_loss(self) -> None:
        """The partitions are gone already: nothing may be committed any more; must not raise."""
        ...


class GroupConsumer:
    """A member of the consumer group. With `ends` it takes nothing from those offsets on."""

    def __init__(
        self,
        config: Config,
        topic: str,
        inquiry: OffsetQuery,
        expired: Callable[[int], None],
        ends: Mapping[Partition, int] | None = None,
    ) -> None:
        """`expired` hears of records that retention took before we could."""
        self.offsets = Offsets()
        self._ends = ends or {}
        self._ended: dict[Partition, int] = {}  # in which epoch the end was reached
        self.is_member = False  # read by other threads
        self._inquiry = inquiry
        self._position = OffsetReset(self.offsets, inquiry, expired)
        self._company = GroupMembershipCheck(lambda: group_process.ask(config), config)
        self._portions = PollSize()
        self._heard_at = self._member_at = time.monotonic()
        self._astray: set[Partition] = set()  # no record where we are, or nowhere yet
        self._held: set[Partition] = set()
        self._topic = topic
        self._config = {**config, "enable.partition.eof": True}  # for `lag` and for `ends`
        self._consumer: Consumer = make_consumer(self._config)
        self._renewals = RateLimit(RENEWALS_PER_MINUTE)
        self._listener: RebalanceListener | None = None

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group; rebalances are the listener's business, too."""
        self._listener = listener
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def poll(self, count: int, seconds: float) -> list[ConsumedRecord]:
        """Up to `count` records, fewer of large ones, waiting at most so long for all of them.

        Serves rebalances. Raises ConsumerFailed, GroupOccupied, TopicsWrong or OffsetsWrong;
        BrokerUnavailable and Transient, which a rewind has to follow.
        """
        self._company.mind()
        try:
            return self._portions.gather(self._take, count, seconds)
        except ConsumerFailed as failure:
            self._renew(failure)
            return []

    def _take(self, count: int, seconds: float) -> list[ConsumedRecord]:
        try:
            messages = self._consumer.consume(count, seconds)
        except KafkaException as failure:
            raise ConsumerFailed(f"consume: {failure.args[0]}") from None
        self._mind_silence(is_heard=bool(messages))
        taken: list[ConsumedRecord] = []
        unlisted: Transient | None = None
        for message in messages:
            error = message.error()
            partition = (message.topic(), message.partition())
            if self._ends and self._is_beyond(partition, message.offset()):
                taken += self._end(partition)
                continue
            if error is not None:
                if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
                    self._astray.add(partition)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    self.offsets.at_end(partition, message.offset())
                else:
                    unlisted = self._judge(error, partition) or unlisted
                continue
            epoch = self.offsets.take(partition, message.offset())
            if self._astray:
                self._astray.discard(partition)  # moved on since
            if epoch is not None:
                record = raw_record(message) if message.value() is not None else None
                taken.append(ConsumedRecord(record, partition, message.offset(), epoch))
        if unlisted is not None:  # only now: a rewind goes back to no record it has not heard of
            raise unlisted
        self._find_the_way()
        return taken

    def _find_the_way(self) -> None:
        """Of partitions that are astray, which librdkafka says once. Raises as `take`."""
        if astray := [item for item in self._astray if self.offsets.is_owned(item)]:
            self._position.find(self._consumer, astray)
        self._astray.clear()

    def _is_standing_by(self) -> bool:
        """KIP-848 tells a member without partitions nothing; other groups assign it none."""
        return self._config.get("group.protocol") == "consumer" and bool(self.group_metadata())

    def _renew(self, failure: ConsumerFailed) -> None:
        """Join the group as somebody new.

        A consumer may have lost its coordinator for good; and after a broker's kill -9 live static
        members are fenced, with nobody there to fence them. If there is somebody, they have our
        transactional id, too, and our next transaction fails. Raises the failure when that does
        not help, or GroupOccupied.
        """
        if not self._renewals.may():
            self._company.require_ours()
            raise failure
        _log.warning("consumer.renewed %s", failure)
        former, self._consumer = self._consumer, make_consumer(self._config)
        self._lose(self.offsets.owned())
        with contextlib.suppress(CallTimedOut):
            TimedCaller().call(lambda _: former.close(), CLOSE_SECONDS)
        if self._listener is not None:
            self.subscribe(self._listener)

    def _mind_silence(self, *, is_heard: bool) -> None:
        """Raises ConsumerFailed or TopicsWrong."""
        now = time.monotonic()
        if is_heard:
            self._heard_at = now
        elif now - self._heard_at > SILENCE_SECONDS:
            self._heard_at = now
            self.require_topics()
        if self.is_member or self._is_standing_by():
            self.is_member, self._member_at = True, now
        elif now - self._member_at > OUTSIDE_SECONDS:
            self._member_at = now
            self._company.outside()
            raise ConsumerFailed(f"not a member of the group for {OUTSIDE_SECONDS:.0f} s")

    def _is_beyond(self, partition: Partition, offset: int | None) -> bool:
        return offset is not None and partition in self._ends and offset >= self._ends[partition]

    def _end(self, partition: Partition) -> list[ConsumedRecord]:
        """What moves the offset up to the end of a backfill, behind all that was taken before:
        there may be no record just below it."""
        end = self._ends[partition]
        epoch = self.offsets.take(partition, end)
        if epoch is None or self._ended.get(partition) == epoch:
            return []
        self._ended[partition] = epoch
        return [ConsumedRecord(None, partition, end - 1, epoch)]

    def rewind(self) -> None:
        """Go back to the first record whose outcome is not committed. Raises ConsumerFailed."""
        for partition, offset in self.offsets.rewind().items():
            self._position.go_to(self._consumer, partition, offset)

    def rewind_to_committed(self) -> None:
        """Go back to what the broker has committed. Raises BrokerUnavailable when it does not say,
        TopicsWrong when a topic is no longer there, ConsumerFailed."""
        self.require_topics()
        if owned := self.offsets.owned():
            self.offsets.resume_at(self._inquiry.committed(owned))
        self.rewind()

    def require_topics(self) -> None:
        """Raise TopicsWrong when a topic is no longer there."""
        self._inquiry.require_topics()

    def group_metadata(self) -> bytes | None:
        """What fences a commit. None while we are no member: Kafka would accept that, unfenced."""
        metadata: bytes = self._consumer.consumer_group_metadata()
        generation, member = generation_and_member(metadata)
        return metadata if generation >= 0 and member else None

    def lag(self) -> dict[Partition, int]:
        """Records behind the end of each owned partition, as far as the client knows."""
        found = {}
        for partition in self.offsets.owned():
            at = self.offsets.lag_position(partition)
            _, high = self._consumer.get_watermark_offsets(
                topic_partition(partition, OFFSET_INVALID), cached=True
            )
            if at is not None and high >= 0:
                found[partition] = max(high - at, 0)
        return found

    def hold(self, partitions: Iterable[Partition], *, is_held: bool) -> None:
        """Take nothing from these of the partitions owned now, or take again. Rebalances are served
        all the same; what comes to be owned meanwhile, perhaps again, is not held."""
        ours = {item for item in partitions if self.offsets.is_owned(item)}
        self._held = self._held | ours if is_held else self._held - ours
        if ours:
            change = self._consumer.pause if is_held else self._consumer.resume
            change([topic_partition(item, OFFSET_INVALID) for item in ours])

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _on_assign(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        if member is not self._consumer:  # a former one
            return
        self.is_member = True
        self._company.joined()
        self.offsets.assign(_names(partitions))
        # librdkafka remembers a pause when a partition leaves and comes back.
        self.hold(self._held & set(_names(partitions)), is_held=False)
        _log.info("partitions.assigned %s", [item.partition for item in partitions])

    def _on_revoke(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        if member is not self._consumer:
            return
        if self._listener is not None:
            self._listener.before_revoke(_names(partitions))
        self.offsets.revoke(_names(partitions))
        _log.info("partitions.revoked %s", [item.partition for item in partitions])

    def _on_lost(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        if member is self._consumer:
            self._lose(_names(partitions))

    def _lose(self, partitions: list[Partition]) -> None:
        if self._listener is not None:
            self._listener.after_loss()
        self.is_member = False
        self.offsets.revoke(partitions)
        _log.warning("partitions.lost %s", [number for _, number in partitions])

    def _judge(self, error: KafkaError, partition: Partition) -> Transient | None:
        """What to raise for it, after the records that came with it. Raises what ends us."""
        # .fatal() is False for the bare _FATAL that later calls give; testing only the first
        # leaves a process that lives, polls and does nothing for ever.
        fault = message_error_of(error)
        if error.fatal() or fault is MessageError.FATAL:
            raise ConsumerFailed(f"the consumer failed: {error}")
        require_access(error)
        if fault is MessageError.GROUP:
            self._company.refused(error)
            return None
        if fault is MessageError.UNKNOWN:
            reason = f"reading {partition[0]}: {error}{unreadable_advice(error)}"
            return Transient(reason, passes=False, partition=partition)
        _log.warning("consumer.error %s", error)
        return None


def _names(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(item.topic, item.partition) for item in partitions]
