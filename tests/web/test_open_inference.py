"""The Open Inference Protocol, version 2: each filter is a model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from newsieve.errors import DeviceFailed
from newsieve_schemas.dead_letter import DeadLetterLine
from newsieve_schemas.scored import ScoredArticle
from tests.support.scoring_server import JSON, TextScorer, client_of, run, scores_of, until

INFER = "/v2/models/uplifting/infer"
DIMENSIONS = 8
GOOD = '{"id": "a", "title": "A village opens a library"}'
BLOCKED = '{"title": "A preprint of a preprint", "url": "https://arxiv.org/abs/1"}'
BAD = '{"title": NaN}'


def request(*articles: str, **changes: Any) -> dict[str, Any]:
    """A request for the scores of these articles; `changes` are fields of its tensor."""
    tensor = {"name": "articles", "shape": [len(articles)], "datatype": "BYTES", "data": articles}
    return {"inputs": [{**tensor, **changes}]}


def get(path: str) -> httpx2.Response:
    async def test() -> httpx2.Response:
        async with client_of() as (client, _):
            return await client.get(path)

    return run(test())


def post(body: Any, path: str = INFER, **options: Any) -> httpx2.Response:
    async def test() -> httpx2.Response:
        async with client_of(**options) as (client, _):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await client.post(path, content=content, headers=JSON)

    return run(test())


def outputs_of(answer: httpx2.Response) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return {item["name"]: item for item in answer.json()["outputs"]}


def test_the_server_and_its_models_say_what_they_are() -> None:
    """Name, versions, and the tensors with their shapes."""
    assert get("/v2").json()["name"] == "newsieve"
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/uplifting", "/v2/models/uplifting/versions/4"):
        assert get(f"{path}/ready").json() == {"name": "uplifting", "ready": True}
        metadata = get(path).json()
        assert (metadata["name"], metadata["versions"]) == ("uplifting", ["4"])
        assert metadata["inputs"] == [{"name": "articles", "datatype": "BYTES", "shape": [-1]}]
        assert metadata["outputs"] == [
            {"name": "scores", "datatype": "FP32", "shape": [-1, DIMENSIONS]},
            {"name": "score", "datatype": "FP32", "shape": [-1]},
            {"name": "tier", "datatype": "BYTES", "shape": [-1]},
            {"name": "outcome", "datatype": "BYTES", "shape": [-1]},
            {"name": "records", "datatype": "BYTES", "shape": [-1]},
        ]


def test_each_article_has_a_row_in_every_output() -> None:
    """What has no scores has −1, which is none of the scale, and its outcome says why."""
    answer = post(request(GOOD, BLOCKED, BAD), "/v2/models/uplifting/versions/4/infer")

    outputs = outputs_of(answer)
    assert list(outputs) == ["scores", "score", "tier", "outcome", "records"]
    assert answer.json()["model_name"] == "uplifting"
    assert answer.json()["model_version"] == "4"
    assert "id" not in answer.json()
    assert outputs["outcome"]["data"] == ["scored", "blocked", "dead_letter"]
    assert outputs["scores"]["shape"] == [3, DIMENSIONS]
    scores = outputs["scores"]["data"]
    assert scores[:DIMENSIONS] == pytest.approx(scores_of("A village opens a library"), abs=1e-4)
    assert scores[DIMENSIONS:] == [-1.0] * 2 * DIMENSIONS
    record, blocked, letter = outputs["records"]["data"]
    scored = ScoredArticle.model_validate_json(record)
    assert outputs["score"]["data"] == [scored.score, -1.0, -1.0]
    assert outputs["tier"]["data"] == [scored.tier, "", ""]
    assert ScoredArticle.model_validate_json(blocked).blocked_by is not None
    assert DeadLetterLine.model_validate_json(letter).error == "NonFiniteNumber"
    assert DeadLetterLine.model_validate_json(letter).line == 2


def test_a_client_gets_the_outputs_that_it_names_and_its_id() -> None:
    """In its order, each once; parameters are passed over."""
    names = ["tier", "score", "tier"]
    body = {
        **request(GOOD, parameters={"content_type": "str"}),
        "id": "42",
        "parameters": {"binary_data_output": True, "priority": 1},
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in names],
    }

    answer = post(body)

    assert list(outputs_of(answer)) == ["tier", "score"]
    assert answer.json()["id"] == "42"


@pytest.mark.parametrize("changes", [{"shape": [2, 1]}, {"shape": [2, 1], "data": [[GOOD], [BAD]]}])
def test_data_may_be_flat_or_nested(changes: dict[str, Any]) -> None:
    """As the protocol says of tensors."""
    outputs = outputs_of(post(request(GOOD, BAD, **changes)))

    assert outputs["score"]["shape"] == [2]
    assert outputs["outcome"]["data"] == ["scored", "dead_letter"]


def test_no_article_is_no_error() -> None:
    """The outputs then have no rows."""
    outputs = outputs_of(post(request()))

    assert outputs["scores"]["shape"] == [0, DIMENSIONS]
    assert all(item["data"] == [] for item in outputs.values())


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "Invalid JSON"),
        (b"\xff", 400, "JSON"),
        ({}, 400, "inputs: Field required"),
        ({"inputs": []}, 400, "inputs"),
        (request(GOOD, name="other"), 400, "inputs.0.name: Input should be 'articles'"),
        (request(GOOD, datatype="FP32"), 400, "inputs.0.datatype"),
        (request(GOOD, shape=[-1]), 400, "inputs.0.shape.0"),
        (request(GOOD, shape=[1, 1, 1]), 400, "inputs.0.shape"),
        (request(GOOD, data=[{"title": "x"}]), 400, "inputs.0.data"),
        ({**request(GOOD), "id": 5}, 400, "id: Input should be a valid string"),
        ({**request(GOOD), "outputs": [{"name": "logits"}]}, 400, "outputs.0.name"),
        (request(*[GOOD] * 6), 413, "more than 5 articles"),
        (request("x" * 10_000), 413, "more than 9,000 bytes"),
    ],
)
def test_a_refusal_has_the_protocols_form(body: Any, status: int, says: str) -> None:
    """An object with the field error, which says what is wrong."""
    answer = post(body, articles=5, body_bytes=9_000)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["/v2/models/nope", "/v2/models/uplifting/versions/3", "/v2/models/nope/ready"]
)
def test_a_model_or_version_that_is_not_served_is_not_found(path: str) -> None:
    """The answer names those that are."""
    answer = get(path)

    assert answer.status_code == 404
    assert "there are: uplifting/versions/4" in answer.json()["error"]


def test_a_client_need_not_say_that_it_sends_json() -> None:
    """Triton's does not."""

    async def test() -> httpx2.Response:
        async with client_of() as (client, _):
            return await client.post(INFER, content=json.dumps(request(GOOD)).encode())

    assert outputs_of(run(test()))["outcome"]["data"] == ["scored"]


