"""The member of a consumer group: polls records with their epoch, serves rebalances, and rewinds.

Owner thread only. A rebalance is served inside `poll`: before partitions are given up, the listener
may publish and commit what is finished. It does not know what is done with the records.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from newsieve.errors import ConsumerFailed, Transient
from newsieve.kafka import group_process
from newsieve.kafka.assignment import PausedPartitions, records_behind
from newsieve.kafka.call_timeout import CallTimedOut, RateLimit, TimedCaller
from newsieve.kafka.config import Config, Partition, make_consumer
from newsieve.kafka.end_offsets import EndOffsets
from newsieve.kafka.group_membership import GroupMembershipCheck, generation_and_member
from newsieve.kafka.message_errors import MessageError, fault_of_message, unlisted_failure
from newsieve.kafka.messages import ConsumedRecord, GroupRecord, raw_record
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.offset_reset import OffsetReset
from newsieve.kafka.offsets import Offsets
from newsieve.kafka.poll_size import PollSize
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts

RENEWALS_PER_MINUTE: Final = 3

_log = logging.getLogger("newsieve.kafka")


class RebalanceListener(Protocol):
    """The object that a group consumer calls in a rebalance, inside `poll`."""

    def before_revoke(self, partitions: Sequence[Partition]) -> None:
        """Publish and commit what is finished of the partitions; must not raise."""
        ...

    def after_loss(self) -> None:
        """Note that the partitions are gone already, so that nothing may be committed any more;
        must not raise."""
        ...


class GroupConsumer:
    """A member of a consumer group. With `ends` it takes nothing from those offsets on."""

    # More than 15 methods: polling, seeking and the callbacks of a rebalance share the one client,
    # which `_renew` replaces.

    def __init__(
        self,
        config: Config,
        topic: str,
        offset_query: OffsetQuery,
        on_expired: Callable[[int], None],
        ends: Mapping[Partition, int] | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        """`on_expired` is called with how many records retention took before they were read."""
        self.offsets = Offsets()
        self._ends = EndOffsets(ends, self.offsets) if ends else None
        self.is_member = False  # read by other threads
        self._offset_query = offset_query
        self._offset_reset = OffsetReset(self.offsets, offset_query, on_expired)
        self._timeouts = timeouts
        self._membership = GroupMembershipCheck(lambda: group_process.ask(config), config, timeouts)
        self._poll_size = PollSize()
        self._heard_at = self._member_at = time.monotonic()
        self._needing_reset: set[Partition] = set()  # no record at the position, or none yet
        self._paused = PausedPartitions()
        self._topic = topic
        self._config = {**config, "enable.partition.eof": True}  # for `lag` and for `ends`
        self._consumer: Consumer = make_consumer(self._config)
        self._renewals = RateLimit(RENEWALS_PER_MINUTE)
        self._listener: RebalanceListener | None = None

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group. The listener is called in each rebalance."""
        self._listener = listener
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def poll(self, count: int, seconds: float) -> list[GroupRecord]:
        """Up to `count` records, fewer of large ones, waiting at most so long for all of them.

        Serves rebalances. Raises ConsumerFailed, GroupOccupied, TopicsWrong or OffsetsWrong;
        BrokerUnavailable and Transient, which a rewind has to follow.
        """
        self._membership.check()
        try:
            return self._poll_size.gather(self._take, count, seconds)
        except ConsumerFailed as failure:
            self._renew(failure)
            return []

    def _take(self, count: int, seconds: float) -> list[GroupRecord]:
        try:
            messages = self._consumer.consume(count, seconds)
        except KafkaException as failure:
            raise ConsumerFailed(f"consume: {failure.args[0]}") from None
        self._mind_silence(is_heard=bool(messages))
        taken: list[GroupRecord] = []
        unlisted: Transient | None = None
        for message in messages:
            error, offset = message.error(), message.offset()
            partition = (message.topic(), message.partition())
            if self._ends is not None and self._ends.is_beyond(partition, offset):
                taken += self._ends.reach(partition)
                continue
            if error is not None:
                if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
                    self._needing_reset.add(partition)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    self.offsets.at_end(partition, offset)
                else:
                    unlisted = self._failure(error, partition) or unlisted
                continue
            epoch = self.offsets.take(partition, offset)
            if self._needing_reset:
                self._needing_reset.discard(partition)  # moved on since
            if epoch is not None:
                record = raw_record(message) if message.value() is not None else None
                taken.append(ConsumedRecord(record, partition, offset, epoch))
        if unlisted is not None:  # only now: a rewind goes back to no record it has not heard of
            raise unlisted
        self._reset_offsets()
        return taken

    def _reset_offsets(self) -> None:
        """Seek partitions that have no record where they are read, which librdkafka says once.
        Raises what `OffsetReset.resolve` raises."""
        if lost := [item for item in self._needing_reset if self.offsets.is_owned(item)]:
            self._offset_reset.resolve(self._consumer, lost)
        self._needing_reset.clear()

    def _is_standing_by(self) -> bool:
        """Whether we are a member without partitions, to whom KIP-848 says nothing; other groups
        assign such a member none."""
        return self._config.get("group.protocol") == "consumer" and bool(self.group_metadata())

    def _renew(self, failure: ConsumerFailed) -> None:
        """Join the group again with a new client.

        A consumer may have lost its coordinator for good; and after a broker's kill -9 live static
        members are fenced, with nobody there to fence them. If there is somebody, they have our
        transactional id, too, and our next transaction fails. Raises the failure when that does not
        help, or GroupOccupied.
        """
        if not self._renewals.try_acquire():
            self._membership.require_ours()
            raise failure
        _log.warning("consumer.renewed %s", failure)
        former, self._consumer = self._consumer, make_consumer(self._config)
        self._lose(self.offsets.owned())
        with contextlib.suppress(CallTimedOut):
            TimedCaller(self._timeouts.grace_seconds).call(
                lambda _: former.close(), self._timeouts.close_seconds
            )
        if self._listener is not None:
            self.subscribe(self._listener)

    def _mind_silence(self, *, is_heard: bool) -> None:
        """Look whether the topic is still there, or join again, after a long silence. Raises
        ConsumerFailed or TopicsWrong."""
        now = time.monotonic()
        if is_heard:
            self._heard_at = now
        elif now - self._heard_at > self._timeouts.silence_seconds:
            self._heard_at = now
            self.require_topics()
        if self.is_member or self._is_standing_by():
            self.is_member, self._member_at = True, now
        elif now - self._member_at > self._timeouts.outside_seconds:
            self._member_at = now
            self._membership.outside()
            seconds = self._timeouts.outside_seconds
            raise ConsumerFailed(f"not a member of the group for {seconds:.0f} s")

    def rewind(self) -> None:
        """Go back to the first record whose outcome is not committed. Raises ConsumerFailed."""
        for partition, offset in self.offsets.rewind().items():
            self._offset_reset.seek(self._consumer, partition, offset)

    def rewind_to_committed(self) -> None:
        """Go back to the offsets that the broker has committed. Raises BrokerUnavailable when it
        does not say, TopicsWrong when a topic is no longer there, or ConsumerFailed."""
        self.require_topics()
        if owned := self.offsets.owned():
            self.offsets.resume_at(self._offset_query.committed(owned))
        self.rewind()

    def require_topics(self) -> None:
        """Raise TopicsWrong when a topic is no longer there."""
        self._offset_query.require_topics()

    def group_metadata(self) -> bytes | None:
        """The metadata that fences a commit. None while we are no member: Kafka would accept a
        commit without it, unfenced."""
        metadata: bytes = self._consumer.consumer_group_metadata()
        generation, member = generation_and_member(metadata)
        return metadata if generation >= 0 and member else None

    def lag(self) -> dict[Partition, int]:
        """Records behind the end of each owned partition, as far as the client knows."""
        positions = {item: self.offsets.lag_position(item) for item in self.offsets.owned()}
        return records_behind(self._consumer, positions)

    def hold(self, partitions: Iterable[Partition], *, is_held: bool) -> None:
        """Take nothing from these of the partitions owned now, or take again if not `is_held`.
        Rebalances are served all the same; a partition that comes to be owned meanwhile, perhaps
        again, is not held."""
        ours = {item for item in partitions if self.offsets.is_owned(item)}
        held = self._paused.partitions
        self._paused.replace(self._consumer, held | ours if is_held else held - ours)

    def close(self) -> None:
        """Leave the group, and give its partitions up."""
        self._consumer.close()

    def _on_assign(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        if member is not self._consumer:  # a former one
            return
        self.is_member = True
        self._membership.joined()
        self.offsets.assign(_names(partitions))
        # librdkafka remembers a pause when a partition leaves and comes back.
        self.hold(_names(partitions), is_held=False)
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

    def _failure(self, error: KafkaError, partition: Partition) -> Transient | None:
        """What to raise for an error after the records that came with it, or None for one that
        passes. Raises ConsumerFailed or TopicsWrong at once."""
        fault = fault_of_message(error)
        if fault is MessageError.GROUP:
            self._membership.refused(error)
        elif fault is MessageError.UNKNOWN:
            return unlisted_failure(error, partition)
        else:
            _log.warning("consumer.error %s", error)
        return None


def _names(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(item.topic, item.partition) for item in partitions]
