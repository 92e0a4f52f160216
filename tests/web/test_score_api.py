"""`POST /v1/score` and `GET /v1/filters`: what `newsieve score` says, over HTTP."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

from newsieve.records.json_array import elements_of
from newsieve_schemas.dead_letter import DeadLetterLine
from newsieve_schemas.scored import ScoredArticle
from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.scoring_server import (
    JSON,
    LINES,
    STUDENT,
    TextScorer,
    client_of,
    identity,
    run,
)

URL = "/v1/score?filter=uplifting"
GOOD = b'{"id": "a", "title": "A village opens a library"}'
SCORED_AT = re.compile(rb'"scored_at":"[^"]*"')
HOSTILE = [
    b"{",
    b"",
    b"null",
    b"5",
    b'"a"',
    b"\xff\xfe{}",
    b'\xef\xbb\xbf{"title": "with a byte order mark"}',
    b'{"title": NaN}',
    b'{"id": -Infinity, "title": "x"}',
    b'{"id": ' + b"9" * 3_000 + b', "title": "x"}',
    b'{"id": 123456789012345678901234567890, "title": "x"}',
    b'{"id": 1e400, "title": "x"}',
    b'{"title": "lone \\ud800 and \\udc00\\ud83d", "content": "\\ud83d\\ude00"}',
    b'{"title": "raw \xed\xa0\x80"}',
    b'{"title": "twice", "title": "or once"}',
    b'{"title": "deep", "x": ' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"title": "}],[{\\"", "content": "\\\\"}',
    b'{"title": "x", "tags": 5, "url": 7, "source": [1,2]}',
    b'{"title": "\\u0000\\u0007"}',
    b'{"title": "' + b"a" * 10_001 + b'"}',
    b'{"specversion": "1.0", "type": "t", "source": "s", "data": {"title": "in an event"}}',
    b'{"title": "<script>alert(1)</script>"}',
    b'  {"title": "spaces"}\t\r',
]
ARTICLES = HOSTILE + [value for _, value in raw_records(60, seed=5) if b"\n" not in value]


@pytest.fixture
def command_lines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What `newsieve score` prints for ARTICLES, by the scorer of these tests."""
    monkeypatch.setattr("newsieve.cli.score.load_students", lambda *_: {})
    monkeypatch.setattr("newsieve.cli.score.identities_of", lambda _: [identity()])
    monkeypatch.setattr("newsieve.cli.score.make_scorer", lambda _: TextScorer())
    done = newsieve("score", stdin=b"\n".join(ARTICLES))
    assert "Traceback" not in done.err
    return [without_time(line) for line in done.out.splitlines()]


def without_time(line: bytes) -> bytes:
    return SCORED_AT.sub(b'"scored_at":""', line)


def at_line(line: bytes, number: int) -> bytes:
    return re.sub(rb'"line":\d+', b'"line":%d' % number, line)


def test_lines_are_answered_by_the_bytes_that_newsieve_score_prints(
    command_lines: list[bytes],
) -> None:
    """But for the time of scoring, whatever the lines are; blank ones are skipped but counted."""

    async def test() -> httpx2.Response:
        async with client_of() as (client, _):
            return await client.post(URL, content=b"\n".join(ARTICLES), headers=LINES)

    answer = run(test())

    assert answer.status_code == 200
    assert answer.headers["content-type"] == LINES["content-type"]
    assert [without_time(line) for line in answer.content.splitlines()] == command_lines
    assert {json.loads(line)["outcome"] for line in command_lines} == {
        "scored",
        "blocked",
        "dead_letter",
    }


