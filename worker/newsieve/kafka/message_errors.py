"""Whose fault an error of Kafka's is: the one table of error codes, for all clients.

An error that is in none of its rows is UNKNOWN: it is tried again like one that passes, but not for
ever, which `SameAgain` decides. What follows from a fault is for the callers to decide.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from confluent_kafka import KafkaError

from newsieve.errors import ConsumerFailed, TopicsWrong, Transient
from newsieve.kafka.offsets import Partition
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts


class MessageError(Enum):
    """The kinds of errors, by whose fault they are."""

    OUTPUT = auto()  # a record as we wrote it: this topic never takes it
    TOPIC = auto()  # the topic is not there, or not as transactions need it
    ACCESS = auto()  # we lack a right
    IDENTITY = auto()  # one of the two does not believe who the other is
    FENCED = auto()  # somebody else has our transactional id
    GROUP = auto()  # the group does not let us in as we are
    FATAL = auto()  # the client is of no more use
    PASSING = auto()  # a broker's, a network's, a rebalance's: it comes and goes
    UNKNOWN = auto()  # nobody has listed it


PERMANENT: Final = frozenset(
    {MessageError.OUTPUT, MessageError.TOPIC, MessageError.ACCESS, MessageError.IDENTITY}
)

# Names, since those of librdkafka's own codes begin with an underscore.
_CODES: Final[Mapping[MessageError, str]] = {
    MessageError.OUTPUT: """
        MSG_SIZE_TOO_LARGE RECORD_LIST_TOO_LARGE INVALID_MSG_SIZE INVALID_TIMESTAMP INVALID_RECORD
        POLICY_VIOLATION UNSUPPORTED_COMPRESSION_TYPE UNSUPPORTED_FOR_MESSAGE_FORMAT""",
    # For a producer librdkafka has waited 30 s (topic.metadata.propagation.max.ms) until it says
    # that a topic is not there.
    MessageError.TOPIC: """
        UNKNOWN_TOPIC_OR_PART _UNKNOWN_TOPIC TOPIC_EXCEPTION INVALID_TRANSACTION_TIMEOUT""",
    MessageError.ACCESS: """
        TOPIC_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED
        TRANSACTIONAL_ID_AUTHORIZATION_FAILED""",
    MessageError.IDENTITY: """_AUTHENTICATION _SSL SASL_AUTHENTICATION_FAILED
        UNSUPPORTED_SASL_MECHANISM""",
    MessageError.FENCED: "_FENCED INVALID_PRODUCER_EPOCH PRODUCER_FENCED",
    MessageError.GROUP: "INCONSISTENT_GROUP_PROTOCOL UNSUPPORTED_ASSIGNOR",
    MessageError.FATAL: "_FATAL",
    MessageError.PASSING: """
        _TRANSPORT _ALL_BROKERS_DOWN _RESOLVE _TIMED_OUT _TIMED_OUT_QUEUE _MSG_TIMED_OUT _WAIT_COORD
        _WAIT_CACHE _IN_PROGRESS _PREV_IN_PROGRESS _CONFLICT _INTR _RETRY _QUEUE_FULL _PURGE_QUEUE
        _PURGE_INFLIGHT _DESTROY _DESTROY_BROKER _OUTDATED _ISR_INSUFF _NODE_UPDATE _UNKNOWN_BROKER
        _ASSIGN_PARTITIONS _REVOKE_PARTITIONS _ASSIGNMENT_LOST _MAX_POLL_EXCEEDED _NO_OFFSET
        _AUTO_OFFSET_RESET _LOG_TRUNCATION _GAPLESS_GUARANTEE _INVALID_DIFFERENT_RECORD
        INVALID_MSG OFFSET_OUT_OF_RANGE LEADER_NOT_AVAILABLE NOT_LEADER_FOR_PARTITION
        REQUEST_TIMED_OUT BROKER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE STALE_CTRL_EPOCH
        NETWORK_EXCEPTION COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR
        NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND NOT_CONTROLLER KAFKA_STORAGE_ERROR
        ILLEGAL_GENERATION UNKNOWN_MEMBER_ID REBALANCE_IN_PROGRESS MEMBER_ID_REQUIRED
        FENCED_INSTANCE_ID FENCED_MEMBER_EPOCH STALE_MEMBER_EPOCH UNRELEASED_INSTANCE_ID
        OUT_OF_ORDER_SEQUENCE_NUMBER DUPLICATE_SEQUENCE_NUMBER UNKNOWN_PRODUCER_ID
        INVALID_PRODUCER_ID_MAPPING INVALID_TXN_STATE CONCURRENT_TRANSACTIONS
        TRANSACTION_COORDINATOR_FENCED TRANSACTION_ABORTABLE UNSTABLE_OFFSET_COMMIT
        FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH FENCED_LEADER_EPOCH
        UNKNOWN_LEADER_EPOCH STALE_BROKER_EPOCH OFFSET_NOT_AVAILABLE PREFERRED_LEADER_NOT_AVAILABLE
        ELIGIBLE_LEADERS_NOT_AVAILABLE LISTENER_NOT_FOUND REASSIGNMENT_IN_PROGRESS
        THROTTLING_QUOTA_EXCEEDED UNKNOWN_TOPIC_ID INCONSISTENT_TOPIC_ID REBOOTSTRAP_REQUIRED""",
}
_FAULTS: Final[Mapping[int, MessageError]] = {
    getattr(KafkaError, name): fault for fault, names in _CODES.items() for name in names.split()
}

SAME_TIMES: Final = 4  # that a failure comes before it can be a person's turn
_NUMBERS: Final = re.compile(r"\d+")


def message_error_of(error: KafkaError) -> MessageError:
    """The row of the table that the error is in."""
    known = _FAULTS.get(error.code())
    if known is not None:
        return known
    if error.fatal():
        return MessageError.FATAL
    return MessageError.PASSING if error.retriable() else MessageError.UNKNOWN


def advice_on(error: KafkaError) -> str:
    """The sentence that says where to look, for an error that does not pass."""
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        return (
            "Compare this machine's clock with the broker's, and message.timestamp.before.max.ms "
            "and message.timestamp.after.max.ms of the topic: `newsieve topics check`"
        )
    if error.code() in (KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION):
        return (
            "Is the topic compacted, or does the broker check records by a schema or policy of "
            "its own? `newsieve topics check` compares the topic with what newsieve needs"
        )
    return "`newsieve topics check` and `newsieve doctor` say what is missing or not allowed"


def require_access(error: KafkaError) -> None:
    """Raise TopicsWrong for a right that is missing: asking again would not help."""
    if message_error_of(error) is MessageError.ACCESS:
        raise TopicsWrong(f"the broker refuses: {error}. {advice_on(error)}")


def fault_of_message(error: KafkaError, *, is_member: bool = True) -> MessageError | None:
    """Whose fault the error is that a consumer was given in place of a record.

    None where it means nothing: without a group, `is_member` being False, no right on one is
    needed. Raises ConsumerFailed for the end of the client, or TopicsWrong where a right is
    missing.
    """
    fault = message_error_of(error)
    # .fatal() is False for the bare _FATAL that later calls give; testing only the first leaves a
    # process that lives, polls and does nothing for ever.
    if error.fatal() or fault is MessageError.FATAL:
        raise ConsumerFailed(f"the consumer failed: {error}")
    if not is_member and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return None
    require_access(error)
    return fault


def unlisted_failure(error: KafkaError, partition: Partition) -> Transient:
    """What to raise for an error of a partition that is in no row of the table."""
    where = f"{partition[0]}, partition {partition[1]}"
    reason = f"reading {where}: {error}{_unreadable_advice(error)}"
    return Transient(reason, passes=False, partition=partition)


def _unreadable_advice(error: KafkaError) -> str:
    """The sentence that says what to do where a batch cannot be decompressed."""
    if error.code() != KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - its public name
        return ""
    return (
        ". That batch is broken, or unfolds to more than receive.message.max.bytes: see *A batch "
        "that unfolds* in the runbook"
    )


@dataclass(slots=True)
class _Repeated:
    offset: int
    since: float
    latest: float
    times: int = 0


class SameAgain:
    """Counts failures for one reason while the partitions concerned stay where they are."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, timeouts: Timeouts = TIMEOUTS
    ) -> None:
        self._clock = clock
        self._timeouts = timeouts
        self._known: dict[tuple[str, Partition | None], _Repeated] = {}
        self._latest: list[_Repeated] = []

    def failed(self, reason: str, places: Mapping[Partition, int]) -> None:
        """Count a failure for this reason, with the partitions still at these offsets."""
        kind, now = _NUMBERS.sub("", reason), self._clock()
        concerned: list[tuple[Partition | None, int]] = [*places.items()] or [(None, 0)]
        self._latest = []
        for partition, offset in concerned:
            item = self._known.get((kind, partition))
            if item is None or item.offset != offset or self._is_over(item, now):
                item = self._known[kind, partition] = _Repeated(offset, now, now)
            item.times, item.latest = item.times + 1, now
            self._latest.append(item)

    def passed(self) -> None:
        """Forget all failures: another reason came, and that one passes."""
        self._known.clear()
        self._latest = []

    def committed(self) -> None:
        """Forget failures that were of no known partition, for which any progress counts."""
        self._known = {key: item for key, item in self._known.items() if key[1] is not None}

    def is_stuck(self, *, is_last: bool = False) -> bool:
        """Whether the latest failure has come often enough and, unless this was the last try, for
        long enough."""
        since = self._clock() - self._timeouts.same_failure_seconds
        return any(
            item.times >= SAME_TIMES and (is_last or item.since <= since) for item in self._latest
        )

    def _is_over(self, item: _Repeated, now: float) -> bool:
        return now - item.latest > self._timeouts.passed_failure_seconds
