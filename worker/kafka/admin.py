"""Topics: creating what is missing from the one table, and saying what differs; who is in a group.
Commands only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from schemas.topics import MAX_MESSAGE_BYTES, Topic
from worker.errors import AccessDenied, TopicsWrong
from worker.kafka.client import CALL_SECONDS, Cluster, Partition, make_admin, patiently

ADMIN_SECONDS: Final = 15
BROKER_DEFAULT: Final = -1


@dataclass(frozen=True, slots=True)
class Difference:
    """How a topic is not what the table says."""

    topic: str
    what: str
    mend: str


class TopicAdmin:
    """Short-lived: make one per command."""

    def __init__(self, cluster: Cluster) -> None:
        self._admin = make_admin(cluster.admin())

    def partitions(self) -> dict[str, int]:
        """Partition counts of all topics. Raises BrokerUnavailable or AccessDenied."""
        metadata = patiently(self._admin, lambda: self._admin.list_topics(timeout=CALL_SECONDS))
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def create(self, topics: Sequence[Topic]) -> list[str]:
        """Create what is missing; return its names. Raises TopicsWrong or BrokerUnavailable."""
        known = self.partitions()
        wanted = [_new_topic(topic) for topic in topics if topic.name not in known]
        if not wanted:
            return []
        created = []
        for name, future in self._admin.create_topics(wanted).items():
            try:
                future.result(ADMIN_SECONDS)
                created.append(name)
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise TopicsWrong(f"cannot create {name}: {error.str()}") from None
        self._wait_for(created)
        return sorted(created)

    def _wait_for(self, names: Sequence[str]) -> None:
        """Until brokers know them: the controller answers before that. Raises TopicsWrong."""
        deadline = time.monotonic() + ADMIN_SECONDS
        while unseen := sorted(set(names) - self.partitions().keys()):
            if time.monotonic() > deadline:
                raise TopicsWrong(
                    f"created {', '.join(unseen)}, but no broker shows it: may we DESCRIBE it?"
                )
            time.sleep(0.1)

    def differences(self, topics: Sequence[Topic]) -> list[Difference]:
        """What `create` and an administrator would have to do."""
        known = self.partitions()
        found = [
            Difference(topic.name, "missing", "newsieve topics create")
            for topic in topics
            if topic.name not in known
        ]
        present = [topic for topic in topics if topic.name in known]
        return found + self._configuration_differences(present, known)

    def _configuration_differences(
        self, topics: Sequence[Topic], partitions: dict[str, int]
    ) -> list[Difference]:
        found = []
        resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
        if not resources:
            return []
        for resource, future in self._admin.describe_configs(list(resources)).items():
            topic = resources[resource]
            count = partitions[topic.name]
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
                actual = {key: entry.value for key, entry in future.result(ADMIN_SECONDS).items()}
            except KafkaException as failure:
                raise TopicsWrong(
                    f"cannot read {topic.name}'s settings: {failure.args[0]}"
                ) from None
            found += _compare(topic, actual)
        return found


def group_members(cluster: Cluster, group: str) -> list[frozenset[Partition]]:
    """What each member of a consumer group was given to read; of one that was killed, too, until
    its session is over.

    Raises AccessDenied without DESCRIBE on the group, or BrokerUnavailable.
    """
    found = describe_group(make_admin(cluster.admin()), group)
    return [
        frozenset((item.topic, item.partition) for item in member.assignment.topic_partitions)
        for member in (found.members if found is not None else ())
    ]


def describe_group(admin: AdminClient, group: str, *, with_rights: bool = False) -> Any | None:
    """A consumer group as the broker sees it, None where it sees none. Asked again for a while: a
    new cluster takes seconds to make room for its first group. Raises as `group_members`."""

    def describe() -> Any | None:
        asked = admin.describe_consumer_groups(
            [group], include_authorized_operations=with_rights, request_timeout=CALL_SECONDS
        )
        try:
            return asked[group].result(2 * CALL_SECONDS)
        except KafkaException as failure:
            code = failure.args[0].code()
            if code == KafkaError.GROUP_ID_NOT_FOUND:
                return None
            if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise AccessDenied(f"no right to DESCRIBE group {group}") from None
            raise

    return patiently(admin, describe)


def _compare(topic: Topic, actual: dict[str, str]) -> list[Difference]:
    alter = f"kafka-configs --alter --entity-type topics --entity-name {topic.name} --add-config"
    found = []
    largest = int(actual.get("max.message.bytes", 0))
    if largest < MAX_MESSAGE_BYTES:
        what = f"max.message.bytes is {largest:,}, less than {MAX_MESSAGE_BYTES:,}"
        mend = f"{alter} max.message.bytes={MAX_MESSAGE_BYTES}"
        found.append(Difference(topic.name, what, mend))
    policy = actual.get("cleanup.policy", "")
    if set(policy.split(",")) != {topic.kind.cleanup}:
        what = f"cleanup.policy is {policy}, not {topic.kind.cleanup}"
        mend = f"{alter} cleanup.policy={topic.kind.cleanup}"
        found.append(Difference(topic.name, what, mend))
    return found


def _new_topic(topic: Topic) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.kind.partitions,
        replication_factor=BROKER_DEFAULT,
        config={
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "cleanup.policy": topic.kind.cleanup,
        },
    )
