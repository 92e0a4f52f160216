"""A site over a store that a test fills: the application in this process, or served on a port."""

from __future__ import annotations

import asyncio
import random
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
from starlette.types import ASGIApp

from newsieve.bootstrap.serving import routers_of
from newsieve.errors import BrokerUnavailable
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import content_hash, render
from newsieve.filters.tiering import round_scores
from newsieve.records.decode import RawRecord
from newsieve.records.encode import timestamp
from newsieve.settings.loader import Settings, load_settings
from newsieve.store.reader import StoreReader
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
from newsieve.web.access import Access
from newsieve.web.app import make_app
from newsieve.web.hub import NewsHub
from newsieve.web.refreshed import Refreshed
from newsieve.web.server import make_server
from newsieve.web.site import DriftReport, Site
from newsieve.web.sse import EventStreams
from newsieve_schemas.drift import CanaryReport, DriftAlert
from newsieve_schemas.oracle import OracleScore
from newsieve_schemas.scored import ScoredArticle
from tests.support import filters as builtin
from tests.support.articles import WORDS

STUDENT = "sha256:" + "5" * 64
FILTERS = "uplifting,sustainability,investment_risk"
PATIENCE_SECONDS = 10.0
MINUTE_MS = 60_000
MADE_UP = "made up"

load = cache(builtin.load)


def serve_settings(path: Path, **serve: Any) -> Settings:
    """Settings of a site over this store; `serve` are those of its section."""
    environment = {f"NEWSIEVE_SERVE__{name.upper()}": str(value) for name, value in serve.items()}
    return load_settings(
        None,
        {
            "NEWSIEVE_SERVE__STORE": str(path),
            "NEWSIEVE_WORKER__FILTERS": FILTERS,
            **environment,
        },
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
        return self._writer.last_outcome

    def article(
        self,
        name: str,
        title: str | None = None,
        content: str | None = MADE_UP,
        *,
        filter_: str = "uplifting",
        level: float | Sequence[float] = 6.0,
        label: float | None = None,
        **more: Any,
    ) -> int:
        """Write a text with its outcome of one filter, and with a label the oracle's. A content
        that is not given is like no other's. `level` is the score of each dimension. `more` are
        fields of the article, or of the outcome's record. Returns the outcome's id."""
        title = f"Title of {name}" if title is None else title
        if content == MADE_UP:
            content = " ".join(random.Random(name).choices(WORDS, k=120))
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
        record = _outcome(load(filter_), article, level, self._place("articles.raw"), self.now_ms)
        text = TextRow(bytes.fromhex(digest.removeprefix("sha256:")), title, content, self.now_ms)
        rows: list[Row] = [text, outcome_row(self._record(ScoredArticle, record | more))]
        if label is not None:
            rows.append(self._label(record, label))
        self.write(rows)
        return self.last

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
        record = _alert(load("uplifting"), state, previous, timestamp(self.now_ms))
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

    def _label(self, outcome: Mapping[str, Any], level: float) -> Row:
        filter_ = load(outcome["filter"])
        names = filter_.definition.dimension_names
        scores = np.full((1, len(names)), float(level))
        digest = "sha256:" + "c" * 64
        same = ("article", "filter", "filter_version", "filter_hash", "label_hash", "student")
        record = {
            **{name: outcome[name] for name in same},
            "status": "labelled",
            "oracle": {
                "provider": "openai", "model": "oracle-1", "model_version": "oracle-1-2026",
                "prompt_hash": digest, "schema_hash": digest, "thinking": None, "temperature": 0.0,
            },
            "oracle_scores": dict.fromkeys(names, int(level)),
            "oracle_tier": filter_.tiering.decide(scores, [()]).tier[0],
            "content_type": None, "reasoning": "Neighbours help each other.", "key_markers": None,
            "failure": None, "student_scores": outcome["scores"], "student_tier": outcome["tier"],
            "content_rules": [], "suspect": [],
            "sampling": {
                "selected": True, "policy": "p", "epoch": "2026-11", "stratum": "surfaced",
                "purpose": "monitor", "pi": 0.5, "u": 0.25,
            },
            "effective_pi": 0.5, "usage": None, "calls_without_record": 0, "reused": False,
            "fingerprint": None, "answer_hash": None,
            "input": self._place("articles.oracle.requests") | {"timestamp": None},
            "labelled_at": timestamp(self.now_ms),
        }  # fmt: skip
        return label_row(self._record(OracleScore, record))

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


class NoTopics:
    """What is known of topics where nothing is read."""

    is_connected = True
    lag: Mapping[tuple[str, int], int] = {("articles.scored", 0): 0, ("articles.raw", 0): 3}


def make_site(settings: Settings, **replaced: Any) -> Site:
    """A site over the settings' store, which has to exist."""
    reader = StoreReader(settings.serve.store)
    filters = {name: load(name) for name in settings.worker.filters}
    hub = NewsHub(reader)
    parts: dict[str, Any] = {
        "settings": settings,
        "filters": filters,
        "reader": reader,
        "hub": hub,
        "streams": EventStreams(hub, settings.serve.streams, lambda _: None),
        "access": Access(settings.serve),
        "topics": NoTopics(),
        "worker_lag": lambda: 12,
        "drift": Refreshed(_no_state, 60.0),
        "student_folders": {name: item.student_folder for name, item in filters.items()},
        **replaced,
    }
    return Site(**parts)


def _no_state() -> DriftReport:
    raise BrokerUnavailable("no broker answers")


def app_of(site: Site) -> ASGIApp:
    """The whole application of a site, whose readers are told of news while it runs."""

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        task = asyncio.create_task(site.hub.run())
        try:
            yield
        finally:
            task.cancel()

    return make_app(site, routers_of(site), lambda *_: None, running)


class Served:
    """A site that is served on a port, in a thread, until stopped."""

    def __init__(self, site: Site, port: int = 0) -> None:
        self._site = site
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._server = make_server(app_of(site))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), daemon=True
        )
        self._thread.start()
        until(lambda: self._server.started)

    def notify(self) -> None:
        """Say that the store has news."""
        self._site.hub.notify()

    def stop(self) -> None:
        """Stop it, as `newsieve serve` does."""
        self._site.hub.close()
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()
        assert not self._thread.is_alive()


