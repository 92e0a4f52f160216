"""What requests for scores have in common: a deadline, a bounded body, a client that may go away.

It knows no endpoint: an endpoint says what is to be done with the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Query, Request, Response
from starlette.requests import ClientDisconnect

from newsieve.web.problems import HttpError
from newsieve.web.score_queue import BodyBytes
from newsieve.web.score_service import ScoreLimits, ScoreService, stopping

LEAST_SECONDS: Final = 1.0  # that a client can give a request
CLIENT_GONE: Final = 499  # in logs; nobody else sees it

Work = Callable[[bytes], Coroutine[Any, Any, Response]]


def timeout_parameter(limits: ScoreLimits) -> Any:
    """Return the parameter by which a client says how long it waits."""
    most = limits.deadline_seconds
    description = "Seconds after which the answer is 504."
    return Query(most, ge=min(LEAST_SECONDS, most), le=most, description=description)


async def answer(request: Request, service: ScoreService, seconds: float, work: Work) -> Response:
    """Read the request's body, and return what `work` makes of it.

    The work is cancelled when so many seconds have passed since the request came, when the client
    has gone, and when this is cancelled, which is answered too. Raises HttpError.
    """
    try:
        async with asyncio.timeout(seconds):
            service.admit()
            with service.queue.body() as counted:
                body = await _read(request, counted, service.limits.body_bytes)
                return await _unless_gone(request, work(body))
    except TimeoutError:
        raise HttpError(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"not done within {seconds:g} s: send fewer articles, or wait longer (timeout_seconds)",
        ) from None
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except asyncio.CancelledError:  # the HTTP server does, with what is not done when it stops
        raise stopping() from None


async def _read(request: Request, counted: BodyBytes, most_bytes: int) -> bytes:
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


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
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
