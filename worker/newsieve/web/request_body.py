"""Reads the body of a request, bounded, and notices a client that goes away before its answer.

It knows no endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from newsieve.web.article_queue import BodyBytes
from newsieve.web.problems import HttpError

CLIENT_GONE: Final = 499  # in logs; nobody else sees it


async def read_body(request: Request, counted: BodyBytes, most_bytes: int) -> bytes:
    """Read a body. Raises HttpError for one that is too large, as soon as it is known to be."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    chunks: list[bytes] = []
    async for chunk in request.stream():
        counted.add(len(chunk))
        if counted.count > most_bytes:
            raise _too_large(most_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(most_bytes: int) -> HttpError:
    return HttpError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {most_bytes:,} bytes: send several requests",
    )


async def unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Do the work, unless the client goes away before it is done: raises ClientDisconnect then."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait({working, watching})


async def _disconnected(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def media_type_of(request: Request) -> str:
    """Return the media type of a body, without its parameters; empty where none is said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