def test_an_array_has_the_same_bytes_in_its_places(command_lines: list[bytes]) -> None:
    """An article's own bytes are judged, not what a parser of the whole array makes of them."""
    numbers = [number for number, value in enumerate(ARTICLES) if value.strip()]
    expected = dict(zip(numbers, command_lines, strict=True))
    places = [number for number in numbers if ARTICLES[number] != b"{"]  # which splits no array

    async def test() -> httpx2.Response:
        async with client_of() as (client, _):
            body = b" [" + b" ,\n".join(ARTICLES[number] for number in places) + b"]"
            return await client.post(URL, content=body, headers=JSON)

    answer = run(test())

    assert answer.status_code == 200
    lines = elements_of(answer.content, len(places))
    assert [without_time(line) for line in lines] == [
        at_line(expected[number], index) for index, number in enumerate(places)
    ]
    for line in json.loads(answer.content):
        model = DeadLetterLine if line["outcome"] == "dead_letter" else ScoredArticle
        model.model_validate_json(json.dumps(line), strict=True, extra="forbid")


def test_one_article_is_answered_by_its_record_or_by_why_there_is_none(
    command_lines: list[bytes],
) -> None:
    """A dead letter is a problem of the request: its stage, error and message are in the answer."""
    alone = [value for value in HOSTILE if value.strip()]

    async def test() -> list[httpx2.Response]:
        async with client_of() as (client, _):
            return [await client.post(URL, content=value, headers=JSON) for value in alone]

    statuses = set()
    for answer, line in zip(run(test()), command_lines[: len(alone)], strict=True):
        statuses.add(answer.status_code)
        if answer.status_code == 200:
            assert without_time(answer.content) == at_line(line, 0)
            continue
        problem, letter = answer.json(), json.loads(line)
        assert answer.status_code == problem["status"] == 422
        assert answer.headers["content-type"] == "application/problem+json"
        for name in ("stage", "error", "message"):
            assert problem[name] == letter[name]
    assert statuses == {200, 422}


@pytest.mark.parametrize(
    ("url", "body", "headers", "status", "says"),
    [
        ("/v1/score?filter=nope", GOOD, JSON, 404, "there are: uplifting/v4"),
        ("/v1/score?filter=uplifting/v3", GOOD, JSON, 404, "there are: uplifting/v4"),
        ("/v1/score", GOOD, JSON, 422, "query.filter"),
        (f"{URL}&timeout_seconds=0", GOOD, JSON, 422, "query.timeout_seconds"),
        (f"{URL}&timeout_seconds=31", GOOD, JSON, 422, "query.timeout_seconds"),
        (URL, GOOD, {}, 415, "send application/json or application/x-ndjson"),
        (URL, GOOD, {"content-type": "text/plain"}, 415, "'text/plain'"),
        (URL, b"x" * 1_001, JSON, 413, "more than 1,000 bytes"),
        (URL, b"[1,2,3,4,5,6]", JSON, 413, "more than 5 articles"),
        (URL, b"1\n2\n3\n4\n5\n6", LINES, 413, "more than 5 articles"),
        (URL, b"[{]", JSON, 422, "does not end"),
        (URL, b"", JSON, 422, "not JSON"),
    ],
)
def test_a_refusal_is_a_problem_that_says_what_to_do(
    url: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    """Problem details of RFC 9457."""

    async def test() -> httpx2.Response:
        async with client_of(body_bytes=1_000, articles=5) as (client, _):
            return await client.post(url, content=body, headers=headers)

    answer = run(test())

    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"[]", b" [ ] "])
def test_no_article_is_no_error(body: bytes) -> None:
    """Nothing in, nothing out."""

    async def test() -> tuple[bytes, bytes]:
        async with client_of() as (client, _):
            array = await client.post(URL, content=body, headers=JSON)
            lines = await client.post(URL, content=b"\n \n", headers=LINES)
            return array.content, lines.content

    assert run(test()) == (b"[]", b"")


def test_filters_are_named_with_what_scores_by_them() -> None:
    """Name, version, dimensions, tiers, and the student's hash."""

    async def test() -> Any:
        async with client_of() as (client, _):
            return (await client.get("/v1/filters")).json()

    (row,) = run(test())

    assert (row["name"], row["version"], row["reference"]) == ("uplifting", "4", "uplifting/v4")
    assert row["dimensions"][0] == "agency"
    assert row["tiers"] == ["impact", "connection", "not_uplifting"]
    assert row["published_tiers"] == ["impact", "connection"]
    assert row["student"] == STUDENT
