"""Labels from the oracle's topics: joined to their texts, fit to train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from newsieve.devbroker.broker import Broker
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import content_hash, render
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.kafka.producer import PlainProducer
from newsieve_schemas.oracle import OracleKey, OracleScore
from newsieve_schemas.topics import topics
from newsieve_training.data.kafka_labels import snapshot
from newsieve_training.data.label_formats import labels_of
from newsieve_training.pipeline.recipe import Recipe
from tests.support.cli import newsieve_train
from tests.support.labels import label_rows
from tests.training.test_commands import as_toml

HASH = "sha256:" + "0" * 64
KEY = {
    "provider": "vendor",
    "model": "large",
    "model_version": "large-001",
    "prompt_hash": "sha256:" + "a" * 64,
    "schema_hash": "sha256:" + "b" * 64,
    "thinking": None,
    "temperature": 0.0,
}


ORACLE = OracleKey.model_validate(KEY).name


def article(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "title": row["title"],
        "url": row["url"],
        "source": "village",
        "language": "en",
        "published_at": None,
        "content_hash": content_hash(render(row["title"], row["content"])),
    }


def request(row: dict[str, Any]) -> bytes:
    content = {**article(row), "content": row["content"]}
    return json.dumps({"filter": "uplifting", "article": content}).encode()


def score(row: dict[str, Any], filter_: Filter, level: int = 5, **changes: Any) -> bytes:
    names = filter_.definition.dimension_names
    facts: dict[str, Any] = {
        "article": article(row),
        "filter": filter_.name,
        "filter_version": filter_.version,
        "filter_hash": filter_.filter_hash,
        "label_hash": filter_.label_hash,
        "student": HASH,
        "status": "labelled",
        "oracle": KEY,
        "oracle_scores": dict.fromkeys(names, level),
        "oracle_tier": "connection",
        "content_type": None,
        "reasoning": None,
        "key_markers": [],
        "student_scores": None,
        "student_tier": None,
        "content_rules": [],
        "sampling": {
            "selected": True,
            "policy": "p1",
            "epoch": "2026-11",
            "stratum": "low",
            "purpose": changes.pop("purpose", "monitor"),
            "pi": 0.1,
            "u": 0.05,
        },
        "effective_pi": 0.1,
        "usage": None,
        "answer_hash": None,
        "fingerprint": None,
        "failure": None,
        "reused": False,
        "calls_without_record": 0,
        "input": {"topic": "oracle.requests", "partition": 0, "offset": 0, "timestamp": None},
        "labelled_at": "2026-11-20T10:00:00Z",
    }
    record = OracleScore.model_validate_json(json.dumps(facts | changes))
    return record.model_dump_json().encode()


def rows_of(found: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in found.source.content.splitlines()]


def test_a_label_is_joined_to_the_text_that_was_labelled(uplifting: Filter) -> None:
    """By id and content hash; what comes out is a row as label files have it."""
    first, second = label_rows(2)
    edited = {**first, "content": "something else by now"}

    found = snapshot(
        [score(first, uplifting, 7), score(second, uplifting, 2, purpose="training")],
        [request(edited), request(first), request(second), b"{", b"[]", b'{"article": 5}'],
        uplifting,
    )

    rows = rows_of(found)
    assert [row["content"] for row in rows] == [first["content"], second["content"]]
    names = uplifting.definition.dimension_names
    labels = [labels_of(row, "uplifting", names) for row in rows]
    assert [label.scores for (label,) in labels] == [(7,) * 8, (2,) * 8]
    assert {label.oracle for (label,) in labels} == {ORACLE}
    assert labels[0][0].scored_at == "2026-11-20T10:00:00Z"


def test_a_label_that_came_twice_counts_once(uplifting: Filter) -> None:
    """The later one; of another oracle it is another label, and a temperature makes another."""
    (row,) = label_rows(1)
    other = {**KEY, "temperature": 0.7}

    found = snapshot(
        [
            score(row, uplifting, 3),
            score(row, uplifting, 4),
            score(row, uplifting, 9, oracle=other),
        ],
        [request(row), request(row)],
        uplifting,
    )

    (made,) = rows_of(found)
    assert [set(label["scores"].values()) for label in made["oracle_scores"]] == [{4}, {9}]
    assert made["oracle_scores"][1]["oracle"] == OracleKey.model_validate(other).name


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"status": "refused", "oracle_scores": None}, "status refused"),
        ({"purpose": "anchor"}, "purpose anchor"),
        ({"label_hash": HASH}, "labels that mean something else"),
        ({"filter": "sustainability"}, None),
    ],
)
def test_what_is_no_label_of_this_filter_is_left_out_and_counted(
    record: dict[str, Any], reason: str | None, uplifting: Filter
) -> None:
    """Refusals, anchors, labels by another prompt; other filters' are not even counted."""
    (row,) = label_rows(1)

    found = snapshot([score(row, uplifting, **record)], [request(row)], uplifting)

    assert found.rows == 0
    assert found.left_out == ({reason: 1} if reason else {})


