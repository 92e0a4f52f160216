"""Who may send articles by HTTP, how much at a time, and what an answer promises."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from newsieve.errors import OutcomeUnknown, Transient
from newsieve.settings.loader import load_settings
from tests.support.ingest_http import (
    BEARER,
    JSON,
    SECRET,
    TOKEN,
    HeldPublisher,
    make_receiver,
    run,
    signature,
    until,
)

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/articles",
    "raw_path": b"/articles",
    "query_string": b"",
    "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    "client": ("127.0.0.1", 5),
    "server": ("127.0.0.1", 8081),
    "scheme": "http",
    "http_version": "1.1",
    "root_path": "",
}
ARTICLE = b'{"id": "a1", "title": "A village opens a library"}'


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 202),
        ({}, {"origin": "https://evil.example"}, 403),
        ({"token": TOKEN}, {}, 401),
        ({"token": TOKEN}, BEARER, 202),
        ({"token": TOKEN}, {"authorization": f"bearer  {TOKEN} "}, 202),
        ({"token": TOKEN}, {"authorization": f"Basic {TOKEN}"}, 401),
        ({"token": TOKEN}, {"authorization": f"Bearer {TOKEN}é"}, 401),
        ({"token": TOKEN}, {"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"token": TOKEN}, signature(ARTICLE), 401),
        ({"secret": SECRET}, {}, 401),
        ({"secret": SECRET}, BEARER, 401),
        ({"secret": SECRET}, signature(ARTICLE), 202),
        ({"secret": SECRET}, signature(ARTICLE + b" "), 401),
        ({"secret": SECRET}, signature(ARTICLE, TOKEN), 401),
        ({"secret": SECRET}, {"x-miniflux-signature": ""}, 401),
        ({"token": TOKEN, "secret": SECRET}, signature(ARTICLE), 202),
        ({"token": TOKEN, "secret": SECRET}, {**BEARER, "x-miniflux-signature": "0"}, 202),
        ({"token": TOKEN, "secret": SECRET}, {"authorization": f"Bearer {SECRET}"}, 401),
    ],
)
def test_whoever_has_the_token_or_signs_the_body_may_send(
    settings: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """Neither stands for the other; without both, whoever reaches the server and is no web page."""
    receiver = make_receiver(**settings)

    answer = receiver.post(
        ARTICLE, {**JSON, **{key: value.encode("latin-1") for key, value in headers.items()}}
    )  # type: ignore[dict-item]

    assert answer.status_code == status, answer.text
    assert len(receiver.publisher.committed) == (status == 202)
    assert TOKEN not in answer.text and SECRET not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_signature_is_of_the_body_as_it_came() -> None:
    """Compressed, where it is; whoever unfolds it before a check can be made to unfold anything."""
    import gzip

    receiver = make_receiver(secret=SECRET)
    body = gzip.compress(ARTICLE)
    headers = {**JSON, "content-encoding": "gzip"}

    assert receiver.post(body, {**headers, **signature(ARTICLE)}).status_code == 401
    assert receiver.post(body, {**headers, **signature(body)}).status_code == 202


def test_a_request_for_another_host_is_refused() -> None:
    """So that no page reaches a server of this machine through its reader's browser."""
    receiver = make_receiver()

    assert receiver.post(ARTICLE, host="evil.example").status_code == 421
    assert receiver.post(ARTICLE, host="127.0.0.1").status_code == 202


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "news.example"])  # noqa: S104 - refused
def test_a_receiver_for_others_than_this_machine_needs_a_token_or_a_secret(host: str) -> None:
    """It does not start without one."""
    asked = {"NEWSIEVE_INGEST__HTTP_HOST": host}

    with pytest.raises(Exception, match="set http_token, or http_secret"):
        load_settings(None, asked)
    load_settings(None, {**asked, "NEWSIEVE_INGEST__HTTP_SECRET": SECRET})
    load_settings(None, {**asked, "NEWSIEVE_INGEST__HTTP_TOKEN": TOKEN})


def test_other_paths_and_methods_are_problems_and_the_document_is_open() -> None:
    """Nothing but POST /articles and /openapi.json is there."""
    receiver = make_receiver(token=TOKEN)

    async def test() -> None:
        async with receiver.client() as client:
            asked = [
                await client.get("/articles", headers=BEARER),
                await client.get("/docs", headers=BEARER),
                await client.get("/articles"),
                await client.get("/openapi.json"),
                await client.head("/openapi.json"),
            ]
        assert [item.status_code for item in asked] == [405, 404, 401, 200, 200]
        assert asked[0].headers["allow"] == "POST"
        assert asked[1].headers["content-type"] == "application/problem+json"

    run(test())
    assert receiver.answers[0] == ("/articles", 405)


