"""What every program is built with: the cluster, the topics, a slot, an outbox."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import newsieve
from newsieve.filters.registry import Filter, FilterRegistry
from newsieve.filters.secret_key import SecretKey
from newsieve.kafka.config import (
    Cluster,
    largest_message_bytes,
    make_producer,
    transactional_id,
)
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.dead_letter import Writer
from newsieve.settings.loader import Settings
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.health import Health, M
from newsieve.stream.logs import get_logger
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.published import Published
from newsieve_schemas.topics import DEAD_LETTER, Topic, topic_name, topics

_log = get_logger("assemble")


def cluster(settings: Settings) -> Cluster:
    return Cluster(settings.kafka.bootstrap_servers, settings.kafka.options)


def secret_key(settings: Settings) -> SecretKey | None:
    """What `sampling.key` is good for."""
    key = settings.sampling.key
    return SecretKey(key.get_secret_value()) if key is not None else None


def load_filters(settings: Settings) -> list[Filter]:
    """The filters at work. Raises UnknownFilter or FilterInvalid."""
    filters = filter_registry(settings)
    return [filters.load(reference) for reference in settings.worker.filters]


def filter_registry(settings: Settings) -> FilterRegistry:
    """Finds filters where the settings say; logs those that others hide."""
    for item in settings.filters.registry.shadowed:
        _log.warning(
            "filter.ignored", filter=item.reference, used=str(item.used), ignored=str(item.ignored)
        )
    return settings.filters.registry


def all_topics(settings: Settings, filters: Sequence[Filter]) -> list[Topic]:
    """The table of topics for these filters."""
    tiers = {item.name: item.definition.published_tiers for item in filters}
    return topics(settings.kafka.topic_prefix, tiers)


@dataclass(frozen=True, slots=True)
class Slot:
    """A worker's place: its name, and its transactional producer."""

    name: str
    publisher: TransactionalProducer


def open_health(settings: Settings, metrics: M) -> Health[M]:
    """The port of a program that has yet to load what it needs. Raises SettingsInvalid."""
    health = Health(settings.observe.host, settings.observe.port, metrics)
    _log.info("health.opened", observe_port=health.port)
    return health


def slot_of(
    settings: Settings, group: str, slot: str | None, setting: str, heartbeat: Callable[[], None]
) -> Slot:
    """A group's slot; a made-up one where `setting` is not set. Raises as `take_slot`."""
    name = slot or _random_slot(setting)
    producing = cluster(settings).producer({"transactional.id": transactional_id(group, name)})
    publisher = TransactionalProducer(
        lambda on_delivery: make_producer(producing | {"on_delivery": on_delivery}),
        heartbeat,
        largest_message_bytes(producing),
    )
    publisher.connect()
    return Slot(name, publisher)


def outbox_of(
    settings: Settings,
    publisher: TransactionalProducer,
    group: str,
    published: Published | None = None,
) -> OutcomePublisher:
    """With the settings' limits on dead letters."""
    limits = DeadLetterLimiter(
        settings.worker.dead_letter_ratio,
        settings.worker.dead_letter_window,
        settings.worker.dead_letter_run,
    )
    letters = topic_name(settings.kafka.topic_prefix, DEAD_LETTER)
    writer = Writer(letters, group, newsieve.__version__)
    oversize = settings.worker.oversize_letters
    return OutcomePublisher(publisher, limits, writer, utc_now, published, oversize)


def utc_now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _random_slot(setting: str) -> str:
    slot = secrets.token_hex(4)
    _log.warning(
        "slot.made_up",
        slot=slot,
        advice=f"set {setting}, stable per replica: a restart then ends what its "
        "predecessor left open at once instead of after the transaction's time-out",
    )
    return slot
