"""Steering the oracle's sample and budget from the raw topic, and headers that are not a producer's
to write: real workers, a real oracle, a real broker."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from newsieve.devbroker.broker import Broker
from newsieve.filters.sampling import EpochDraw, fingerprint_in
from newsieve.filters.secret_key import SecretKey
from tests.hostile.metered import usage_of
from tests.support.cli import newsieve
from tests.support.oracle_server import and_then, good, serving
from tests.support.oracle_stream import OracleStream
from tests.support.reader import Outputs, records_of
from tests.support.requests import request_record
from tests.support.spellings import found as secrets_in
from tests.support.stream import Header, Stream
from tests.support.workers import OracleProcess

SECRET = "a-planted-secret-of-" + "0123456789abcdef" * 2
EPOCH = "2026-11"
PI = 0.2
TRIES = 10_000
CPU_SECONDS = 40
MEMORY_BYTES = 1_500_000_000


@pytest.fixture
def stream(broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path) -> Iterator[Stream]:
    folders = {"uplifting": tiny_student}
    found = Stream(broker.bootstrap_servers, prefix, tmp_path, folders)
    yield found
    found.close()


def article(article_id: str) -> tuple[bytes, bytes]:
    facts = {"id": article_id, "title": "Villagers rebuild their bridge together"}
    return article_id.encode(), json.dumps(facts).encode()


def ground(count: int) -> list[str]:
    """Ids that a draw without a key would all choose, by whoever knows epoch and probabilities."""
    draw = EpochDraw(EPOCH)
    names = (f"https://news.example/a?v={n}" for n in range(TRIES * count))
    return list(itertools.islice((name for name in names if draw.u(name, "") < PI / 10), count))


def forge_a_decision(stream: Stream) -> None:
    """A dead letter that says it came from the control topic."""
    producer = Producer({"bootstrap.servers": stream.servers})
    decision = json.dumps({"scope": "x", "decision": "accept_oracle", "arguments": {}})
    where = [("dlq.topic", f"{stream.prefix}.control".encode())]
    producer.produce(f"{stream.prefix}.dead-letter", decision, b"x", headers=where)
    assert producer.flush(20) == 0


def test_chosen_ids_are_drawn_as_any_others_and_forged_headers_decide_nothing(
    stream: Stream,
) -> None:
    """Of 200 ids found for the sample the oracle sees a fifth, as of any others; every filter has
    an outcome of every record, whatever `dlq.filter` says; attempts are counted by replays alone;
    and a letter that says it is a decision does not become one."""
    chosen = ground(200)
    stream.produce([article(name) for name in chosen])
    forged: list[Header] = [("dlq.filter", b"investment_risk"), ("dlq.attempts", b"500")]
    stream.produce([article(f"skip-{n}") for n in range(5)], forged)
    stream.produce([(b"bad", b"{")], forged)
    settings = {
        "sampling__key": SECRET,
        "sampling__epoch": EPOCH,
        "sampling__low": PI,
        "sampling__surfaced": PI,
    }
    worker = stream.start_worker("a", **settings)
    reader = stream.reader()

    def is_done(outputs: Outputs, letters: int = 1) -> bool:
        return len(outputs.scored) >= 205 and len(outputs.letters) >= letters

    outputs = reader.read_until(is_done, 120)
    assert [letter["dlq.attempts"] for letter in outputs.letters] == ["1"]
    assert set(outputs.outcomes().values()) == {1} and len(outputs.outcomes()) == 206

    forge_a_decision(stream)
    replayed = newsieve("dlq", "replay", env=stream.environment(**settings))
    assert replayed.code == 0 and "replayed 1 dead letters" in replayed.text
    assert "1 others are not put back" in replayed.err
    outputs = reader.read_until(lambda o: is_done(o, 3), 60)
    attempts = [letter.get("dlq.attempts") for letter in outputs.letters]
    assert sorted(attempts, key=str) == ["1", "2", None]

    used = usage_of(worker.process.pid)
    assert worker.terminate() == 0
    reader.close()
    asked = {record["article"]["id"] for record in outputs.requests}
    share = len(asked & set(chosen)) / len(chosen)
    assert 0.05 < share < 0.35  # five standard errors around a fifth
    assert worker.events("sampling.keyed") and not worker.events("sampling.without_key")
    drawn = [record["sampling"] for record in [*outputs.scored, *outputs.requests]]
    assert {item["u"] for item in drawn} == {None}
    fingerprint = SecretKey(SECRET).fingerprint
    assert {fingerprint_in(item["policy"]) for item in drawn} == {fingerprint}
    topics = records_of(stream.servers, stream.prefix)
    assert b"accept_oracle" not in topics["control"]
    places = {**topics, "log": worker.text(), "replay": replayed.text + replayed.err}
    assert not secrets_in({"key": SECRET}, places)
    assert used.cpu_seconds < CPU_SECONDS and used.peak_bytes < MEMORY_BYTES


def test_a_flood_of_one_host_leaves_the_rest_of_the_budget_through_kills(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    """kill -9 twice in the middle of calls: the host has at most its share of calls, lost ones
    among them, and each request has one record with the probability that was left."""
    stream = OracleStream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tmp_path})
    floods = [request_record(f"f{n:02}", url=f"https://flood.example/{n}") for n in range(30)]
    others = [request_record(f"o{n:02}", url=f"https://host-{n}.example/") for n in range(12)]
    settings: dict[str, object] = {
        "oracle__calls_per_day": 32,
        "oracle__source_share": 0.25,
        "oracle__concurrency": 2,
        "kafka__static_membership": True,  # or the group waits for the dead member's session
    }
    running: list[OracleProcess] = []

    def kill() -> None:
        running[-1].kill()

    script = [*[good()] * 2, and_then(good(), kill), good(), and_then(good(), kill), good()]
    try:
        stream.ask([*floods, *others])
        with serving(*script) as server:
            for _ in range(2):
                running.append(stream.start_oracle(server, **settings))
                running[-1].wait(60)
            running.append(stream.start_oracle(server, **settings))
            found = stream.published(len(floods) + len(others))
            used = usage_of(running[-1].process.pid)
            assert running[-1].terminate() == 0
            calls = sum(server.calls_of(f"article {key.decode()} says") for key, _ in floods)
    finally:
        stream.close()

    labels = {label.article.id: label for label in found.labels}
    assert len(labels) == len(found.labels) == len(floods) + len(others)
    of_flood = [label for name, label in labels.items() if name.startswith("f")]
    lost = sum(label.calls_without_record for label in of_flood)
    labelled = sum(label.status == "labelled" for label in of_flood)
    assert labelled + lost <= 8 and calls <= 8 and labelled > 0
    assert {x.status for name, x in labels.items() if name.startswith("o")} == {"labelled"}
    assert {label.status for label in of_flood} == {"labelled", "over_budget"}
    assert all(label.effective_pi < 1 for label in of_flood if label.status == "over_budget")
    assert used.cpu_seconds < CPU_SECONDS and used.peak_bytes < MEMORY_BYTES
