"""Asks the broker whether this user may do what a program does, for `newsieve doctor`.

It does not know which rights a program needs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation

from newsieve.errors import AccessDenied, BrokerUnavailable
from newsieve.kafka.admin import describe_group
from newsieve.kafka.config import Cluster, make_admin, make_producer, transactional_id
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts


def missing_rights(
    cluster: Cluster, needed: Collection[tuple[str, str]], group: str
) -> list[tuple[str, str]]:
    """The rights that are missing, each with the command that grants it.

    `needed` has topics with READ or WRITE. Raises BrokerUnavailable.
    """
    allow = "kafka-acls --add --allow-principal User:<you>"
    found = []
    admin = make_admin(cluster.admin())
    asked = admin.describe_topics(
        TopicCollection(sorted({topic for topic, _ in needed})),
        include_authorized_operations=True,
        request_timeout=cluster.timeouts.admin_seconds,
    )
    for topic, future in asked.items():
        try:
            allowed = future.result(cluster.timeouts.admin_seconds).authorized_operations or []
        except KafkaException as failure:
            found.append((f"{topic}: {failure.args[0].str()}", f"{allow} --topic {topic}"))
            continue
        found += [
            (f"may not {wanted} {topic}", f"{allow} --operation {wanted} --topic {topic}")
            for wanted in sorted(right for name, right in needed if name == topic)
            if AclOperation[wanted] not in allowed and AclOperation.ALL not in allowed
        ]
    if not _may_read_group(admin, group, cluster.timeouts):
        found.append((f"may not READ group {group}", f"{allow} --operation READ --group {group}"))
    refused = _transactions_refused(cluster, group)
    if refused is not None:
        grant = f"{allow} --operation WRITE --resource-pattern-type prefixed"
        found.append((refused, f"{grant} --transactional-id newsieve-{group}-"))
    return found


def _may_read_group(admin: Any, group: str, timeouts: Timeouts = TIMEOUTS) -> bool:
    try:
        found = describe_group(admin, group, timeouts, with_rights=True)
    except AccessDenied:
        return False
    allowed = (found.authorized_operations if found is not None else None) or []
    return AclOperation.READ in allowed or AclOperation.ALL in allowed


def _transactions_refused(cluster: Cluster, group: str) -> str | None:
    """Why transactions are refused, if they are. It takes a transactional id of its own: a worker's
    would fence that worker."""
    identity = transactional_id(group, ":doctor")  # no slot begins with a colon
    try:
        producer = make_producer(cluster.producer({"transactional.id": identity}))
        producer.init_transactions(cluster.timeouts.admin_seconds)
    except KafkaException as failure:
        error = failure.args[0]
        if error.retriable():
            raise BrokerUnavailable(f"no transaction coordinator answers: {error.str()}") from None
        return f"may not use transactional ids newsieve-{group}-*: {error.str()}"
    return None
