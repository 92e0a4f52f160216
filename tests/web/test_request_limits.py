"""What a request may cost: so many of a client, so long a body, and no longer than an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from newsieve.web import guards
from newsieve.web.guards import RateLimit
from tests.support.served import (
    TOKEN,
    Served,
    fill,
    make_served,
    run_within,
)
from tests.web.test_guards import BODY_BYTES, CLOSED, odd_routes


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, {"SERVE__BODY_BYTES": str(BODY_BYTES)}, [odd_routes()])
    fill(served, 5)
    yield served
    served.close()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, routers=[odd_routes()], body_seconds=0.2)
    yield served
    served.close()


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, CLOSED, [odd_routes()])
    fill(served, 5)
    yield served
    served.close()


def test_a_client_that_asks_too_often_waits_and_others_do_not(tmp_path: Path) -> None:
    """By its address, behind trusted proxies by the one they name, however it makes up others."""
    environment = {
        "SERVE__HOST": "0.0.0.0",  # noqa: S104 - nothing listens here
        "SERVE__REQUESTS_PER_MINUTE": "3",
        "SERVE__TRUSTED_PROXIES": "10.0.0.1",
        "SERVE__READ_TOKEN": TOKEN,
    }
    served = make_served(tmp_path, environment)
    token = {"authorization": f"Bearer {TOKEN}"}

    def statuses(peer: str, *forwarded: str) -> list[int]:
        answers = [
            served.ask_all([("GET", "/v1/filters")], peer, headers=token | {"x-forwarded-for": one})
            for one in forwarded
        ]
        return [answer.status_code for (answer,) in answers]

    made_up = [f"198.51.100.{number}" for number in range(5)]
    assert statuses("203.0.113.7", *made_up) == [200, 200, 200, 429, 429]
    behind = [f"{address}, 203.0.113.8" for address in made_up]
    assert statuses("10.0.0.1", *behind) == [200, 200, 200, 429, 429]
    assert statuses("10.0.0.1", *made_up) == [200] * 5
    networks = [f"2001:db8::{number:x}" for number in range(5)]
    assert statuses("10.0.0.1", *networks) == [200, 200, 200, 429, 429]
    served.close()


def test_a_rate_is_regained_with_time_and_memory_is_bounded() -> None:
    """So many at once, then one at a time; addresses that are made up push out the oldest."""
    now = 0.0
    limit = RateLimit(60, lambda: now)

    assert [limit.wait_seconds("a") for _ in range(60)] == [0] * 60
    assert limit.wait_seconds("a") == pytest.approx(1)
    now = 0.5
    assert limit.wait_seconds("a") == pytest.approx(0.5)
    now = 1.0
    assert limit.wait_seconds("a") == 0
    assert limit.wait_seconds("a") > 0
    for number in range(guards.MOST_CLIENTS + 5):
        limit.wait_seconds(f"made up {number}")
    assert len(limit._buckets) == guards.MOST_CLIENTS


def test_guesses_of_a_token_are_counted_apart(closed: Served) -> None:
    """Twenty a minute at the page where people sign in."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    targets = [("POST", "/sign-in")] * 21

    answers = closed.ask_all(targets, content=b"token=wrong-wrong-wrong-1", headers=form)

    assert 429 not in [answer.status_code for answer in answers[:20]]
    assert answers[20].status_code == 429


def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not(served: Served) -> None:
    """Before it is sent, or as soon as it is known."""

    async def parts() -> Any:
        for _ in range(30):
            yield b"x" * 100

    announced = served.ask("POST", "/v1/body", content=b"x" * (BODY_BYTES + 1))
    exact = served.ask("POST", "/v1/body", content=b"x" * BODY_BYTES)
    chunked = served.ask("POST", "/v1/body", content=parts())
    unread = served.ask("GET", "/v1/filters", headers={"content-length": "99999999999999999999"})

    assert [announced.status_code, chunked.status_code, unread.status_code] == [413] * 3
    assert (exact.status_code, exact.text) == (200, "1000")


