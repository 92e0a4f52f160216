"""Requests for scores: bounds, deadlines, clients that go away, a server that stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from newsieve.web.score_service import BODIES_IN_QUEUE
from tests.support.scoring_server import (
    JSON,
    TextScorer,
    client_of,
    make_app,
    make_service,
    run,
    until,
)

URL = "/v1/score?filter=uplifting"
GOOD = b'{"title": "A village opens a library"}'


def test_a_body_that_says_no_length_is_bounded_all_the_same() -> None:
    """It is refused as soon as there is too much of it."""
    sent = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1)
            yield b" " * 1_000

    async def test() -> httpx2.Response:
        async with client_of(body_bytes=10_000) as (client, service):
            answer = await client.post(URL, content=endless(), headers=JSON)
            assert service.queue.articles == 0
            return answer

    assert run(test()).status_code == 413
    assert len(sent) <= 12


def test_what_is_not_scored_in_time_is_dropped() -> None:
    """The answer is 504, and the device does not work for it."""

    async def test() -> httpx2.Response:
        scorer = TextScorer(is_held=True)
        async with client_of(scorer, deadline_seconds=0.05) as (client, service):
            answer = await client.post(URL, content=GOOD, headers=JSON)
            assert scorer.held[0][0].cancelled()
            assert service.queue.articles == 0
            return answer

    answer = run(test())

    assert answer.status_code == 504
    assert "not done within 0.05 s" in answer.json()["detail"]


def test_beyond_the_queue_the_answer_says_when_to_come_back() -> None:
    """A request that would wait too long is refused before its body is read."""

    async def test() -> httpx2.Response:
        scorer = TextScorer(is_held=True)
        async with client_of(scorer, queue_articles=1) as (client, _):
            first = asyncio.create_task(client.post(URL, content=GOOD, headers=JSON))
            await until(lambda: bool(scorer.held))
            answer = await client.post(URL, content=GOOD, headers=JSON)
            scorer.release()
            assert (await first).status_code == 200
            return answer

    answer = run(test())

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def call(app: Any, messages: list[dict[str, Any]], *, then: asyncio.Event) -> list[Any]:
    """Send a request message by message, wait for an event, then go away. Returns what came."""
    came: list[Any] = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await then.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        came.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/score",
        "query_string": b"filter=uplifting",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    return came


def test_what_a_client_asked_for_is_dropped_when_it_goes_away() -> None:
    """While it waits for the scores, and while it sends its body."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        app = make_app(service)
        gone = asyncio.Event()
        body = [{"type": "http.request", "body": GOOD, "more_body": False}]
        waiting = asyncio.create_task(call(app, body, then=gone))
        await until(lambda: bool(scorer.held))
        gone.set()
        await waiting
        assert scorer.held[0][0].cancelled()

        half = [{"type": "http.request", "body": b"{", "more_body": True}]
        await call(app, half, then=gone)
        assert len(scorer.held) == 1
        assert service.queue.articles == 0
        await service.close()

    run(test())


def test_a_request_that_the_http_server_ends_is_answered() -> None:
    """When it stops it cancels what is not done in time: the client learns that it may try again,
    and the device does not work for it."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        body = [{"type": "http.request", "body": GOOD, "more_body": False}]
        asked = asyncio.create_task(call(make_app(service), body, then=asyncio.Event()))
        await until(lambda: bool(scorer.held))
        asked.cancel()
        assert (await asked)[0]["status"] == 503
        assert scorer.held[0][0].cancelled()
        await service.close()

    run(test())


def test_the_bodies_of_slow_clients_take_no_more_memory_than_they_may() -> None:
    """Clients that send all but the end of large bodies: what is beyond is refused."""

    async def test() -> None:
        service = make_service(TextScorer(), body_bytes=1_000)
        app = make_app(service)
        gone = asyncio.Event()
        part = [{"type": "http.request", "body": b" " * 1_000, "more_body": True}]
        slow = [
            asyncio.create_task(call(app, list(part), then=gone)) for _ in range(BODIES_IN_QUEUE)
        ]
        await until(lambda: service.queue.body_bytes == BODIES_IN_QUEUE * 1_000)
        refused = await call(app, list(part), then=gone)
        assert refused[0]["status"] == 429
        gone.set()
        await asyncio.gather(*slow)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://test"
        ) as client:
            assert (await client.post(URL, content=GOOD, headers=JSON)).status_code == 200
        await service.close()

    run(test())
