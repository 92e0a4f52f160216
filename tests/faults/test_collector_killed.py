"""Whatever kills `newsieve serve`, its store is what the topics are: each outcome once."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import orjson
from confluent_kafka import Producer

from newsieve.devbroker.broker import Broker
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.records.decode import RawRecord
from newsieve_schemas.topics import topics
from tests.support.scored_records import identity, labelled, scored
from tests.support.workers import ROOT

ARTICLES = 4_000
KILLS = 20
TEXT = " ".join(f"word{number}" for number in range(40))


def _produce(servers: str, prefix: str) -> None:
    """Put articles with two outcomes each on the topics, some labels and letters; every tenth
    outcome stands there twice."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50})

    def send(suffix: str, key: str, record: RawRecord) -> None:
        topic = f"{prefix}.{suffix}"
        while True:
            try:
                producer.produce(topic, record.value, key, headers=record.headers)
                return
            except BufferError:
                producer.poll(0.1)

    for number in range(ARTICLES):
        title, content = f"Article {number}", f"{TEXT} {number} {number * 7} {number * 13}"
        article = identity(title, content, id=str(number))
        raw = orjson.dumps({"id": str(number), "title": title, "content": content})
        send("raw", str(number), RawRecord(raw, None, None, None, {}))
        for name in ("uplifting", "sustainability"):
            for _ in range(2 if number % 10 == 0 else 1):
                send("scored", str(number), scored(article, filter=name))
        if number % 20 == 0:
            send("oracle.scores", str(number), labelled(article, {"agency": 3}))
            letter = RawRecord(b"\xff", None, [("dlq.stage", b"decode")], None, {})
            send("dead-letter", str(number), letter)
    producer.flush()


def test_killed_twenty_times_the_store_equals_the_topics(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    """Killed at random moments while it reads, it has each outcome, label, letter and text once,
    each count is right, and the positions are the ends of the partitions."""
    cluster = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(cluster).create(topics(prefix, {}))
    _produce(broker.bootstrap_servers, prefix)
    store = tmp_path / "store.db"
    sent = ARTICLES + 2 * ARTICLES + 2 * (ARTICLES // 10) + 2 * (ARTICLES // 20)
    command = [sys.executable, "-m", "tests.support.killed_collector", str(store)]
    done = subprocess.run(
        [*command, broker.bootstrap_servers, prefix, str(KILLS), str(sent)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    begun = [int(item) for item in re.findall(r"records_to_read\D+(\d+)", done.stderr)]
    assert len(begun) > KILLS
    assert len(set(begun)) > 3, "too few of the killed runs had written anything"
    connection = sqlite3.connect(store)

    def count(what: str) -> int:
        return int(connection.execute(f"SELECT {what}").fetchone()[0])

    facts = {row[0] for row in connection.execute("SELECT fact FROM outcomes")}
    expected = {
        uuid.UUID(
            dict(scored(_identity(number), filter=name).headers or [])["ce_id"].decode()
        ).bytes
        for number in range(ARTICLES)
        for name in ("uplifting", "sustainability")
    }
    assert facts == expected
    assert count("count(*) FROM outcomes") == 2 * ARTICLES
    assert count("sum(count) FROM tallies") == 2 * ARTICLES
    assert count("count(*) FROM texts") == count("sum(is_whole) FROM texts") == ARTICLES
    assert count("count(*) FROM labels") == count("count(*) FROM letters") == ARTICLES // 20
    assert count("count(*) FROM search WHERE search MATCH 'article'") == ARTICLES
    assert count("sum(next_offset) FROM positions") == sent
    connection.close()


def _identity(number: int) -> dict[str, object]:
    content = f"{TEXT} {number} {number * 7} {number * 13}"
    return identity(f"Article {number}", content, id=str(number))
