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
from newsieve.web.request_body import CLIENT_GONE, read_body, unless_gone
from newsieve.web.score_service import ScoreLimits, ScoreService, stopping

LEAST_SECONDS: Final = 1.0  # that a client can give a request

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
                body = await read_body(request, counted, service.limits.body_bytes)
                return await unless_gone(request, work(body))
    except TimeoutError:
        raise HttpError(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"not done within {seconds:g} s: send fewer articles, or wait longer (timeout_seconds)",
        ) from None
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except asyncio.CancelledError:  # the HTTP server does, with what is not done when it stops
        raise stopping() from None
