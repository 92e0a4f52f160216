"""The oracle on a real broker, against a provider that misbehaves: one score for every request."""

from __future__ import annotations

import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from newsieve.devbroker.broker import Broker
from tests.support.oracle_server import (
    Behaviour,
    about,
    and_then,
    busy,
    fails,
    good,
    moderated,
    raw,
    says,
    serving,
    wrong_key,
)
from tests.support.oracle_stream import KEY, OracleStream
from tests.support.reader import hanging_transactions
from tests.support.requests import request_record
from tests.support.workers import OracleProcess


@pytest.fixture
def oracle_stream(broker: Broker, prefix: str, tmp_path: Path) -> Iterator[OracleStream]:
    found = OracleStream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tmp_path})
    yield found
    found.close()


def test_every_request_has_exactly_one_score(oracle_stream: OracleStream) -> None:
    """Whatever the provider does: it turns calls away, breaks off, answers nonsense, refuses. What
    is no request is a dead letter with its bytes; the key is nowhere."""
    stream = oracle_stream
    requests = [request_record(f"a{number}") for number in range(24)]
    bad = [(b"k", b"{"), (b"k", b'{"filter": "uplifting"}')]
    script: list[Behaviour] = [
        busy("0.1s"),
        fails(503, f"overloaded, {KEY}", {"Retry-After": "0"}),
        says('{"scores": {}}'),
        says("", finish="SAFETY"),
        raw(b"", is_dropped=True),
        good(reasoning=f"I was told {KEY}."),
    ]
    with serving(*script) as server:
        stream.ask([*requests, *bad, (b"tombstone", None), requests[0]])
        oracle = stream.start_oracle(server)
        found = stream.published(27)
        port = oracle.events("oracle.assembled")[0]["observe_port"]
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        assert oracle.terminate() == 0
    labels = found.labels

    per_article = Counter(label.article.id for label in labels)
    assert per_article == Counter({f"a{n}": 1 for n in range(24)}) | Counter({"a0": 2})
    statuses = {label.article.id: label.status for label in labels}  # perhaps it was a0, twice
    assert Counter(statuses.values()) == {"labelled": 23, "refused": 1}
    assert sum(label.reused for label in labels) == 1
    assert all(label.calls_without_record == 0 for label in labels)
    paid = sum(label.usage.attempts for label in labels if label.usage is not None)
    assert paid == len(server.calls) - 2  # but for those that were turned away
    assert sorted(found.letter_bodies) == sorted(bad)
    assert {letter["dlq.error"] for letter in found.letters} == {"InvalidJson", "InvalidRequest"}
    assert stream.read_offsets() == 28
    assert hanging_transactions(stream.servers, stream.prefix) == []
    assert 'newsieve_oracle_calls_total{outcome="busy"} 2.0' in metrics
    written = oracle.text() + metrics + str(found.raw_labels) + str(found.notes)
    assert KEY not in written and "Traceback" not in written


def test_an_oracle_killed_after_an_answer_neither_loses_nor_hides_what_was_paid(
    oracle_stream: OracleStream,
) -> None:
    """kill -9 twice, each time when an answer is out and not committed: one score per request, a
    record for every call that was paid for, and a budget that is kept to across all restarts."""
    stream = oracle_stream
    budget, requests = 14, 24
    stream.ask([request_record(f"article-{number:02}") for number in range(requests)])
    settings: dict[str, object] = {
        "oracle__calls_per_day": budget,
        "oracle__source_share": 1,  # all are of one source
        "oracle__concurrency": 2,
        "kafka__static_membership": True,  # or the group waits for the dead member's session
    }
    running: list[OracleProcess] = []

    def kill() -> None:
        running[-1].kill()

    killing = and_then(good(), kill)
    script = [good(), good(), good(), killing, good(), good(), killing, good()]
    with serving(*script) as server:
        for _ in range(2):
            running.append(stream.start_oracle(server, **settings))
            running[-1].wait(60)
        running.append(stream.start_oracle(server, **settings))
        found = stream.published(requests)
        stream.ask([request_record("too-late")])
        found = stream.published(requests + 1)
        assert running[-1].terminate() == 0

    labels = {label.article.id: label for label in found.labels}
    assert len(found.labels) == len(labels) == requests + 1
    lost = 0
    for article_id, label in labels.items():
        on_record = label.calls_without_record + (label.usage.attempts if label.usage else 0)
        assert server.calls_of(article_id) <= on_record
        lost += label.calls_without_record
    assert lost >= 2
    assert len(server.calls) <= budget
    labelled = [label for label in found.labels if label.status == "labelled"]
    assert len(labelled) + lost == budget
    assert {label.status for label in found.labels} == {"labelled", "over_budget"}
    assert labels["too-late"].status == "over_budget" and labels["too-late"].effective_pi == 0
    assert stream.read_offsets() == requests + 1
    assert hanging_transactions(stream.servers, stream.prefix) == []


