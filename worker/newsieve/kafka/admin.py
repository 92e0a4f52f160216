"""Topics as an administrator sees them: creates what the one table lacks, says what differs, and
tells who is in a group.

It is for commands only: a program that delivers holds no admin client.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from newsieve.deadline import Deadline
from newsieve.errors import AccessDenied, TopicsWrong
from newsieve.kafka.config import Cluster, Partition, largest_message_bytes, make_admin
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve_schemas.topics import Topic

BROKER_DEFAULT: Final = -1
COMPACT: Final = "compact"
# What was written since is not compacted yet, and a program reads all of it when it starts. Some
# services refuse less.
SEGMENT_MILLISECONDS: Final = 4 * 3_600 * 1_000
APPEND_TIME: Final = "LogAppendTime"  # the broker's own clock: no time is refused
# How far a record's time may be from the broker's. A transaction lasts half a minute at most, and a
# machine's clock may be off by more than that before anybody minds.
LEAST_MILLISECONDS: Final = {
    "message.timestamp.before.max.ms": 300_000,
    "message.timestamp.after.max.ms": 60_000,
    "message.timestamp.difference.max.ms": 300_000,  # both, of brokers before Kafka 4
}


@dataclass(frozen=True, slots=True)
class Difference:
    """How a topic differs from the table, and the command that repairs it."""

    topic: str
    what: str
    mend: str


class TopicAdmin:
    """An admin client for the topics of one cluster. It is short-lived: make one per command."""

    def __init__(self, cluster: Cluster) -> None:
        self._admin = make_admin(cluster.admin())
        self._cluster = cluster
        self._timeouts = cluster.timeouts

    @cached_property
    def _largest(self) -> int:
        """The size in bytes that our records may have. Raises SettingsInvalid."""
        return largest_message_bytes(self._cluster.producer())

    def partitions(self) -> dict[str, int]:
        """Partition counts of all topics. Raises BrokerUnavailable or AccessDenied."""
        return {name: len(topic.partitions) for name, topic in self._topics().items()}

    def _topics(self) -> dict[str, TopicMetadata]:
        metadata = retry_until_available(
            self._admin,
            lambda: self._admin.list_topics(timeout=self._timeouts.call_seconds),
            self._timeouts,
        )
        return dict(metadata.topics)

    def create(self, topics: Sequence[Topic]) -> list[str]:
        """Create what is missing; return its names. Raises TopicsWrong or BrokerUnavailable."""
        known = self.partitions()
        wanted = [_new_topic(topic, self._largest) for topic in topics if topic.name not in known]
        if not wanted:
            return []
        created = []
        for name, future in self._admin.create_topics(wanted).items():
            try:
                future.result(self._timeouts.admin_seconds)
                created.append(name)
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise TopicsWrong(f"cannot create {name}: {error.str()}") from None
        self._wait_for(created)
        return sorted(created)

    def _wait_for(self, names: Sequence[str]) -> None:
        """Wait until the brokers know these topics: the controller answers before that. Raises
        TopicsWrong."""
        deadline = Deadline(self._timeouts.admin_seconds)
        while unseen := sorted(set(names) - self.partitions().keys()):
            if deadline.is_over:
                raise TopicsWrong(
                    f"created {', '.join(unseen)}, but no broker shows it: may we DESCRIBE it?"
                )
            time.sleep(0.1)

    def differences(self, topics: Sequence[Topic]) -> list[Difference]:
        """What `create` and an administrator would have to change."""
        known = self._topics()
        found = [
            Difference(topic.name, "missing", "newsieve topics create")
            for topic in topics
            if topic.name not in known
        ]
        present = [topic for topic in topics if topic.name in known]
        return found + self._configuration_differences(present, known)

    def _configuration_differences(
        self, topics: Sequence[Topic], known: Mapping[str, TopicMetadata]
    ) -> list[Difference]:
        found = []
        resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
        if not resources:
            return []
        for resource, future in self._admin.describe_configs(list(resources)).items():
            topic = resources[resource]
            partitions = known[topic.name].partitions.values()
            count = len(partitions)
            # More are fine, but for topics whose order or compaction rests on there being one.
            if count < topic.kind.partitions or count > topic.kind.partitions == 1:
                mend = f"kafka-topics --alter --topic {topic.name} --partitions"
                found.append(
                    Difference(
                        topic.name,
                        f"{count} partitions, not {topic.kind.partitions}",
                        f"{mend} {topic.kind.partitions}",
                    )
                )
            try:
                entries = future.result(self._timeouts.admin_seconds).items()
                actual = {key: entry.value for key, entry in entries}
            except KafkaException as failure:
                raise TopicsWrong(
                    f"cannot read {topic.name}'s settings: {failure.args[0]}"
                ) from None
            replicas = min((len(item.replicas) for item in partitions), default=0)
            found += _compare(topic, actual, replicas, self._largest)
        return found


def group_members(cluster: Cluster, group: str) -> list[frozenset[Partition]]:
    """The partitions that each member of a consumer group was given; those of a killed member, too,
    until its session is over.

    Raises AccessDenied without DESCRIBE on the group, or BrokerUnavailable.
    """
    found = describe_group(make_admin(cluster.admin()), group, cluster.timeouts)
    return [
        frozenset((item.topic, item.partition) for item in member.assignment.topic_partitions)
        for member in (found.members if found is not None else ())
    ]


def describe_group(
    admin: AdminClient, group: str, timeouts: Timeouts = TIMEOUTS, *, with_rights: bool = False
) -> Any | None:
    """A consumer group as the broker sees it, None where it sees none. The broker is asked again
    for a while: a new cluster takes seconds to make room for its first group. Raises as
    `group_members`."""

    def describe() -> Any | None:
        asked = admin.describe_consumer_groups(
            [group],
            include_authorized_operations=with_rights,
            request_timeout=timeouts.call_seconds,
        )
        try:
            return asked[group].result(2 * timeouts.call_seconds)
        except KafkaException as failure:
            code = failure.args[0].code()
            if code == KafkaError.GROUP_ID_NOT_FOUND:
                return None
            if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise AccessDenied(f"no right to DESCRIBE group {group}") from None
            raise

    return retry_until_available(admin, describe, timeouts)


def _compare(
    topic: Topic, actual: Mapping[str, str | None], replicas: int, largest: int
) -> Iterator[Difference]:
    """The differences that will do harm sooner or later, each with the command that repairs it."""
    alter = f"kafka-configs --alter --entity-type topics --entity-name {topic.name} --add-config"

    def differs(what: str, key: str, value: int | str) -> Difference:
        return Difference(topic.name, what, f"{alter} {key}={value}")

    taken = int(actual.get("max.message.bytes") or 0)
    if taken < largest:
        what = f"max.message.bytes is {taken:,}, less than {largest:,}"
        yield differs(what, "max.message.bytes", largest)
    policy = actual.get("cleanup.policy") or ""
    if set(policy.split(",")) != {topic.kind.cleanup}:
        what = f"cleanup.policy is {policy}, not {topic.kind.cleanup}"
        if COMPACT in policy:
            what += ": of records with one key only the latest stays"
        yield differs(what, "cleanup.policy", topic.kind.cleanup)
    if actual.get("message.timestamp.type") != APPEND_TIME:
        for key, least in LEAST_MILLISECONDS.items():
            limit = actual.get(key)
            if limit is not None and int(limit) < least:
                what = f"{key} is {int(limit):,}, less than {least:,}: what waits for a slow broker"
                yield differs(f"{what}, or comes from a clock that differs, is refused", key, least)
    in_sync = int(actual.get("min.insync.replicas") or 1)
    if in_sync > replicas:
        what = f"min.insync.replicas is {in_sync}, with {replicas} replicas: nothing can be written"
        yield differs(what, "min.insync.replicas", replicas)


def _new_topic(topic: Topic, largest: int) -> NewTopic:
    is_compacted = topic.kind.cleanup == COMPACT
    return NewTopic(
        topic.name,
        num_partitions=topic.kind.partitions,
        replication_factor=BROKER_DEFAULT,
        config={
            "max.message.bytes": str(largest),
            "cleanup.policy": topic.kind.cleanup,
            **({"segment.ms": str(SEGMENT_MILLISECONDS)} if is_compacted else {}),
        },
    )
