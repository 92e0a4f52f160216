"""Dead letters as pages: how many of which kind, and each with its reason and original bytes.

It knows no SQL and no markup.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from newsieve.records.encode import timestamp
from newsieve.store.dead_letters import (
    StoredLetter,
    count_letters,
    find_letter,
    list_letters,
)
from newsieve.store.rows import LETTER_BYTES
from newsieve.web.bytes_shown import as_text, hex_dump
from newsieve.web.layout import Layout
from newsieve.web.problems import HttpError
from newsieve.web.refreshed import Refreshed
from newsieve.web.site import Site
from newsieve_schemas.dead_letter import HEADER_PREFIX, Stage
from newsieve_schemas.topics import RAW, topic_name

PAGE: Final = 50
COUNTS_SECONDS: Final = 10.0  # how old the counts may be
DUMPED_BYTES: Final = 4_096  # of a hex dump, before somebody asks for all
PLACE: Final = ("topic", "partition", "offset")
MESSAGE_CHARACTERS: Final = 300  # in a list

Before = Annotated[int | None, Query(ge=0, le=2**62)]


def letter_pages(site: Site, layout: Layout) -> APIRouter:
    """Return the routes of dead letters."""
    router = APIRouter(include_in_schema=False)
    counts = Refreshed(lambda: count_letters(site.reader), COUNTS_SECONDS)
    raw_topic = topic_name(site.settings.kafka.topic_prefix, RAW)

    @router.get("/dead-letters")
    def letters(request: Request, before: Before = None) -> Response:
        """List dead letters, the newest first, and count them by stage, error and filter."""
        page = list_letters(site.reader, before, PAGE + 1)
        return layout.page(
            request,
            "letters.html",
            counts=[
                (stage, error, filter_, count, replay_command(stage, error, filter_))
                for stage, error, filter_, count in counts.get() or []
            ],
            letters=page[:PAGE],
            older=page[PAGE - 1].id if len(page) > PAGE else None,
            is_first=before is None,
            message_characters=MESSAGE_CHARACTERS,
            time=timestamp,
        )

    @router.get("/dead-letters/{letter_id}")
    def letter(request: Request, letter_id: int, hex: str = "") -> Response:  # noqa: A002 - in the address
        """Show a dead letter with its reason, its original and what replays it."""
        values = _shown(_letter(site, letter_id), raw_topic, is_whole=hex == "all")
        return layout.page(request, "letter.html", **values)

    @router.get("/dead-letters/{letter_id}/value")
    def value(letter_id: int) -> Response:
        """Send the original's bytes as a file."""
        item = _letter(site, letter_id)
        name = f"dead-letter-{item.partition}-{item.offset}.bin"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(item.value or b"", media_type="application/octet-stream", headers=headers)

    return router


def _shown(item: StoredLetter, raw_topic: str, *, is_whole: bool) -> dict[str, Any]:
    """Return what a letter's page shows; the hex dump is of all bytes, or of the first ones."""
    headers: Mapping[str, str] = orjson.loads(item.headers)
    value = item.value or b""
    dumped = value if is_whole else value[:DUMPED_BYTES]
    command = None
    if headers.get(HEADER_PREFIX + "topic", raw_topic) == raw_topic:
        command = replay_command(item.stage, item.error, item.filter, item.failed_ms)
    return {
        "letter": item,
        "headers": sorted(headers.items()),
        "origin": {name: headers.get(HEADER_PREFIX + name) for name in PLACE},
        "text": as_text(value),
        "dump": hex_dump(dumped),
        "not_dumped": len(value) - len(dumped),
        "is_cut": len(value) == LETTER_BYTES,
        "key": _key(item),
        "command": command,
        "time": timestamp,
    }


def replay_command(
    stage: str, error: str, filter_name: str | None, failed_ms: int | None = None
) -> str:
    """Return the command that puts letters of this kind back; with a time, those that failed within
    its millisecond."""
    words = ["newsieve", "dlq", "replay"]
    if stage in get_args(Stage):
        words += ["--stage", stage]
    if error:
        words += ["--error", error]
    if filter_name:
        words += ["--filter", filter_name]
    if failed_ms is not None:
        since, until = timestamp(failed_ms), timestamp(failed_ms + 1)
        words += ["--since", str(since), "--until", str(until)]
    return shlex.join(words)


def _letter(site: Site, letter_id: int) -> StoredLetter:
    letter = find_letter(site.reader, letter_id) if 0 <= letter_id < 2**62 else None
    if letter is None:
        raise HttpError(404, "This dead letter is not in the store, or not any more.")
    return letter


def _key(letter: StoredLetter) -> str | None:
    if letter.key is None:
        return None
    text = as_text(letter.key)
    return text if text is not None else letter.key.hex(" ")
