"""What the two kinds of consumers share about the partitions they read."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, TopicPartition

from newsieve.errors import ConsumerFailed, TopicsWrong
from newsieve.kafka.assignment import PausedPartitions, records_behind
from newsieve.kafka.message_errors import MessageError, fault_of_message

A, B = PARTITIONS = (("raw", 0), ("raw", 1))


class Client:
    """Keeps which partitions are paused, and knows the end of the first one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int]]] = []

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.calls.append(("pause", [item.partition for item in partitions]))

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.calls.append(("resume", [item.partition for item in partitions]))

    def get_watermark_offsets(self, item: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached, "the broker is not asked"
        return (0, 10) if item.partition == 0 else (-1_001, -1_001)


def test_partitions_are_paused_and_resumed_once() -> None:
    """Only what changes is told to the client."""
    client, paused = Client(), PausedPartitions()

    for wanted in ([A], [A, B], [B], [B], []):
        paused.replace(client, wanted)

    assert client.calls == [("pause", [0]), ("pause", [1]), ("resume", [0]), ("resume", [1])]
    assert paused.partitions == frozenset()


def test_the_lag_is_known_where_position_and_end_are() -> None:
    """A position beyond the end that the client knows is no negative lag."""
    client = Client()

    assert records_behind(client, {A: 7, B: 7}) == {A: 3}
    assert records_behind(client, {A: 12}) == {A: 0}
    assert records_behind(client, {A: None}) == {}


@pytest.mark.parametrize("is_member", [True, False])
@pytest.mark.parametrize(
    "code", [KafkaError._FATAL, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN]
)
def test_every_consumer_takes_an_error_for_the_same(code: int, *, is_member: bool) -> None:
    """The client's end and a missing right are raised; the fault of any other is returned."""
    error = KafkaError(code, "scripted")
    if code == KafkaError.UNKNOWN:
        assert fault_of_message(error, is_member=is_member) is MessageError.UNKNOWN
        return
    with pytest.raises(ConsumerFailed if code == KafkaError._FATAL else TopicsWrong):
        fault_of_message(error, is_member=is_member)


def test_a_right_on_the_group_is_missed_by_members_alone() -> None:
    """Who reads without a group has to name one, and joins none."""
    error = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "scripted")

    assert fault_of_message(error, is_member=False) is None
    with pytest.raises(TopicsWrong):
        fault_of_message(error)