def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not() -> None:
    """As soon as it is known."""
    receiver = make_receiver(body_bytes=1_000)

    async def parts() -> Any:
        for _ in range(100):
            yield b" " * 100

    async def test() -> None:
        async with receiver.client() as client:
            said = await client.post("/articles", content=b" " * 1_001, headers=JSON)
            dripped = await client.post("/articles", content=parts(), headers=JSON)
        assert (said.status_code, dripped.status_code) == (413, 413)

    run(test())
    assert receiver.service.queue.body_bytes == 0


async def post(client: httpx2.AsyncClient, content: bytes = ARTICLE) -> httpx2.Response:
    return await client.post("/articles", content=content, headers=JSON)


def test_more_than_the_queue_holds_is_429_until_there_is_room() -> None:
    """By articles and by bytes; what waits is answered all the same, and none is lost."""
    held = HeldPublisher(is_held=True)
    receiver = make_receiver(held, queue_articles=3, queue_bytes=400)

    async def test() -> None:
        async with receiver.client() as client:
            first = [asyncio.create_task(post(client)) for _ in range(3)]
            await until(lambda: len(held.held) == 3)
            refused = await post(client)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert "3 articles wait to be committed" in refused.json()["detail"]
            held.release()
            assert {(await item).status_code for item in first} == {202}

            large = b'{"title": "%b"}' % (b"x" * 280)
            waiting = asyncio.create_task(post(client, large))
            await until(lambda: len(held.held) == 1)
            full = await post(client, large)
            assert full.status_code == 429 and "all the memory" in full.json()["detail"]
            held.release()
            assert (await waiting).status_code == 202
            later = asyncio.create_task(post(client))
            await until(lambda: len(held.held) == 1)
            held.release()
            assert (await later).status_code == 202

    run(test())
    assert len(held.committed) == 5
    assert (receiver.service.queue.articles, receiver.service.queue.body_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutcomeUnknown("commit: timed out"), "it is not known whether"),
        (Transient("the coordinator moved"), "nothing was published"),
    ],
)
def test_a_failed_transaction_is_503_and_says_what_is_known(error: Exception, said: str) -> None:
    """That nothing was published, or that nobody knows; and to send again."""
    held = HeldPublisher(is_held=True)
    receiver = make_receiver(held)

    async def test() -> None:
        async with receiver.client() as client:
            waiting = asyncio.create_task(post(client))
            await until(lambda: bool(held.held))
            held.release(error)
            answer = await waiting
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert said in answer.json()["detail"] and "again" in answer.json()["detail"]

    run(test())


@pytest.mark.parametrize(
    ("is_taken", "said"), [(False, "nothing was published"), (True, "it is not known whether")]
)
def test_at_the_deadline_the_answer_says_whether_articles_may_yet_be_published(
    is_taken: bool,  # noqa: FBT001 - a parameter of the test
    said: str,
) -> None:
    """What no transaction has begun to publish is withdrawn; of the rest nobody knows."""
    held = HeldPublisher(is_held=True)
    receiver = make_receiver(held, deadline_seconds=0.2)

    async def test() -> None:
        async with receiver.client() as client:
            waiting = asyncio.create_task(post(client))
            await until(lambda: bool(held.held))
            if is_taken:
                held.take()
            answer = await waiting
        assert answer.status_code == 503
        assert "not committed within 0.2 s" in answer.json()["detail"]
        assert said in answer.json()["detail"]

    run(test())
    held.release()
    assert len(held.committed) == is_taken


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"is_available": False}, "the broker does not answer: nothing was published"),
        ({"is_closed": True}, "the program is stopping: nothing was published"),
    ],
)
def test_without_a_broker_and_on_the_way_out_the_answer_is_503_at_once(
    state: dict[str, bool], said: str
) -> None:
    """No client waits for what is known not to come."""
    receiver = make_receiver(HeldPublisher(**state))

    answer = receiver.post(ARTICLE)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert said in answer.json()["detail"]


def test_a_client_that_goes_away_withdraws_what_nobody_has_begun_to_publish() -> None:
    """It will send it again; its place is free."""
    held = HeldPublisher(is_held=True)
    receiver = make_receiver(held)

    async def test() -> None:
        has_gone = asyncio.Event()
        parts = [{"type": "http.request", "body": ARTICLE, "more_body": False}]

        async def receive() -> Any:
            if parts:
                return parts.pop()
            await has_gone.wait()
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            pass

        answering = asyncio.ensure_future(receiver.app(SCOPE, receive, send))
        await until(lambda: bool(held.held))
        has_gone.set()
        await answering

    run(test())
    held.release()
    assert held.committed == []
    assert receiver.service.queue.articles == 0


def test_it_runs_without_what_scores_and_without_a_store() -> None:
    """An installation without torch can take articles."""
    code = (
        "import sys; sys.modules.update(torch=None, transformers=None); "
        "import newsieve.cli.ingest_http; "
        "assert not {'newsieve.store', 'newsieve.inference.scorer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