def test_a_body_that_comes_too_slowly_is_given_up(impatient: Served) -> None:
    """However regular its parts are: each byte buys little time."""

    async def drip() -> Any:
        for _ in range(100):
            yield b"x"
            await asyncio.sleep(0.01)

    answer = impatient.ask("POST", "/v1/body", content=drip())

    assert answer.status_code == 408


def test_a_body_that_has_come_is_taken_however_late_it_is_read(tmp_path: Path) -> None:
    """A host that stood still is no client's fault: its time is over, and its body is there."""
    served = make_served(tmp_path, routers=[odd_routes()], body_seconds=-1)

    answer = served.ask("POST", "/v1/body", content=b"x" * 10)
    served.close()

    assert (answer.status_code, answer.text) == (200, "10")


def scope_of(method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8080), "state": {},
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/endless", "/v1/stream"])
def test_the_head_of_a_stream_without_end_is_an_answer(served: Served, path: str) -> None:
    """HEAD ends with the head, and leaves nothing running."""
    sent: list[Message] = []

    async def test() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await served.app(scope_of("HEAD", path), receive, send)

    run_within(test(), 5)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert sent[1].get("body", b"") == b""


def test_a_body_that_never_comes_ends_a_stream_quietly(
    impatient: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that announces a body for a stream and does not send it counts as gone in time."""
    sent: list[Message] = []

    async def test() -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await impatient.app(scope_of("GET", "/v1/endless"), receive, send)

    with caplog.at_level(logging.WARNING):
        run_within(test(), 5)

    assert sent[0]["status"] == 200
    assert len(sent) > 2
    assert caplog.records == []


def test_metrics_name_routes_and_no_article(served: Served) -> None:
    """By the pattern of a route, HEAD as GET, so that their number is bounded."""
    for path in ("/v1/articles/by-id/one", "/v1/articles/by-id/two", "/nowhere", "/else"):
        served.get(path)
    served.ask("HEAD", "/feeds/uplifting.atom")

    assert {route for route, _ in served.answers} == {
        "/v1/articles/by-id/{article_id:path}",
        "/feeds/{filter}.atom",
        "other",
    }


def test_a_client_holds_half_of_the_streams_and_no_more(tmp_path: Path) -> None:
    """Whoever opens stream after stream leaves room for others, and gets it back by closing one."""
    served = make_served(tmp_path, {"SERVE__STREAMS": "4"})
    fill(served, 1)

    async def test() -> None:
        leave = [asyncio.Event() for _ in range(2)]
        held = [asyncio.create_task(_follow(served, "203.0.113.7", event)) for event in leave]
        await asyncio.sleep(0)
        refused = await _follow(served, "203.0.113.7", asyncio.Event())
        leave[0].set()
        assert refused == 429
        assert await held[0] == 200
        leave.append(asyncio.Event())
        leave[2].set()
        assert await _follow(served, "203.0.113.7", leave[2]) == 200
        assert await _follow(served, "203.0.113.8", leave[2]) == 200
        leave[1].set()
        assert await held[1] == 200

    run_within(_with_hub(served, test()), 10)
    served.close()


async def _with_hub(served: Served, test: Coroutine[Any, Any, None]) -> None:
    running = asyncio.create_task(served.site.hub.run())
    await test
    running.cancel()


async def _follow(served: Served, peer: str, leave: asyncio.Event) -> int:
    """Follow a stream until told to leave, and return the status of its answer."""
    statuses = []

    async def receive() -> Message:
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": "GET", "path": "/v1/stream", "raw_path": b"/v1/stream",
        "query_string": b"", "headers": [(b"host", b"localhost")], "client": (peer, 1),
        "scheme": "http", "http_version": "1.1", "server": ("localhost", 80), "root_path": "",
    }  # fmt: skip
    await served.app(scope, receive, send)
    return int(statuses[0])
