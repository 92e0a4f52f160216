"""A store of pages that a test fills, record by record."""

from __future__ import annotations

import random
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from newsieve.filters.rendering import content_hash, render
from newsieve.records.decode import RawRecord
from newsieve.records.encode import timestamp
from newsieve.store.rows import (
    Row,
    TextRow,
    alert_row,
    canary_row,
    label_row,
    letter_row,
    outcome_row,
    replay_row,
)
from newsieve.store.writer import StoreWriter
from newsieve_schemas.drift import CanaryReport, DriftAlert
from newsieve_schemas.oracle import OracleScore
from newsieve_schemas.scored import ScoredArticle
from tests.support.articles import WORDS
from tests.support.site_records import STUDENT, alert_record, label_record, load, outcome_record

MINUTE_MS = 60_000
MADE_UP = "made up"
# The text of copies, which have headings of their own.
SAME = " ".join(
    f"The council of {name}, a village, opened a library."
    for name in ("Ash", "Birch", "Cedar", "Elm", "Hazel", "Larch", "Oak", "Rowan", "Willow", "Yew")
)


class Filled:
    """A store and its one writer. Each method writes what a record of that kind leaves."""

    def __init__(self, path: Path, now_ms: int | None = None) -> None:
        self.path = path
        self.now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        self._writer = StoreWriter(path)
        self._offsets = 0

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The writer's connection, for what no record does."""
        return self._writer.connection

    @property
    def last(self) -> int:
        """The id of the newest outcome."""
        newest = self._writer.connection.execute("SELECT max(id) FROM outcomes").fetchone()
        return int(newest[0])

    def article(
        self,
        name: str,
        title: str | None = None,
        content: str | None = MADE_UP,
        *,
        label: float | None = None,
        **more: Any,
    ) -> int:
        """Write a text with its outcome of one filter, and with a label the oracle's. A content
        that is not given is like no other's. `more` are a `filter_`, a `level` for each dimension's
        score, and fields of the article, or of the outcome's record. Returns the outcome's id."""
        title = f"Title of {name}" if title is None else title
        if content == MADE_UP:
            content = " ".join(random.Random(name).choices(WORDS, k=120))
        self.write(self._article_rows(name, title, content, label, **more))
        return self.last

    def articles(self, names: Iterable[str], filter_: str) -> None:
        """Write many outcomes without contents, all at once."""
        rows: list[Row] = []
        for name in names:
            rows += self._article_rows(name, f"Title of {name}", None, None, filter_)
        self.write(rows)

    def letter(
        self,
        value: bytes | None = b'{"id": 1, "title": 5}',
        key: bytes | None = b"key",
        *,
        offset: int | None = None,
        **why: str,
    ) -> None:
        """Write a dead letter; `why` are its `dlq.*` headers."""
        place = self._place("articles.dead-letter")
        known = {
            "topic": "articles.raw", "partition": "2", "offset": "17", "stage": "validate",
            "error": "InvalidArticle", "message": "title: Input should be a valid string",
            "attempts": "1", "failed_at": timestamp(self.now_ms), "worker_version": "0.1.0",
            "group": "newsieve-worker",
        } | why  # fmt: skip
        headers = [(f"dlq.{n.replace('_', '-')}", text.encode()) for n, text in known.items()]
        record = RawRecord(
            value, key, headers, self.now_ms, place | {"offset": offset or place["offset"]}
        )
        self.write([letter_row(record)])

    def replayed(self, first: int, last: int) -> None:
        """Write that dead letters of these offsets were put back."""
        decision = {
            "decision": "dead_letters_replayed",
            "arguments": {"topic": "t", "partition": 0, "ranges": [[first, last]]},
        }
        row = replay_row(self._raw(decision))
        assert row is not None
        self.write([row])

    def alert(self, state: str = "alert", previous: str = "warning", **more: Any) -> None:
        """Write a transition of a drift monitor."""
        record = alert_record(load("uplifting"), state, previous, timestamp(self.now_ms))
        self.write([alert_row(self._record(DriftAlert, record | more))])

    def canaries(self, filter_: str = "uplifting", **more: Any) -> None:
        """Write a student's report on its canaries."""
        scores = dict.fromkeys(load(filter_).definition.dimension_names, 5.0)
        record = {
            "filter": filter_, "filter_version": load(filter_).version, "student": STUDENT,
            "device": "cpu", "dtype": "fp32", "tolerance": 0.1, "passed": True,
            "canaries": [
                {"id": "calm", "expected": scores, "scores": scores, "difference": 0.0123}
            ],
            "reported_at": timestamp(self.now_ms), **more,
        }  # fmt: skip
        self.write([canary_row(self._record(CanaryReport, record))])

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows in one transaction."""
        self._writer.write(rows, {("articles.raw", 0): self._offsets})

    def _article_rows(
        self,
        name: str,
        title: str,
        content: str | None,
        label: float | None,
        filter_: str = "uplifting",
        level: float | Sequence[float] = 6.0,
        **more: Any,
    ) -> list[Row]:
        digest = content_hash(render(title, content or ""))
        article = {
            "id": name,
            "title": title,
            "url": f"https://news.example.org/{name}",
            "source": "news.example.org",
            "language": "en",
            "published_at": timestamp(self.now_ms - 60 * MINUTE_MS),
            "content_hash": digest,
        }
        article |= {key: more.pop(key) for key in list(more) if key in article}
        place = self._place("articles.raw")
        record = outcome_record(load(filter_), article, level, place, self.now_ms)
        hash_ = bytes.fromhex(digest.removeprefix("sha256:"))
        text = TextRow(hash_, title, content, self.now_ms, article["id"])
        rows: list[Row] = [text, outcome_row(self._record(ScoredArticle, record | more))]
        if label is not None:
            place = self._place("articles.oracle.requests")
            label_ = label_record(record, label, place, timestamp(self.now_ms))
            rows.append(label_row(self._record(OracleScore, label_)))
        return rows

    def _place(self, topic: str) -> dict[str, Any]:
        self._offsets += 1
        return {"topic": topic, "partition": 0, "offset": self._offsets}

    def _record(self, model: Any, fields: Mapping[str, Any]) -> RawRecord:
        value = orjson.dumps(fields)
        model.model_validate_json(value)
        return self._raw(fields)

    def _raw(self, fields: Mapping[str, Any]) -> RawRecord:
        headers = [("ce_id", str(uuid.uuid4()).encode())]
        return RawRecord(
            orjson.dumps(fields), None, headers, self.now_ms + 350, self._place("articles.scored")
        )
