"""Says why a request has no answer, without the words of the client library, which may quote what
was sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import httpx2

# Why a request failed, by the first of these among an error and its causes.
_WHY: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLCertVerificationError, "the certificate cannot be verified"),
    (ssl.SSLError, "TLS cannot be agreed on"),
    (socket.gaierror, "the host's name is not known"),
    (ConnectionRefusedError, "refused"),
    (ConnectionResetError, "reset"),
    (httpx2.ProxyError, "the proxy does not let it through"),
    (httpx2.TimeoutException, "not in time"),
    (httpx2.RemoteProtocolError, "broken off, or no HTTP"),
    (httpx2.NetworkError, "broken off"),
)


def failure_reason(error: BaseException) -> str:
    """Return a few words about an error of the client library, or its kind."""
    chain = list(causes(error))
    kinds = (why for kind, why in _WHY if any(isinstance(cause, kind) for cause in chain))
    return next(kinds, type(error).__name__)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, the latest first."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):  # of each address that a name has
            yield from error.exceptions
        error = error.__cause__ or error.__context__
