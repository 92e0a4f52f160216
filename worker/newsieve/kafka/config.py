"""How each client is configured, and why; nothing is connected here.

The user's librdkafka options come over ours in every client, except what exactly-once rests on
(see settings). Options of the other kind of client are left out, or librdkafka warns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from newsieve.errors import SettingsInvalid
from newsieve.kafka.client_log import MaskingLog
from newsieve.kafka.secret_options import SecretMask, plain
from newsieve.kafka.timeouts import TIMEOUTS, TRANSACTION_TIMEOUT_SECONDS, Timeouts
from newsieve_schemas.topics import MAX_MESSAGE_BYTES

APP: Final = "newsieve"
Config = dict[str, Any]
Partition = tuple[str, int]

# A fourth of it is room for what a dead letter says of the worst record: 1,000 characters of a
# message, the names of topic, group and filter, and the framing.
LEAST_MESSAGE_BYTES: Final = 32_768

_COMMON: Final[Config] = {
    "client.id": APP,
    "socket.keepalive.enable": True,
    # A broker that comes back is found at once; the default waits up to 10 s.
    "reconnect.backoff.max.ms": 1_000,
}
_CONSUMER: Final[Config] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # Also for plain input: it makes offset fetches wait for transactions that are pending.
    "isolation.level": "read_committed",
    # Who has no offset, or one that is gone, is told so: see `offset_reset`. `earliest` would
    # score a truncated partition again.
    "auto.offset.reset": "error",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 6_000,  # a killed worker's partitions move after this
    "heartbeat.interval.ms": 2_000,
    # Longer than any revoke and than our watchdog's patience; a rebalance that somebody blocks
    # takes as long.
    "max.poll.interval.ms": 60_000,
    "queued.min.messages": 5_000,
    "queued.max.messages.kbytes": 32_768,
    "fetch.queue.backoff.ms": 20,  # or the queue runs dry
    "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
}
_PRODUCER: Final[Config] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    # Nothing is visible before its commit, which flushes: waiting for it is free. And librdkafka
    # spins while a partition has records that are due behind others that a slow broker has not
    # acknowledged; flushed, all of a transaction's records are on their way at once.
    "linger.ms": 5_000,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 262_144,
    "message.max.bytes": MAX_MESSAGE_BYTES,
    # The default made three CONCURRENT_TRANSACTIONS in a row cost 760 ms.
    "retry.backoff.ms": 20,
    "transaction.timeout.ms": TRANSACTION_TIMEOUT_SECONDS * 1_000,
    # With the default, re-bootstrapping, send_offsets_to_transaction can hang for ever after a
    # broker's stall or restart. For consumers the default stays: theirs could idle for ever.
    "metadata.recovery.strategy": "none",
    "delivery.report.only.error": True,
}
# KIP-848 leaves these to the broker, and librdkafka refuses them.
_CLASSIC_ONLY: Final = frozenset(
    {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"}
)
_CONSUMER_ONLY: Final = (
    "group.", "session.", "heartbeat.", "partition.assignment", "max.poll.", "fetch.", "queued.",
    "auto.offset", "max.partition.fetch", "check.crcs", "coordinator.query",
)  # fmt: skip
_PRODUCER_ONLY: Final = (
    "linger.", "batch.", "compression.", "queue.buffering", "acks", "request.required.acks",
    "message.timeout", "delivery.timeout", "transaction.", "delivery.report", "partitioner",
    "sticky.", "message.send", "request.timeout",
)  # fmt: skip


# Were it shorter than an operation, librdkafka would send the end of a transaction again, and the
# first, arriving late, could end the next transaction. Its default is transaction.timeout.ms.
_NOT_A_PRODUCERS: Final = ("socket.timeout.",)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the broker is, the user's librdkafka options, and how long we wait for it."""

    bootstrap_servers: str
    options: Mapping[str, Any]
    timeouts: Timeouts = TIMEOUTS

    def consumer(self, group: str, ours: Mapping[str, Any] | None = None) -> Config:
        """The configuration of a consumer of a group. `ours` comes over our defaults, the user's
        options over both."""
        config = self._config(_CONSUMER, ours, _PRODUCER_ONLY) | {"group.id": group}
        if config.get("group.protocol") == "consumer":
            config = {key: value for key, value in config.items() if key not in _CLASSIC_ONLY}
        return config

    def producer(self, ours: Mapping[str, Any] | None = None) -> Config:
        """The configuration of a producer, made as a consumer's is."""
        return self._config(_PRODUCER, ours, (*_CONSUMER_ONLY, *_NOT_A_PRODUCERS))

    def admin(self) -> Config:
        """The configuration of an admin client."""
        return self._config({}, None, (*_CONSUMER_ONLY, *_PRODUCER_ONLY))

    def _config(
        self, base: Config, ours: Mapping[str, Any] | None, left_out: tuple[str, ...]
    ) -> Config:
        options = {
            key: value for key, value in plain(self.options).items() if not key.startswith(left_out)
        }
        return {
            **_COMMON,
            **base,
            **(ours or {}),
            "bootstrap.servers": self.bootstrap_servers,
            **options,
        }


