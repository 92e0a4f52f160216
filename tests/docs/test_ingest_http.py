"""The requests of docs/how-to/ingest-http.md get the answers that the page promises."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2

from newsieve.web.ingest_bodies import TAKEN
from newsieve.web.ingest_schemas import REFUSALS
from tests.support.curl import curl_commands, send
from tests.support.ingest_http import make_receiver, run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "ingest-http.md").read_text(encoding="utf-8")
ARTICLES = b'{"title": "A village opens a library"}\n\n{"title": "The harbour rose early"}\n'


def test_the_pages_commands_are_answered_as_it_says() -> None:
    """One article, an array, and JSON Lines."""
    receiver = make_receiver()

    async def test() -> list[httpx2.Response]:
        async with receiver.client() as client:
            return [await send(client, words, ARTICLES) for words in curl_commands(PAGE)]

    one, array, lines = run(test())

    (said,) = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert one.text == said
    assert [array.json()["accepted"], lines.json()["accepted"]] == [2, 2]
    assert {answer.status_code for answer in (one, array, lines)} == {202}


def test_the_pages_tables_name_what_there_is() -> None:
    """Each form of a body, and each status that says more than that the request is none."""
    statuses = {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}
    assert statuses - {202} == set(REFUSALS) - {403, 408, 421, 500}
    for media_type in TAKEN:
        assert f"`{media_type}`" in PAGE
