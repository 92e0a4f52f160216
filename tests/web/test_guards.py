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

from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.web.access import COOKIE, REVIEW
from newsieve.web.guarded import CONTENT_SECURITY_POLICY
from tests.support.served import (
    REVIEW_TOKEN,
    TOKEN,
    Served,
    fill,
    make_served,
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
        {
            "SERVE__USER_HEADER": "X-User",
            "SERVE__TRUSTED_PROXIES": "127.0.0.1",
            "SERVE__URL": "https://news.example/",
        },
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