def test_a_request_of_a_filter_that_is_not_loaded_waits_and_can_be_passed_by(
    oracle_stream: OracleStream,
) -> None:
    """Its partition waits and the others go on; log and metrics say it. An operator who will never
    have the filter sets the offset behind it."""
    stream = oracle_stream
    new = request_record("new", filter_version="99")
    here = [request_record("a"), new, request_record("b")]
    producer = Producer({"bootstrap.servers": stream.servers})
    for partition, (key, value) in [*((0, record) for record in here), (1, request_record("c"))]:
        producer.produce(stream.requests_topic, value, key, partition=partition)
    assert producer.flush(30) == 0
    with serving() as server:
        oracle = stream.start_oracle(server)
        found = stream.published(2)
        oracle.wait_until("partition.waiting")
        (waiting,) = oracle.events("partition.waiting")
        port = oracle.events("oracle.assembled")[0]["observe_port"]
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        assert oracle.terminate() == 0
        assert sorted(label.article.id for label in found.labels) == ["a", "c"]
        assert "newsieve_oracle_waiting_partitions 1.0" in metrics
        assert (waiting["partition"], waiting["offset"]) == (0, 1)
        assert "'uplifting/v99'" in str(waiting["reason"])
        assert stream.read_offsets() == 2
        operator = Consumer({"bootstrap.servers": stream.servers, "group.id": stream.group})
        behind = TopicPartition(stream.requests_topic, 0, 2)
        operator.commit(offsets=[behind], asynchronous=False)
        operator.close()
        oracle = stream.start_oracle(server)
        found = stream.published(3)
        assert oracle.terminate() == 0

    assert sorted(label.article.id for label in found.labels) == ["a", "b", "c"]
    assert found.letters == []
    assert len(server.calls) == 3


def test_a_wrong_key_decides_nothing_and_one_moderated_article_only_about_itself(
    oracle_stream: OracleStream,
) -> None:
    """Exit 1 without a record, and within a minute; after the mend the same requests are labelled,
    but for the one that the provider's moderation lets nobody see."""
    stream = oracle_stream
    names = [f"article-{number:02}" for number in range(12)]
    stream.ask([request_record(name) for name in names])
    settings: dict[str, object] = {"kafka__static_membership": True}
    with serving(wrong_key()) as server:
        refused = stream.start_oracle(server, **settings)
        assert refused.wait(60) == 1
        assert stream.published(0).labels == []
        assert stream.read_offsets() == 0
        assert "API key not valid" in refused.text()
        assert "NEWSIEVE_ORACLE__API_KEY" in refused.text()
        assert "Traceback" not in refused.text() and KEY not in refused.text()

        server.script = [about("article-03", moderated(), good())]
        oracle = stream.start_oracle(server, **settings)
        found = stream.published(len(names))
        assert oracle.terminate() == 0

    statuses = {label.article.id: label.status for label in found.labels}
    assert len(found.labels) == len(names)
    assert statuses == dict.fromkeys(names, "labelled") | {"article-03": "refused"}
    assert {label.calls_without_record for label in found.labels} == {0}
    assert stream.read_offsets() == len(names)
    assert KEY not in str(found.raw_labels) + str(found.notes) + oracle.text()