@contextmanager
def served(site: Site, port: int = 0) -> Iterator[Served]:
    """Serve a site while the block runs."""
    server = Served(site, port)
    try:
        yield server
    finally:
        server.stop()


def until(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def _outcome(
    filter_: Filter,
    article: Mapping[str, Any],
    level: float | Sequence[float],
    place: Mapping[str, Any],
    now_ms: int,
) -> dict[str, Any]:
    names = filter_.definition.dimension_names
    levels = [level] * len(names) if isinstance(level, int | float) else list(level)
    scores = round_scores(np.array([levels], dtype=np.float64))
    decisions = filter_.tiering.decide(scores, [()])
    return {
        "article": dict(article),
        "filter": filter_.name,
        "filter_version": filter_.version,
        "filter_hash": filter_.filter_hash,
        "label_hash": filter_.label_hash,
        "student": STUDENT,
        "dtype": "fp32",
        "outcome": "scored",
        "scores": dict(zip(names, scores[0].tolist(), strict=True)),
        "weighted_average": decisions.weighted_average[0],
        "score": decisions.score[0],
        "gates": list(decisions.gates[0]),
        "caps": list(decisions.caps[0]),
        "content_rules": [],
        "blocked_by": None,
        "tier": decisions.tier[0],
        "tier_confidence": 0.83,
        "tokens": 312,
        "truncated": False,
        "suspect": [],
        "sampling": None,
        "input": {**place, "timestamp": timestamp(now_ms)},
        "scored_at": timestamp(now_ms),
    }


def _alert(filter_: Filter, state: str, previous: str, now: str | None) -> dict[str, Any]:
    digest = "sha256:" + "d" * 64
    return {
        "incident_id": "0f8fad5b-d9cb-469f-a165-70867728950e", "fingerprint": "f" * 16,
        "state": state, "previous_state": previous, "severity": "critical",
        "filter": filter_.name, "filter_version": filter_.version,
        "filter_hash": filter_.filter_hash, "label_hash": filter_.label_hash, "student": digest,
        "oracle_key": "openai/oracle-1/oracle-1-2026/cccccccccccc", "scope": "surfaced",
        "headline": "The student's error has risen from 0.71 to 1.64",
        "evidence": {"value": 12_345.0, "threshold": 10_000.0, "guarantee": "once in 10,000"},
        "streams": [
            {"name": "error", "share": 0.8, "baseline": 0.71, "estimate": 1.64,
             "interval": [1.4, 1.9]},
        ],
        "labels": 212, "onset": [now, now], "cause": "concept_drift", "sampling_policy": "p",
        "example_article_ids": ["one"],
        "action": {"text": "Train a new student.", "runbook": "https://example.org/runbook",
                   "command": "newsieve drift status --filter uplifting"},
        "raised_at": now, "repeated": False,
    }  # fmt: skip
