"""What is noted with a committed offset: its text, and that it travels with the offset."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from newsieve.devbroker.broker import Broker
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster, make_consumer, make_producer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.stream.crash_note import NOTHING, Note, parse
from newsieve_schemas.topics import RAW, topic_name, topics


def test_a_note_travels_with_the_offset_and_not_without_it(broker: Broker, prefix: str) -> None:
    """On a real broker: committed with it, aborted with it, gone when somebody sets the offset."""
    cluster = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(cluster).create(topics(prefix, {}))
    place = (topic_name(prefix, RAW), 0)
    config = cluster.consumer(prefix)
    offset_query = OffsetQuery(config, [], lambda: None)
    producing = cluster.producer({"transactional.id": prefix})
    publisher = TransactionalProducer(lambda _: make_producer(producing), lambda: None)
    publisher.connect()
    member = make_consumer(config)
    unfenced = member.consumer_group_metadata()

    publisher.commit({place: 2}, unfenced, {place: Note(in_flight=7).text()})
    assert offset_query.committed_with_metadata([place, (place[0], 1)]) == {
        place: (2, Note(in_flight=7).text())
    }

    producer = make_producer(producing)  # what follows is left open, and aborted by its successor
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(*place, 3, "lost")], unfenced, 20)
    make_producer(producing).init_transactions(20)
    assert offset_query.committed_with_metadata([place]) == {place: (2, Note(in_flight=7).text())}

    member.commit(offsets=[TopicPartition(*place, 1)], asynchronous=False)
    assert offset_query.committed_with_metadata([place]) == {place: (1, "")}
    member.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "newsieve-crash-note/2 in_flight=1",
        "somebody else's",
        "newsieve-crash-note/1 in_flight=",
    ],
)
def test_a_note_that_is_not_ours_says_nothing(text: str) -> None:
    """Of another version, of another tool, or cut off."""
    assert parse(text) == NOTHING


COUNTS = st.integers(0, 10**9 - 1)
NOBODY = st.builds(Note, COUNTS, COUNTS, COUNTS, st.none(), st.just(0), COUNTS)
SOMEBODY = st.builds(Note, COUNTS, COUNTS, COUNTS, st.integers(0, 10**18 - 1), COUNTS, COUNTS)


@given(note=NOBODY | SOMEBODY)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    """And fits what a broker takes with an offset, by default."""
    assert parse(note.text()) == note
    assert len(note.text()) < 4_096
