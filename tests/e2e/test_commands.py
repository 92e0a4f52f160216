"""The commands that talk to Kafka, on a real broker; every example of `--help` among them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic

from newsieve.devbroker.broker import Broker
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve_schemas.drift import ControlDecision
from tests.support.cli import newsieve
from tests.support.impatience import hurry
from tests.support.raw_topic import committed_records
from tests.support.stream import Stream
from tests.support.workers import ROOT, environment


def test_topics_create_makes_what_check_misses(
    broker: Broker, prefix: str, tiny_student: Path
) -> None:
    """From one table; twice is as good as once."""
    env = environment(broker.bootstrap_servers, prefix, {"uplifting": tiny_student})

    missing = newsieve("topics", "check", "--json", env=env)
    assert missing.code == 1
    assert len(missing.json()) == 13
    created = newsieve("topics", "create", env=env)
    assert created.text.count("created") == 13
    assert "nothing to do" in newsieve("topics", "create", env=env).text
    assert newsieve("topics", "check", env=env).code == 0
    partitions = TopicAdmin(Cluster(broker.bootstrap_servers, {})).partitions()
    assert partitions[f"{prefix}.scored"] == 6
    assert partitions[f"{prefix}.control"] == 1


def test_topics_check_says_how_a_topic_differs(broker: Broker, prefix: str) -> None:
    """And the command that mends it."""
    env = {
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
    }
    admin = TopicAdmin(Cluster(broker.bootstrap_servers, {}))
    wrong = [
        NewTopic(f"{prefix}.control", 1, config={"max.message.bytes": "1000000"}),
        NewTopic(f"{prefix}.drift.state", 6, config={"cleanup.policy": "compact"}),
        NewTopic(f"{prefix}.raw", 12, config={"cleanup.policy": "compact,delete"}),
    ]
    for future in admin._admin.create_topics(wrong).values():
        future.result()
    newsieve("topics", "create", env=env)

    done = newsieve("topics", "check", "--json", env=env)

    found = {(item["topic"], item["what"].partition(" is ")[0]) for item in done.json()}
    assert done.code == 1
    assert found == {
        (f"{prefix}.control", "max.message.bytes"),
        (f"{prefix}.control", "cleanup.policy"),
        (f"{prefix}.drift.state", "6 partitions, not 1"),
        (f"{prefix}.raw", "cleanup.policy"),  # compaction would drop what is not scored yet
    }
    assert all(item["topic"] in item["mend"] for item in done.json())


def test_tail_follows_a_topic_and_stops_after_a_count(stream: Stream) -> None:
    """What comes after it began."""
    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            newsieve("tail", stream.raw_topic, "--count", "2", "--json", env=stream.environment())
        )
    )
    thread.start()
    deadline = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < deadline:
        stream.produce([(b"k", b'{"title": "x"}')])
        thread.join(0.3)

    assert results[0].text.splitlines() == ['{"title": "x"}'] * 2


def test_dead_letters_are_listed_replayed_once_and_count_their_attempts(stream: Stream) -> None:
    """By stage and error; a record that fails again says it is its second time. What its producer
    compressed is in the letter, and on the raw topic again, as it came."""
    packed = gzip.compress(b"null")
    stream.produce([(b"a", b"{"), (b"b", packed), (b"c", b'{"title": "fine"}')])
    worker = stream.start_worker("a")
    reader = stream.reader()
    reader.read_until(lambda o: len(o.letters) == 2 and len(o.scored) == 1, 120)
    assert worker.terminate() == 0
    env = stream.environment()

    listed = newsieve("dlq", "list", "--json", env=env).json()
    assert {(row["stage"], row["error"], row["count"]) for row in listed} == {
        ("decode", "InvalidJson", 1),
        ("decode", "NotAnObject", 1),
    }
    assert "no dead letters" in newsieve("dlq", "list", "--until", "2020-01-01", env=env).text
    first = newsieve("dlq", "replay", "--error", "NotAnObject", env=env)
    assert "replayed 1 dead letters" in first.text
    assert "replayed 1 dead letters" in newsieve("dlq", "replay", "--rate", "100", env=env).text
    assert "replayed 0 dead letters" in newsieve("dlq", "replay", env=env).text
    values = [message.value() for message in committed_records(stream.servers, stream.raw_topic)]
    assert sorted(values) == sorted([b"{", packed, b'{"title": "fine"}', b"{", packed])
    letters = committed_records(stream.servers, f"{stream.prefix}.dead-letter")
    assert sorted(message.value() for message in letters) == sorted([b"{", packed])

    worker = stream.start_worker("a")
    outputs = reader.read_until(lambda o: len(o.letters) == 4, 60)
    assert sorted(why["dlq.attempts"] for why in outputs.letters) == ["1", "1", "2", "2"]
    assert (
        "replayed 2 dead letters" in newsieve("dlq", "replay", env=env).text
    )  # the new ones, once
    records = newsieve("dlq", "list", "--records", "--json", env=env).json()
    assert sum(row["replayed"] for row in records) >= 4
    assert worker.terminate() == 0
    reader.close()


def test_a_letter_of_one_filter_is_replayed_for_that_filter_alone(stream: Stream) -> None:
    """`dlq.filter` travels along; others are not scored twice. One that names a filter that does
    not run here is ignored: without a key nobody knows who wrote it, and each record has outcomes.
    """
    good = b'{"id": "x", "title": "A quiet day"}'
    stream.produce([(b"x", good)], headers=[("dlq.filter", b"uplifting"), ("dlq.attempts", b"1")])
    stream.produce([(b"y", good)], headers=[("dlq.filter", b"sustainability")])
    stream.produce([(b"z", good)])
    stream.produce([(b"w", good)], headers=[("dlq.filter", b"nope")])
    worker = stream.start_worker("a")
    reader = stream.reader()

    reader.read_until(lambda o: len(o.scored) >= 4, 120)
    assert worker.terminate() == 0

    assert len(reader.read_to_end().scored) == 4
    assert len(worker.events("sampling.without_key")) == 1  # nothing is signed, nor drawn in secret
    assert sum(stream.committed().values()) == 4
    reader.close()


def test_a_replay_killed_in_the_middle_doubles_nothing(stream: Stream) -> None:
    """What it had committed stands on the control topic; the next run does the rest."""
    letters = [(f"k{n}".encode(), b"{") for n in range(30)]
    stream.produce(letters)
    worker = stream.start_worker("a", worker__dead_letter_run=1_000)
    reader = stream.reader()
    reader.read_until(lambda o: len(o.letters) == 30, 120)
    assert worker.terminate() == 0

    slow = subprocess.Popen(
        [sys.executable, "-m", "newsieve", "dlq", "replay", "--rate", "5"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **stream.environment()},
    )
    deadline = time.monotonic() + 60
    while stream.committed_end(f"{stream.prefix}.control") == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    slow.kill()
    slow.wait()
    env = stream.environment()
    done = newsieve("dlq", "replay", env=env)

    rest = int(done.text.split()[1])
    assert 0 < rest < 30
    raw = newsieve("tail", stream.raw_topic, "--from-beginning", "--until-end", "--json", env=env)
    assert len(raw.text.splitlines()) == 60
    control = newsieve(
        "tail", f"{stream.prefix}.control", "--from-beginning", "--until-end", "--json", env=env
    )
    for row in control.rows():
        ControlDecision.model_validate_json(json.dumps(row), strict=True, extra="forbid")
    reader.close()


def test_doctor_finds_what_is_wrong_and_what_mends_it(stream: Stream) -> None:
    """Exit 0 when all is well, 1 when not; the label rate by arithmetic, and how the newest
    articles came in."""
    whole = gzip.compress(b'{"title": "A school opens", "content": "Neighbours rebuilt it."}')
    titles = [b'{"headline": "A school opens", "date": "soon"}', b'{"title": "A well"}']
    stream.produce([(b"k", value) for value in (*titles, whole, b"{", None)])
    well = newsieve("doctor", "--json", env=stream.environment(worker__slot="a"))
    checks = {row["check"]: row for row in well.json()}
    assert well.code == 0
    assert checks["rights"]["verdict"] == checks["topics"]["verdict"] == "ok"
    assert checks["articles"]["verdict"] == "note"
    assert checks["articles"]["finding"].startswith(
        "of 3 articles, 67% are a title alone, 0% are HTML, 33% have a date that is not "
        "understood, 33% came in gzip; 1 of the newest records are none"
    )
    finding = checks["label rate"]["finding"]
    assert "38 labels a day" in finding and "no rise of the error below +0.5 is found" in finding

    missing = newsieve("doctor", env=stream.environment(kafka__topic_prefix="nowhere"))
    assert missing.code == 1
    assert "newsieve topics create" in missing.text
    away = newsieve("doctor", env=stream.environment(kafka__bootstrap_servers="127.0.0.1:1"))
    assert away.code == 1
    assert "no broker answers" in away.text and "Traceback" not in away.err


@pytest.mark.parametrize("arguments", [["topics", "check"], ["produce", "-"], ["worker"]])
def test_without_a_broker_a_command_says_so(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence, within seconds."""
    hurry(monkeypatch, patience_seconds=1)
    env = {"NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done = newsieve(*arguments, stdin=b"{}", env=env)

    assert done.code == (3 if arguments == ["worker"] else 1)
    assert "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS" in done.err
    assert "Traceback" not in done.err
