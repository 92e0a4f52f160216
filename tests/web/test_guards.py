"""What every request passes, and what every answer has."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Message

from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.web import guards
from newsieve.web.access import COOKIE, REVIEW
from newsieve.web.guards import CONTENT_SECURITY_POLICY, RateLimit
from tests.support.served import (
    REVIEW_TOKEN,
    TOKEN,
    Served,
    fill,
    make_served,
    run_within,
)

BODY_BYTES = 1_000
CLOSED = {"SERVE__READ_TOKEN": TOKEN, "SERVE__REVIEW_TOKEN": REVIEW_TOKEN}
PAGES = {"accept": "text/html"}
SECRET = "what-nobody-should-see"


def odd_routes() -> APIRouter:
    """Routes that fail, take a body, or never end."""
    router = APIRouter()

    @router.get("/v1/fault")
    def fault() -> Response:
        raise RuntimeError(SECRET)

    @router.post("/v1/body")
    async def body(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    @router.get("/v1/endless")
    async def endless() -> Response:
        async def ticks() -> Any:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(ticks())

    return router


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, {"SERVE__BODY_BYTES": str(BODY_BYTES)}, [odd_routes()])
    fill(served, 5)
    yield served
    served.close()


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, CLOSED, [odd_routes()])
    fill(served, 5)
    yield served
    served.close()


def test_every_answer_has_the_headers_of_safety(served: Served, tmp_path: Path) -> None:
    """Whether it is a page, a feed, nothing new, or a refusal of any kind."""
    feed = "/feeds/uplifting.atom"
    tag = served.get(feed).headers["etag"]
    folder = tmp_path / "slow"
    folder.mkdir()
    slow = make_served(folder, CLOSED | {"SERVE__REQUESTS_PER_MINUTE": "1"})
    once = slow.get("/v1/filters")
    again = slow.get("/v1/filters")
    answers = [
        served.get("/articles"),
        served.get("/v1/filters"),
        served.get(feed, {"if-none-match": tag}),
        served.ask("POST", "/v1/body", content=b"x", headers={"origin": "http://evil.example"}),
        served.get("/nowhere"),
        served.get("/nowhere", PAGES),
        served.ask("DELETE", "/v1/filters"),
        served.ask("POST", "/v1/body", content=b"x" * 2_000),
        served.get("/v1/filters", {"host": "evil.example"}),
        served.get("/articles", PAGES | {"host": "evil.example"}),
        served.get("/v1/articles?limit=0"),
        once,
        again,
        served.get("/v1/fault"),
        served.get("/v1/fault", PAGES),
    ]
    statuses = [answer.status_code for answer in answers]

    assert statuses == [
        200, 200, 304, 403, 404, 404, 405, 413, 421, 421, 422, 401, 429, 500, 500,
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "cache-control" in answer.headers
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    assert answers[6].headers["allow"] == "GET"
    assert 1 <= int(again.headers["retry-after"]) <= 61
    slow.close()


def test_the_policy_of_content_runs_no_script_that_stands_in_a_page() -> None:
    """Scripts and styles come from files of ours, and nothing comes from elsewhere."""
    policy = dict(item.split(" ", 1) for item in CONTENT_SECURITY_POLICY.split("; "))

    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_a_fault_of_ours_shows_nothing_of_its_cause(served: Served) -> None:
    """Neither a traceback nor a message, as JSON or as a page."""
    for headers in ({}, PAGES):
        answer = served.get("/v1/fault", headers)
        assert answer.status_code == 500
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text
        assert ".py" not in answer.text


@pytest.mark.parametrize(
    ("host", "environment", "status"),
    [
        ("localhost:8080", {}, 200),
        ("LOCALHOST", {}, 200),
        ("127.0.0.1:1", {}, 200),
        ("[::1]:8080", {}, 200),
        ("evil.example", {}, 421),
        ("localhost.evil.example", {}, 421),
        ("evil.example:8080", {}, 421),
        ("localhost:8080@evil.example", {}, 421),
        ("", {}, 421),
        ("news.example", {"SERVE__HOSTS": "News.example,other.example"}, 200),
        ("news.example:443", {"SERVE__URL": "https://news.example/x"}, 200),
        ("evil.example", {"SERVE__URL": "https://news.example/x"}, 421),
        ("evil.example", {"SERVE__HOST": "::", **CLOSED}, 200),
        ("evil.example", {"SERVE__HOST": "::", "SERVE__HOSTS": "news.example", **CLOSED}, 421),
    ],
)
def test_a_request_for_another_host_is_refused(
    tmp_path: Path, host: str, environment: dict[str, str], status: int
) -> None:
    """A page of evil.example whose name leads to this machine reads nothing: its browser says the
    name. A server for all hosts has a token instead."""
    served = make_served(tmp_path, environment)

    answer = served.get("/v1/filters", {"host": host, "authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == status
    served.close()


def test_without_a_right_nothing_is_read(closed: Served) -> None:
    """Programs are told how to send a token, feed readers to ask for a password, and people are led
    to the page where they sign in, and back."""
    stream = closed.get("/v1/stream")
    feed = closed.get("/feeds/uplifting.atom")
    page = closed.get("/articles?filter=uplifting&q=a%20b")
    elsewhere = closed.get("//evil.example/")

    assert (stream.status_code, stream.headers["www-authenticate"]) == (401, "Bearer")
    assert feed.status_code == 401
    assert feed.headers["www-authenticate"].startswith("Basic realm=")
    assert page.status_code == 303
    assert page.headers["location"] == (
        "/sign-in?next=%2Farticles%3Ffilter%3Duplifting%26q%3Da%2520b"
    )
    assert elsewhere.headers["location"].startswith("/sign-in?next=")
    for path in ("/v1/articles", "/v1/filters", "/openapi.json", "/v1/fault", "/v1/nowhere"):
        assert closed.get(path).status_code == 401, path
    assert closed.ask("POST", "/v1/body", content=b"x").status_code == 401
    assert closed.ask("HEAD", "/v1/filters").status_code == 401


def test_a_feed_reader_reads_with_the_token_as_its_password(closed: Served) -> None:
    """HTTP Basic is for reading: it opens feeds, lists and pages."""
    for path in ("/feeds/uplifting.atom", "/feeds/opml", "/v1/articles", "/articles"):
        assert closed.ask("GET", path, auth=("reader", TOKEN)).status_code == 200, path
        assert closed.ask("GET", path, auth=("reader", "wrong")).status_code in {401, 303}, path
    answer = closed.ask("GET", "/feeds/uplifting.atom", auth=("reader", TOKEN))
    assert answer.headers["cache-control"].startswith("private")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "http://["]
)
def test_no_page_of_another_site_changes_anything(
    closed: Served, tmp_path: Path, origin: str
) -> None:
    """A browser sends cookies, passwords and what a proxy adds unasked, and reaches this machine;
    a bearer token it does not know."""
    cookie = f"{COOKIE}={closed.site.access.session_cookie(REVIEW, None)}"
    ours = "http://localhost:8080"

    def post(served: Served, **headers: str) -> int:
        return served.ask("POST", "/v1/body", content=b"x", headers=headers).status_code

    assert post(closed, cookie=cookie, origin=origin) == 403
    assert post(closed, cookie=cookie, origin=ours) == 200
    assert post(closed, cookie=cookie) == 200
    assert post(closed, authorization=f"Bearer {TOKEN}", origin=origin) == 200
    assert closed.ask(
        "POST", "/v1/body", auth=("a", TOKEN), headers={"origin": origin}
    ).status_code == 403  # fmt: skip
    folder = tmp_path / "other"
    folder.mkdir()
    proxied = make_served(
        folder,
        {"SERVE__USER_HEADER": "X-User", "SERVE__URL": "https://news.example/"},
        [odd_routes()],
    )
    assert post(proxied, x_user="ada") == 401
    named = {"x-user": "ada", "origin": origin}
    assert proxied.ask("POST", "/v1/body", content=b"x", headers=named).status_code == 403
    named["origin"] = "https://news.example"
    assert proxied.ask("POST", "/v1/body", content=b"x", headers=named).status_code == 200
    proxied.close()


def test_a_site_open_to_this_machine_is_no_tool_of_other_sites(served: Served) -> None:
    """A page elsewhere that posts to localhost is refused, though no token is needed."""
    answer = served.ask(
        "POST", "/v1/body", content=b"x", headers={"origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert served.ask("POST", "/v1/body", content=b"x").status_code == 200


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


def test_a_body_that_comes_too_slowly_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However regular its parts are: each byte buys little time."""
    monkeypatch.setattr(guards, "BODY_SECONDS", 0.2)

    async def drip() -> Any:
        for _ in range(100):
            yield b"x"
            await asyncio.sleep(0.01)

    answer = served.ask("POST", "/v1/body", content=drip())

    assert answer.status_code == 408


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
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that announces a body for a stream and does not send it counts as gone in time."""
    monkeypatch.setattr(guards, "BODY_SECONDS", 0.1)
    sent: list[Message] = []

    async def test() -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await served.app(scope_of("GET", "/v1/endless"), receive, send)

    with caplog.at_level(logging.WARNING):
        run_within(test(), 5)

    assert sent[0]["status"] == 200
    assert len(sent) > 2
    assert caplog.records == []


def test_no_secret_is_in_an_answer_a_log_line_or_a_metric(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is asked, and with whichever credentials."""
    served = make_served(tmp_path, CLOSED, [odd_routes()])
    fill(served, 5)
    metrics = ServeMetrics()
    cookie = served.site.access.session_cookie(REVIEW, "Ada")
    secrets = [TOKEN, REVIEW_TOKEN, cookie.partition(".")[2]]
    targets = [
        ("GET", path)
        for path in (
            "/", "/articles", "/articles?q=x", "/drift", "/students", "/dead-letters", "/status",
            "/v1/articles", "/v1/filters", "/feeds/opml", "/feeds/uplifting.atom", "/openapi.json",
            "/feeds/uplifting.json", "/v1/fault", "/nowhere", "/v1/articles?limit=x", "/sign-in",
        )
    ]  # fmt: skip

    with caplog.at_level(logging.DEBUG):
        for headers in (
            {},
            {"authorization": f"Bearer {REVIEW_TOKEN}"},
            {"authorization": f"Bearer {REVIEW_TOKEN}", **PAGES},
            {"cookie": f"{COOKIE}={cookie}", **PAGES},
            {"authorization": f"Bearer {TOKEN}-wrong"},
        ):
            for answer in served.ask_all(targets, headers=headers):
                said = answer.text + repr(answer.headers)
                assert not [secret for secret in secrets if secret in said]
    for route, status in served.answers:
        metrics.requested(route, status, 0.1)
    exported = repr([sample for item in metrics.registry.collect() for sample in item.samples])
    seen = exported + caplog.text + "".join(capsys.readouterr())
    assert not [secret for secret in secrets if secret in seen]
    assert re.search("/v1/articles", exported)
    served.close()


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
