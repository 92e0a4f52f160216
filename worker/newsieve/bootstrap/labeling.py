"""Builds the labelling program from the settings: the provider, the loop and the budget store.

The registry imports the HTTP client only with a provider that needs it, so that commands without an
oracle start fast.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from newsieve.bootstrap.common import (
    Slot,
    acquire_group_slot,
    all_topics,
    filter_registry,
    make_member,
    secret_key,
    utc_now,
)
from newsieve.bootstrap.proxies import uses_proxies
from newsieve.errors import SettingsInvalid
from newsieve.filters.secret_key import SecretKey
from newsieve.kafka.config import APP
from newsieve.oracle.budget import UNLIMITED_USD, Caps
from newsieve.oracle.call_pool import CallObserver, CallPool
from newsieve.oracle.draw_order import DrawPositions
from newsieve.oracle.label_cache import LabelCache
from newsieve.oracle.ledger_record import LedgerCodec
from newsieve.oracle.oracle_spec import OracleSpec
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.base import Prices, Provider
from newsieve.oracle.providers.registry import ProviderSetup, provider_kind
from newsieve.oracle.records import ScoreEncoder
from newsieve.oracle.request_queue import RequestQueue
from newsieve.programs.labeling.budget_store import KafkaBudgetStore
from newsieve.programs.labeling.loop import LabelingLoop
from newsieve.programs.labeling.observer import OracleObserver
from newsieve.settings.loader import Settings
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.health import Health
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import OracleMetrics
from newsieve_schemas.topics import (
    CONTROL,
    DEAD_LETTER,
    ORACLE_REQUESTS,
    ORACLE_SCORES,
    Topic,
    topic_name,
)

COMPONENT = "oracle"

# What an oracle does to topics, for `newsieve doctor`.
RIGHTS = (
    (ORACLE_REQUESTS, "READ"),
    (ORACLE_SCORES, "READ"),
    (CONTROL, "READ"),
    (ORACLE_SCORES, "WRITE"),
    (CONTROL, "WRITE"),
    (DEAD_LETTER, "WRITE"),
)

_log = get_logger(COMPONENT)


def oracle_config(settings: Settings) -> OracleConfig:
    """Return the model that is asked, and how. Raises SettingsInvalid."""
    oracle = settings.oracle
    model = oracle.model or provider_kind(oracle.provider).default_model
    if model is None:
        raise SettingsInvalid(
            f"oracle.model is not set: name a model of {oracle.provider} in NEWSIEVE_ORACLE__MODEL"
        )
    return OracleConfig(oracle.provider, model, oracle.thinking, oracle.temperature)


def oracle_of(settings: Settings) -> OracleSpec:
    """Return the oracle, with the prompts of all filters there are. Raises SettingsInvalid."""
    oracle, filters = settings.oracle, filter_registry(settings)
    prompts = {
        reference: Prompt(filters.load(reference), oracle.article_characters)
        for reference in filters.references
    }
    prices = Prices(
        oracle.input_usd_per_million, oracle.output_usd_per_million, oracle.max_output_tokens
    )
    return OracleSpec(oracle_config(settings), prompts, prices, oracle.concurrency)


def make_provider(settings: Settings) -> Provider:
    """Make the provider that the settings name, without a call to it.

    Raises SettingsInvalid or InputFileInvalid.
    """
    oracle = settings.oracle
    kind, config = provider_kind(oracle.provider), oracle_config(settings)
    options = kind.read_options(oracle.provider, oracle.options)
    if kind.needs_key and oracle.api_key is None and oracle.endpoint is None:
        raise SettingsInvalid(
            f"{oracle.provider} wants a key: set NEWSIEVE_ORACLE__API_KEY in the environment"
        )
    endpoint = oracle.endpoint or kind.default_endpoint
    setup = ProviderSetup(
        config,
        endpoint,
        oracle.api_key,
        endpoint is not None and uses_proxies(endpoint, "oracle", is_wanted=oracle.use_proxies),
        oracle.timeout_seconds,
        oracle.max_output_tokens,
        oracle.label_file,
        options,
    )
    return kind.make(setup)


def caps(settings: Settings) -> Caps:
    """Return the limits of a day."""
    usd = settings.oracle.cost_usd_per_day
    max_usd = UNLIMITED_USD if usd is None else usd
    return Caps(settings.oracle.calls_per_day, max_usd, settings.oracle.source_share)


def make_call_pool(settings: Settings, provider: Provider, observer: CallObserver) -> CallPool:
    """Build the pool of calls to the provider."""
    return CallPool(provider, settings.oracle.concurrency, observer, random.random)


def oracle_topics(settings: Settings) -> list[Topic]:
    """Return the topics that the oracle reads or writes."""
    return [
        topic
        for topic in all_topics(settings, ())
        if topic.kind.suffix == ORACLE_REQUESTS or COMPONENT in topic.kind.writers
    ]


def acquire_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Become the one process of the slot. Raises Fenced, TopicsWrong or BrokerLost."""
    oracle = settings.oracle
    return acquire_group_slot(
        settings, oracle.group, oracle.slot, "NEWSIEVE_ORACLE__SLOT", heartbeat
    )


@dataclass(frozen=True, slots=True)
class RunningOracle:
    """A labelling loop, and the runner that runs it."""

    loop: LabelingLoop
    runner: ExactlyOnceRunner


def make_labeling_loop(
    settings: Settings, provider: Provider, slot: Slot, health: Health[OracleMetrics]
) -> RunningOracle:
    """Build a labelling loop. Health says that it is ready once it has joined its group.

    Raises SettingsInvalid.
    """
    group, prefix = settings.oracle.group, settings.kafka.topic_prefix
    source, needed = f"{APP}/{COMPONENT}/{group}", oracle_topics(settings)
    member = make_member(settings, group, slot, health, needed, ORACLE_REQUESTS)
    observer = OracleObserver(health.metrics, health.watchdog, member.consumer.lag)
    runner = member.runner(observer)
    oracle = oracle_of(settings)
    draw_positions = DrawPositions(secret_key(settings), SecretKey(secrets.token_hex()))
    queue = RequestQueue(
        oracle, make_call_pool(settings, provider, observer), LabelCache(), draw_positions
    )
    scores = topic_name(prefix, ORACLE_SCORES)
    ledger_codec = LedgerCodec(topic_name(prefix, CONTROL), group, source)
    budget_store = KafkaBudgetStore(
        member.cluster,
        member.offset_query,
        scores,
        ledger_codec,
        caps(settings),
        observer.heartbeat,
    )
    loop = LabelingLoop(
        runner,
        member.publisher,
        queue,
        ScoreEncoder(oracle.config, scores, source),
        budget_store,
        observer,
        utc_now,
        settings.oracle.drain_seconds,
    )
    health.ready_when(lambda: member.consumer.is_member)
    _log.info(
        "oracle.assembled",
        provider=oracle.config.provider,
        model=oracle.config.model,
        slot=slot.name,
        observe_port=health.port,
        pid=os.getpid(),
    )
    return RunningOracle(loop, runner)
