"""The requests of docs/how-to/score-over-http.md get the answers that the page promises."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2

from newsieve.web import open_inference, score_api
from newsieve.web.open_inference import model_outputs
from tests.support.curl import curl_commands, send
from tests.support.scoring_server import UPLIFTING, client_of, run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "score-over-http.md").read_text(encoding="utf-8")
ARTICLES = b'{"title": "A village opens a library"}\n\n{\n'


def answers() -> list[Any]:
    async def test() -> list[httpx2.Response]:
        async with client_of() as (client, _):
            return [await send(client, words, ARTICLES) for words in curl_commands(PAGE)]

    return run(test())


def test_the_pages_commands_are_answered_as_it_says() -> None:
    """One article, an array, JSON Lines, and a request of the Open Inference Protocol."""
    one, array, lines, inference = answers()

    assert one.json()["article"]["id"] == "a1"
    assert [row["outcome"] for row in array.json()] == ["scored", "dead_letter"]
    assert [json.loads(line)["outcome"] for line in lines.text.splitlines()] == [
        "scored",
        "dead_letter",
    ]
    assert inference.json()["id"] == "42"
    outputs = {item["name"]: item["data"] for item in inference.json()["outputs"]}
    assert list(outputs) == ["score", "tier", "outcome"]
    assert outputs["score"][1] == -1
    assert outputs["outcome"] == ["scored", "dead_letter"]


def test_the_page_names_every_status_and_every_output() -> None:
    """No more and no less than there are."""
    statuses = {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}
    outputs = re.findall(r"^\| `(\w+)` \| (?:FP32|BYTES) \[", PAGE, re.MULTILINE)

    assert statuses == set(score_api.REFUSALS)
    assert statuses - {HTTPStatus.UNPROCESSABLE_ENTITY} < set(open_inference.REFUSALS)
    assert outputs == [item.name for item in model_outputs(UPLIFTING, [])]