def test_a_label_of_the_earlier_rendering_counts_where_its_text_is_the_same(
    uplifting: Filter,
) -> None:
    """It is of the hash of the text that the oracle saw; that of HTML is rendered to another."""
    plain, marked = label_rows(2)
    (earlier,) = uplifting.earlier_label_hashes
    scores = [score(row, uplifting, label_hash=earlier) for row in (plain, marked)]
    marked["content"] = f"<p>{marked['content']}</p><p>More</p>"

    found = snapshot(scores, [request(plain), request(marked)], uplifting)

    assert [row["id"] for row in rows_of(found)] == [plain["id"]]
    assert found.left_out == {"text no longer on the requests topic": 1}


def test_a_label_without_its_text_is_left_out_and_counted(uplifting: Filter) -> None:
    """The requests topic keeps texts for a time only; garbage is counted, too."""
    (row,) = label_rows(1)

    found = snapshot([score(row, uplifting), b"nonsense"], [], uplifting)

    assert found.left_out == {"not an OracleScore": 1, "text no longer on the requests topic": 1}


def scored(row: dict[str, Any]) -> bytes:
    """What of a ScoredArticle matters here."""
    return json.dumps({"filter": "uplifting", "article": article(row), "scores": {}}).encode()


def test_files_of_newsieves_own_records_are_labels(
    uplifting: Filter, recipe: Any, tmp_path: Path
) -> None:
    """As `newsieve tail --json` prints them, with label rows among them; what is left out is said,
    and bad rows keep their line."""
    rows = label_rows(42)
    levels = [row["oracle_scores"][0]["scores"][0] for row in rows]
    records = [score(row, uplifting, level) for row, level in zip(rows, levels, strict=True)]
    records += [score(rows[0], uplifting, 5, purpose="anchor"), scored(rows[1])]
    plain = json.dumps({**rows[40], "oracle_scores": [{"oracle": ORACLE, "scores": [5] * 8}]})
    files = {
        "scores.jsonl": b"\xef\xbb\xbf" + b"\n".join([*records, plain.encode(), b"{"]),
        "requests.jsonl": b"\n".join(request(row) for row in rows[:40]),
        "recipe.toml": as_toml(recipe(labels__bad_rows_allowed=0.1)).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = ("prepare", str(tmp_path / "recipe.toml"), str(tmp_path / "scores.jsonl"))

    done = newsieve_train(*command, str(tmp_path / "requests.jsonl"), "--json")
    alone = newsieve_train(*command)

    assert done.code == 0, done.err
    manifest = done.json()["manifest"]
    assert sum(manifest["rows"].values()) == 41
    assert manifest["oracles"] == {ORACLE: 41}
    assert [(bad["file"], bad["line"]) for bad in manifest["bad_rows_listed"]] == [
        ("scores.jsonl", len(records) + 2)
    ]
    assert "40 labelled articles in newsieve's records" in done.err
    for reason in ("purpose anchor: 1", "articles.scored: 1", "articles.oracle.requests, too"):
        assert reason in done.err
    assert alone.code == 1 and "or give --from-kafka: 42" in alone.err


@pytest.fixture
def cluster(broker: Broker, prefix: str) -> Cluster:
    found = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(found).create(topics(prefix, {}))
    return found


def test_prepare_reads_the_topics_and_keeps_what_they_held(
    cluster: Cluster,
    prefix: str,
    uplifting: Filter,
    recipe: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a real broker; the snapshot is a label file that makes the same run again."""
    rows = label_rows(40)
    with PlainProducer(cluster, f"{prefix}.oracle.requests") as feeder:
        for row in rows:
            feeder.send(row["id"].encode(), request(row))
    with PlainProducer(cluster, f"{prefix}.oracle.scores") as feeder:
        for row in rows:
            level = row["oracle_scores"][0]["scores"][0]
            feeder.send(row["id"].encode(), score(row, uplifting, level))
    monkeypatch.setenv("NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS", cluster.bootstrap_servers)
    monkeypatch.setenv("NEWSIEVE_KAFKA__TOPIC_PREFIX", prefix)
    made: Recipe = recipe()
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(made))

    first = newsieve_train("prepare", str(file), "--from-kafka", "--json")
    assert first.code == 0, first.err
    run = Path(first.json()["run"])
    again = newsieve_train("prepare", str(file), str(run / "labels.jsonl"), "--json")

    assert "40 labelled articles on the topics" in first.err
    assert sum(first.json()["manifest"]["rows"].values()) == 40
    assert (again.json()["run"], again.json()["made"]) == (str(run), False)
