"""A server that scores, without a student: its scorer's answers follow from the texts alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx2
import numpy as np
from fastapi import FastAPI

from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.filters.registry import Filter
from newsieve.inference.forward import Forward
from newsieve.inference.scorer import FilterScores, Scorer, Tokens
from newsieve.programs.scoring.path import ScoringPath
from newsieve.settings.loader import load_settings
from newsieve.web.filters_api import filters_router, served_filter
from newsieve.web.open_inference import open_inference_router
from newsieve.web.score_api import score_router
from newsieve.web.score_service import ScoreLimits, ScoreService
from tests.support.filters import load

STUDENT = "sha256:" + "5" * 64
UPLIFTING = load("uplifting")
PATIENCE_SECONDS = 10
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}

Result = TypeVar("Result")
Answer = dict[str, FilterScores]


def identity(filter_: Filter = UPLIFTING) -> StudentIdentity:
    return StudentIdentity(filter_, STUDENT, "fp32")


class TextScorer:
    """Scores a text by its hash: at once, or when the test releases it."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.is_held = is_held
        self.held: list[tuple[Future[Answer], Answer]] = []
        self.texts: list[str] = []
        self.is_closed = False

    def submit(self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]) -> Future[Answer]:
        self.texts += texts
        future: Future[Answer] = Future()
        answer = {
            name: FilterScores(
                np.array([scores_of(texts[row]) for row in rows]),
                [Tokens([1] * len(texts[row].split()), truncated=False) for row in rows],
                {},
            )
            for name, rows in wanted.items()
        }
        self.held.append((future, answer))
        if not self.is_held:
            self.release()
        return future

    def release(self) -> None:
        """Give the scores of all that is held."""
        while self.held:
            future, answer = self.held.pop(0)
            if future.set_running_or_notify_cancel():
                future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Fail all that is held."""
        while self.held:
            self.held.pop(0)[0].set_exception(error)

    def close(self) -> None:
        self.is_closed = True
        for future, _ in self.held:
            future.cancel()


def scores_of(text: str) -> list[float]:
    """Eight scores from 0 to 10, as a dimension of uplifting has each."""
    return [byte / 25.5 for byte in hashlib.sha256(text.encode()).digest()[:8]]


def path_of(scorer: Scorer) -> ScoringPath:
    return scoring_path(load_settings(None, {}), [identity()], scorer)


def make_service(scorer: Scorer, **limits: Any) -> ScoreService:
    return ScoreService({UPLIFTING.name: path_of(scorer)}, scorer, ScoreLimits(**limits))


def make_app(service: ScoreService) -> FastAPI:
    app = FastAPI()
    app.include_router(score_router(service))
    app.include_router(open_inference_router(service))
    app.include_router(filters_router(lambda: [served_filter(UPLIFTING, STUDENT)]))
    return app


@asynccontextmanager
async def client_of(
    scorer: Scorer | None = None, **limits: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, ScoreService]]:
    """A client of a server without a socket, and its service, which is closed in the end."""
    service = make_service(scorer or TextScorer(), **limits)
    transport = httpx2.ASGITransport(app=make_app(service))
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client, service
    finally:
        await service.close()


def run(test: Coroutine[Any, Any, Result]) -> Result:
    """Run a test's coroutine, which must not take for ever."""
    return asyncio.run(asyncio.wait_for(test, PATIENCE_SECONDS))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something has happened on another thread or task."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():
            await asyncio.sleep(0.001)


def scripted_student(forward: Forward) -> Any:
    """What the micro-batcher needs of a student: a text's tokens are the numbers in it."""

    def encode(texts: Sequence[str]) -> list[Tokens]:
        words = [[word for word in text.split() if word.isdecimal()] or ["0"] for text in texts]
        return [Tokens([int(word) for word in row], truncated=False) for row in words]

    return SimpleNamespace(
        filter=UPLIFTING,
        manifest=SimpleNamespace(dimensions=UPLIFTING.definition.dimension_names),
        tokeniser=SimpleNamespace(identity="words", encode=encode),
        forward=forward,
        device="cpu",
    )
