"""Builds what every program is built around: the cluster, its slot, its membership of a group.

It does not know what a program does with the records.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import newsieve
from newsieve.filters.registry import Filter, FilterRegistry
from newsieve.filters.secret_key import SecretKey
from newsieve.kafka.config import (
    Cluster,
    Partition,
    largest_message_bytes,
    make_producer,
    transactional_id,
)
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.dead_letter import Writer
from newsieve.settings.loader import Settings
from newsieve.stream.crash_recovery import CrashRecovery
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.exactly_once import ExactlyOnceRunner, FailureObserver
from newsieve.stream.health import Health, M
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import Metrics
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.published import Published
from newsieve_schemas.topics import DEAD_LETTER, Topic, topic_name, topics

Transactional = TypeVar("Transactional", bound=Metrics)  # metrics of a program with transactions

_log = get_logger("assemble")


def cluster(settings: Settings) -> Cluster:
    """The cluster that the settings name."""
    return Cluster(settings.kafka.bootstrap_servers, settings.kafka.options)


def secret_key(settings: Settings) -> SecretKey | None:
    """The key of `sampling.key`, if it is set."""
    key = settings.sampling.key
    return SecretKey(key.get_secret_value()) if key is not None else None


def load_filters(settings: Settings) -> list[Filter]:
    """The filters that the settings name. Raises UnknownFilter or FilterInvalid."""
    filters = filter_registry(settings)
    return [filters.load(reference) for reference in settings.worker.filters]


def filter_registry(settings: Settings) -> FilterRegistry:
    """The registry that finds filters where the settings say. Logs those that others hide."""
    for item in settings.filters.registry.shadowed:
        _log.warning(
            "filter.ignored", filter=item.reference, used=str(item.used), ignored=str(item.ignored)
        )
    return settings.filters.registry


def all_topics(settings: Settings, filters: Sequence[Filter]) -> list[Topic]:
    """The table of topics, with those of these filters."""
    tiers = {item.name: item.definition.published_tiers for item in filters}
    return topics(settings.kafka.topic_prefix, tiers)


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one process of a group: its name, and the transactional producer that only one
    process of this name can have."""

    name: str
    producer: TransactionalProducer


@dataclass(frozen=True, slots=True)
class GroupMember:
    """What a program reads a group's topic and publishes outcomes with."""

    cluster: Cluster
    offset_query: OffsetQuery
    consumer: GroupConsumer
    publisher: OutcomePublisher
    _producer: TransactionalProducer

    def runner(
        self, observer: FailureObserver, recovery: CrashRecovery | None = None
    ) -> ExactlyOnceRunner:
        """The runner that joins the group."""
        timeouts = self.cluster.timeouts
        return ExactlyOnceRunner(self.consumer, self._producer, observer, recovery, timeouts)


def open_health(settings: Settings, metrics: M) -> Health[M]:
    """Open the port of a program that has yet to load what it needs. Raises SettingsInvalid."""
    health = Health(settings.observe.host, settings.observe.port, metrics)
    _log.info("health.opened", observe_port=health.port)
    return health


def acquire_group_slot(
    settings: Settings, group: str, slot: str | None, setting: str, heartbeat: Callable[[], None]
) -> Slot:
    """Become the one process of a group's slot, whose name is generated where `setting` is not set:
    what a killed predecessor left open is aborted.

    Raises Fenced, TopicsWrong, AccessDenied or BrokerLost.
    """
    name = slot or _generated_slot(setting)
    kafka = cluster(settings)
    producing = kafka.producer({"transactional.id": transactional_id(group, name)})
    producer = TransactionalProducer(
        lambda on_delivery: make_producer(producing | {"on_delivery": on_delivery}),
        heartbeat,
        largest_message_bytes(producing),
        kafka.timeouts,
    )
    producer.connect()
    return Slot(name, producer)


def make_member(
    settings: Settings,
    group: str,
    slot: Slot,
    health: Health[Transactional],
    topics: Sequence[Topic],
    reads: str,
    ends: Mapping[Partition, int] | None = None,
    published: Published | None = None,
) -> GroupMember:
    """A member of a group, which joins when it is run.

    `topics` have to be there; `reads` is the suffix of the one that the group reads, up to `ends`;
    what is `published` is not published again.
    """
    kafka = cluster(settings)
    static = {"group.instance.id": slot.name} if settings.kafka.static_membership else {}
    config = kafka.consumer(group, static)
    names = [topic.name for topic in topics]
    offset_query = OffsetQuery(config, names, health.watchdog.beat, kafka.timeouts)
    topic = topic_name(settings.kafka.topic_prefix, reads)
    expired = health.metrics.expired
    consumer = GroupConsumer(config, topic, offset_query, expired, ends, kafka.timeouts)
    publisher = outcome_publisher(settings, slot.producer, group, published)
    return GroupMember(kafka, offset_query, consumer, publisher, slot.producer)


def outcome_publisher(
    settings: Settings,
    producer: TransactionalProducer,
    group: str,
    published: Published | None = None,
) -> OutcomePublisher:
    """A publisher of outcomes, with the settings' limits on dead letters."""
    limits = DeadLetterLimiter(
        settings.worker.dead_letter_ratio,
        settings.worker.dead_letter_window,
        settings.worker.dead_letter_run,
    )
    letters = topic_name(settings.kafka.topic_prefix, DEAD_LETTER)
    writer = Writer(letters, group, newsieve.__version__)
    oversize = settings.worker.oversize_letters
    return OutcomePublisher(producer, limits, writer, utc_now, published, oversize)


def utc_now() -> str:
    """The time in ISO 8601, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _generated_slot(setting: str) -> str:
    slot = secrets.token_hex(4)
    _log.warning(
        "slot.made_up",
        slot=slot,
        advice=f"set {setting}, stable per replica: a restart then ends what its "
        "predecessor left open at once instead of after the transaction's time-out",
    )
    return slot