def admin_of(config: Config) -> Config:
    """The part of a consumer's configuration that a client needs to ask about its group."""
    left_out = (*_CONSUMER_ONLY, *_CONSUMER)
    return {key: value for key, value in config.items() if not key.startswith(left_out)}


def transactional_id(group: str, slot: str) -> str:
    """The transactional id of a group's slot. Two pairs of group and slot never give one id, since
    neither may contain a colon. Rights are given on the prefix `newsieve-<group>-`."""
    return f"{APP}-{group}-:{slot}"


def largest_message_bytes(config: Config) -> int:
    """The size in bytes that a producer of this configuration takes. Raises SettingsInvalid."""
    limit = config["message.max.bytes"]
    try:
        found = int(limit)
    except (TypeError, ValueError):
        raise SettingsInvalid(
            f"kafka.options: message.max.bytes is {limit!r}, not a number"
        ) from None
    if found < LEAST_MESSAGE_BYTES:
        raise SettingsInvalid(
            f"kafka.options: message.max.bytes is {found:,}; a dead letter needs up to "
            f"{LEAST_MESSAGE_BYTES:,}"
        )
    return found


class _Complaining:
    """Keeps the last error that a client reported beside its calls, whose own errors say no more
    than "no answer"."""

    complaints: deque[KafkaError]


class _Consumer(_Complaining, Consumer):  # type: ignore[misc]  # untyped to us, as the other two
    pass


class _Producer(_Complaining, Producer):  # type: ignore[misc]
    pass


class _Admin(_Complaining, AdminClient):  # type: ignore[misc]
    pass


def make_consumer(config: Config) -> Consumer:
    """Make a consumer. Raises SettingsInvalid for an option that librdkafka refuses."""
    return _make(_Consumer, config)


def make_producer(config: Config) -> Producer:
    """Make a producer. Raises as `make_consumer`."""
    return _make(_Producer, config)


def make_admin(config: Config) -> AdminClient:
    """Make an admin client, for commands. Raises as `make_consumer`. A program that delivers holds
    none: after a broker's fault it can stall for minutes."""
    return _make(_Admin, config)


def _make(client: type[Any], config: Config) -> Any:
    complaints: deque[KafkaError] = deque(maxlen=1)
    mask = SecretMask(config)

    def complain(error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - it says no more than that
            complaints.append(KafkaError(error.code(), mask(error.str())))

    try:
        made = client({"error_cb": complain, **config}, logger=MaskingLog(mask))
        made.complaints = complaints
        return made
    except KafkaException as failure:
        raise SettingsInvalid(f"kafka.options: {mask(failure.args[0].str())}") from None
    except ImportError as failure:  # of a way to sign in that has a package of its own
        said = " ".join(str(failure).split())
        package = (failure.name or "").partition(".")[0]
        advice = "" if "pip install" in said or not package else f": pip install {package}"
        raise SettingsInvalid(f"kafka.options: {mask(said)}{advice}") from None
    except (AttributeError, SystemError, TypeError, ValueError) as failure:
        # A callback, which no setting can give, or a text that has no UTF-8 form.
        raise SettingsInvalid(f"kafka.options: {mask(str(failure))}") from None


def topic_partition(partition: Partition, offset: int) -> TopicPartition:
    """A partition at an offset, as librdkafka takes it."""
    return TopicPartition(partition[0], partition[1], offset)