def test_other_forms_of_a_request_are_refused_with_the_way_out() -> None:
    """The binary extension of tensors, and bodies that are not JSON."""

    async def test() -> list[httpx2.Response]:
        binary = {**JSON, "Inference-Header-Content-Length": "10"}
        async with client_of() as (client, _):
            return [
                await client.post(INFER, content=b"{}", headers=binary),
                await client.post(INFER, content=b"{}", headers={"content-type": "text/plain"}),
                await client.post(f"{INFER}?timeout_seconds=x", content=b"{}", headers=JSON),
            ]

    binary, text, timeout = run(test())

    assert (binary.status_code, text.status_code, timeout.status_code) == (400, 415, 400)
    assert "binary_data=False" in binary.json()["error"]
    assert "query.timeout_seconds" in timeout.json()["error"]


def test_a_server_whose_device_fails_is_not_ready() -> None:
    """So that no further requests are sent to it; it goes on living."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        async with client_of(scorer) as (client, _):
            infer = asyncio.create_task(client.post(INFER, json=request(GOOD)))
            await until(lambda: bool(scorer.held))
            scorer.fail(DeviceFailed("it burns"))
            answer = await infer
            assert answer.status_code == 503
            assert answer.json() == {"error": "the device failed: it burns"}
            ready = await client.get("/v2/health/ready")
            assert (ready.status_code, ready.json()) == (503, {"ready": False})
            ready = await client.get("/v2/models/uplifting/ready")
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert (await client.get("/v2/health/live")).status_code == 200

    run(test())
