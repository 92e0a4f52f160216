"""Reads the oracle's topics as label rows: scores, joined to the texts that they are about.

OracleScore names an article and its content hash; the text is in the OracleRequest of the same
hash. What comes out are rows as label files have them, so a snapshot is a label file. The records
may also come from files, as `newsieve tail --json` prints them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from newsieve.errors import DecodeError
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import content_hash, render
from newsieve.kafka.config import Cluster
from newsieve.kafka.topic_reader import read
from newsieve.records.json_lines import numbered
from newsieve.records.own_record import has_text, own_record
from newsieve_schemas.label_row import OracleLabel
from newsieve_schemas.oracle import LABELLED, OracleScore
from newsieve_schemas.topics import ORACLE_REQUESTS, ORACLE_SCORES, topic_name
from newsieve_training.data.label_aggregation import Source
from newsieve_training.pipeline.files import Row

SNAPSHOT: Final = "labels.jsonl"
PURPOSES: Final = ("training", "monitor")  # an anchor is asked again and again: it measures
GONE: Final = "text no longer on the requests topic"
NOT_NAMED: Final = "no text: name a file of articles.oracle.requests, too, or give --from-kafka"
NO_LABEL: Final = "neither label nor text: records of articles.scored"


@dataclass(frozen=True)
class Snapshot:
    """Label rows of one filter at one moment, and how many records gave none, by reason."""

    source: Source
    rows: int
    left_out: Mapping[str, int]


def read_topics(cluster: Cluster, prefix: str, filter_: Filter) -> Snapshot:
    """Read all labels of this filter that are committed by now. Raises BrokerUnavailable,
    TopicsWrong."""
    scores, requests = (
        _values(cluster, topic_name(prefix, suffix)) for suffix in (ORACLE_SCORES, ORACLE_REQUESTS)
    )
    return snapshot(scores, requests, filter_)


def records_in(sources: Sequence[Source], filter_: Filter) -> tuple[list[Source], Snapshot | None]:
    """Take newsieve's own records out of the sources; return the rest, and a snapshot of those
    records, None where there are none."""
    scores: list[bytes] = []
    texts: list[bytes] = []
    bare = 0
    others: list[Source] = []
    for source in sources:
        lines = source.content.split(b"\n")
        for number, line in numbered(lines):
            record = _own_record(line)
            if record is None:
                continue
            lines[number - 1] = b""  # the lines that stay keep their numbers
            if "oracle_scores" in record:
                scores.append(line)
            elif has_text(record):
                texts.append(line)
            else:
                bare += 1
        others.append(Source(source.name, b"\n".join(lines)))
    if not (scores or texts or bare):
        return list(sources), None
    own = snapshot(scores, texts, filter_, NOT_NAMED)
    left_out = {**own.left_out, NO_LABEL: bare} if bare else own.left_out
    return others, Snapshot(own.source, own.rows, left_out)


def _own_record(line: bytes) -> Row | None:
    try:
        return own_record(line)
    except DecodeError:
        return None  # a bad row of its file


def _values(cluster: Cluster, topic: str) -> Iterator[bytes]:
    for consumed in read(cluster, topic, from_beginning=True, until_end=True):
        if consumed.record.value is not None:
            yield consumed.record.value


def snapshot(
    scores: Iterable[bytes], requests: Iterable[bytes], filter_: Filter, missing: str = GONE
) -> Snapshot:
    """Join the last label of each article and oracle to the article's text, by article id.
    `missing` is the reason that is counted where there is no text."""
    left_out: Counter[str] = Counter()
    labels: dict[tuple[str, str], dict[str, OracleScore]] = {}
    for value in scores:
        score = _usable(value, filter_, left_out)
        if score is not None:
            article = (score.article.id, score.article.content_hash)
            labels.setdefault(article, {})[score.oracle.name] = score
    texts = _texts(requests, set(labels), filter_)
    rows = []
    for article in sorted(labels):
        if article in texts:
            rows.append({**texts[article], "oracle_scores": list(_label_rows(labels[article]))})
        else:
            left_out[missing] += 1
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Snapshot(Source(SNAPSHOT, content.encode()), len(rows), dict(left_out))


def _usable(value: bytes, filter_: Filter, left_out: Counter[str]) -> OracleScore | None:
    try:
        score = OracleScore.model_validate_json(value, extra="ignore")
    except ValidationError:
        left_out["not an OracleScore"] += 1
        return None
    reason = _unfit(score, filter_)
    if reason is None:
        return score
    if score.filter == filter_.name:
        left_out[reason] += 1
    return None


def _unfit(score: OracleScore, filter_: Filter) -> str | None:
    if score.filter != filter_.name:
        return "another filter"
    if not filter_.has_meaning(score.label_hash):  # its text is found by the hash of today's
        return "labels that mean something else"
    if score.sampling.purpose not in PURPOSES:
        return f"purpose {score.sampling.purpose}"
    if score.status != LABELLED or score.oracle_scores is None:
        return f"status {score.status}"
    return None


def _texts(
    requests: Iterable[bytes], wanted: set[tuple[str, str]], filter_: Filter
) -> dict[tuple[str, str], Row]:
    """Return the wanted articles whose text has the hash that was labelled."""
    articles: dict[tuple[str, str], Row] = {}
    for value in requests:
        article = _article(value, filter_)
        if article is None:
            continue
        text = content_hash(render(article["title"], article["content"]))
        key = (str(article.get("id")), text)
        if key in wanted:
            fields = ("id", "title", "content", "url", "source", "language", "published_at")
            articles[key] = {name: article.get(name) for name in fields}
    return articles


def _article(value: bytes, filter_: Filter) -> Row | None:
    try:
        request: Any = json.loads(value)
        article = request["article"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return None
    if not isinstance(article, dict) or request.get("filter") != filter_.name:
        return None
    texts = {name: article.get(name) for name in ("title", "content")}
    return {**article, **texts} if all(map(_is_text, texts.values())) else None


def _is_text(value: Any) -> bool:
    """Say whether a value is None or a text with a UTF-8 form; a lone surrogate has none."""
    if not isinstance(value, str):
        return value is None
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _label_rows(by_oracle: Mapping[str, OracleScore]) -> Iterator[Row]:
    for name, score in sorted(by_oracle.items()):
        label = OracleLabel(
            oracle=name, scored_at=score.labelled_at, scores=score.oracle_scores or {}
        )
        yield label.model_dump()
