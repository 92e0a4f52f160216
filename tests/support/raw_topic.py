"""Fills a raw topic with as many records as a measurement needs, from a file of articles; and reads
what is committed to one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.kafka.producer import PlainProducer
from newsieve.records.json_lines import lines_of
from newsieve_schemas.topics import topics
from tests.support.filters import load

SAMPLE = Path(__file__).resolve().parents[2] / "worker" / "newsieve" / "demo" / "articles.jsonl"


def fill(cluster: Cluster, articles: Path, records: int, filters: Sequence[str]) -> str:
    """Create a prefix's topics, produce so many records, return the prefix."""
    prefix = f"bench-{secrets.token_hex(3)}"
    tiers = {name: load(name).definition.published_tiers for name in filters}
    TopicAdmin(cluster).create(topics(prefix, tiers))
    with articles.open("rb") as stream:
        lines = [line for _, line in lines_of(stream)]
    with PlainProducer(cluster, f"{prefix}.raw") as feeder:
        for number in range(records):
            feeder.send(str(number).encode(), lines[number % len(lines)])
    return prefix


def committed_records(servers: str, topic: str) -> list[Message]:
    """All committed records of a topic, each partition's in order; with no code of newsieve's."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "articles",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    unread = set(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in unread])
    found = []
    while unread:
        for message in consumer.consume(500, 0.2):
            error = message.error()
            if error is None:
                found.append(message)
                continue
            assert error.code() == KafkaError._PARTITION_EOF, error
            unread.discard(message.partition())
    consumer.close()
    return found


def committed_articles(servers: str, topic: str) -> list[dict[str, Any]]:
    """All committed records of a topic as JSON, each partition's in order."""
    return [json.loads(message.value()) for message in committed_records(servers, topic)]


def readable(line: bytes) -> str | None:
    """Title, blank line, content; None without either."""
    try:
        article = json.loads(line)
        text: str = article["title"] + "\n\n" + article["content"]
        return text
    except (ValueError, TypeError, KeyError):
        return None
