"""Builds `newsieve push` from the settings and an order: the topic, the webhook and the loop.

Does not know the command line.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import orjson

from newsieve.bootstrap.common import cluster
from newsieve.bootstrap.proxies import uses_proxies
from newsieve.errors import BrokerLost, BrokerUnavailable, TopicsWrong
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.at_least_once_consumer import AtLeastOnceConsumer
from newsieve.programs.pushing.conditions import Conditions
from newsieve.programs.pushing.loop import DeliveryLoop, RetryPolicy
from newsieve.programs.pushing.observer import PushObserver
from newsieve.programs.pushing.shapes import SHAPES
from newsieve.programs.pushing.signature import key_of
from newsieve.programs.pushing.webhook import WebhookDeliverer
from newsieve.settings.loader import Settings
from newsieve.stream.health import Health
from newsieve.stream.logs import get_logger
from newsieve.stream.push_metrics import PushMetrics
from newsieve_schemas.topics import topic_name

COMPONENT: Final = "push"
GROUP_PREFIX: Final = "newsieve-push-"
GROUP_DIGITS: Final = 12  # of a hash: 48 bits, which no two addresses of a house share by chance
MOST_NAMED: Final = 40  # topics in an error

_log = get_logger(COMPONENT)


@dataclass(frozen=True, slots=True)
class PushOrder:
    """What is pushed, where to, and how: `topic` is a full name, `shape` one of SHAPES."""

    topic: str
    address: str
    shape: str
    conditions: Conditions
    group: str
    from_beginning: bool
    until_end: bool


@dataclass(frozen=True, slots=True)
class RunningPush:
    """A delivery loop, its observer, and what has to be closed behind them."""

    loop: DeliveryLoop
    observer: PushObserver
    _opened: ExitStack

    def close(self) -> None:
        """Leave the group, and close the connections."""
        self._opened.close()


def resolve_topic(settings: Settings, name: str) -> str:
    """Return the full name of a topic that is named in full or by what follows the prefix. Raises
    TopicsWrong with the topics there are, AccessDenied or BrokerLost."""
    try:
        known = TopicAdmin(cluster(settings)).partitions()
    except BrokerUnavailable as error:
        raise BrokerLost(str(error)) from None
    prefix = settings.kafka.topic_prefix
    for candidate in (name, topic_name(prefix, name), topic_name(prefix, name.replace("_", "-"))):
        if candidate in known:
            return candidate
    raise TopicsWrong(
        f"there is no topic {name!r}, or it is not ours to see{_named(known, prefix)}"
    )


def _named(known: Collection[str], prefix: str) -> str:
    ours = sorted(topic for topic in known if topic.startswith(f"{prefix}."))
    if not ours:
        return f", and none that begins with {prefix}.: `newsieve topics create` creates them"
    more = f" and {len(ours) - MOST_NAMED} more" if len(ours) > MOST_NAMED else ""
    return f". There are: {', '.join(ours[:MOST_NAMED])}{more}"


def group_for(topic: str, address: str, shape: str, conditions: Conditions) -> str:
    """Return the group of a push that is given none: one for each topic, address, shape and set of
    conditions. Members of a group share a topic's records: each would pass over what only the
    other is to deliver."""
    wanted = [
        conditions.filter_name,
        sorted(conditions.tiers),
        conditions.min_score,
        sorted(conditions.sources),
    ]
    named = orjson.dumps([topic, address, shape, wanted])
    digest = hashlib.sha256(named).hexdigest()
    return GROUP_PREFIX + digest[:GROUP_DIGITS]


def retry_policy(max_pause_seconds: float) -> RetryPolicy:
    """Return the usual pauses, none longer than this."""
    usual = RetryPolicy()
    pauses = tuple(min(pause, max_pause_seconds) for pause in usual.refused_pauses_seconds)
    return RetryPolicy(max_pause_seconds, pauses)


def make_push(settings: Settings, order: PushOrder, health: Health[PushMetrics]) -> RunningPush:
    """Build a delivery loop, which joins its group at once. Raises SettingsInvalid, TopicsWrong,
    AccessDenied or BrokerLost."""
    push = settings.push
    key = key_of(push.secret.get_secret_value()) if push.secret is not None else None
    with ExitStack() as opened:
        deliverer = WebhookDeliverer(
            order.address,
            SHAPES[order.shape],
            key,
            push.timeout_seconds,
            uses_proxies=uses_proxies(order.address, COMPONENT, is_wanted=push.use_proxies),
        )
        opened.callback(deliverer.close)
        try:
            consumer = AtLeastOnceConsumer(
                cluster(settings),
                order.group,
                order.topic,
                from_beginning=order.from_beginning,
                until_end=order.until_end,
            )
        except BrokerUnavailable as error:
            raise BrokerLost(str(error)) from None
        opened.callback(consumer.close)
        observer = PushObserver(health.metrics, health.watchdog, consumer.lag)
        policy = retry_policy(push.max_backoff_seconds)
        loop = DeliveryLoop(
            consumer, order.conditions.are_met_by, deliverer, observer, policy, random.random
        )
        health.ready_when(lambda: consumer.is_member)
        _log.info(
            "push.assembled",
            topic=order.topic,
            to=deliverer.shown,
            shape=order.shape,
            group=order.group,
            signed=key is not None,
            observe_port=health.port,
            pid=os.getpid(),
        )
        return RunningPush(loop, observer, opened.pop_all())
