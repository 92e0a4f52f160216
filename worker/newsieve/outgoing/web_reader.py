"""Reads documents of the public Internet: limits of time, size and redirects, no cookies.

It does not know what a document is, nor what is wrong with an answer of 404.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

import httpx2

import newsieve
from newsieve.outgoing.call_deadline import Closed, Deadlines
from newsieve.outgoing.client import CONNECT_SECONDS
from newsieve.outgoing.failure_reason import failure_reason
from newsieve.outgoing.guarded_transport import GuardedTransport
from newsieve.outgoing.public_address import AddressRefused, AllowedTargets

USER_AGENT: Final = f"newsieve/{newsieve.__version__}"
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PERMANENT: Final = frozenset({301, 308})
GZIP_FORMAT: Final = 31  # zlib's number for a header and a checksum of gzip
GZIP_MARK: Final = b"\x1f"
MIB: Final = 1_048_576


class WebLimits(NamedTuple):
    """What one document may take, redirects included."""

    seconds: float = 30.0
    body_bytes: int = 16 * MIB  # unfolded
    redirects: int = 5


class WebAnswer(NamedTuple):
    """The last answer of a chain of redirects, whatever its status."""

    status: int
    headers: httpx2.Headers
    body: bytes  # empty where the status is not of 200 to 299
    url: str  # whose answer it is
    moved_to: str | None  # where permanent redirects led, from the first on


class Unanswered(Exception):
    """There is no answer that can be used: `str` says why, for people."""


class WebReader:
    """Asks for documents, from any thread."""

    def __init__(
        self,
        allowed: AllowedTargets,
        *,
        user_agent: str = USER_AGENT,
        limits: WebLimits | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._headers = {
            "accept-encoding": "gzip",  # which is unfolded here, within limits
            "user-agent": user_agent,
        }
        self._limits = limits or WebLimits()
        self._transport = transport or GuardedTransport(allowed)
        self._deadlines = Deadlines("web-reader")

    def read(
        self, url: str, headers: Mapping[str, str], limits: WebLimits | None = None
    ) -> WebAnswer:
        """Return the answer to a GET request. Raises Unanswered."""
        limits = limits or self._limits
        try:
            return self._deadlines.run(
                lambda: self._follow(url, {**self._headers, **headers}, limits), limits.seconds
            )
        except TimeoutError:
            raise Unanswered(f"there was no whole answer within {limits.seconds:g} s") from None
        except Closed:
            raise Unanswered("the program ends") from None

    def close(self) -> None:
        """Break off what is under way, and close all connections."""
        self._deadlines.close(self._transport.aclose)

    async def _follow(self, url: str, headers: Mapping[str, str], limits: WebLimits) -> WebAnswer:
        moved_to, is_permanent = None, True
        for _ in range(limits.redirects + 1):
            answer = await self._ask(url, headers, limits)
            location = answer.headers.get("location")
            if answer.status not in REDIRECTS or location is None:
                return answer._replace(moved_to=moved_to)
            try:
                url = str(httpx2.URL(url).join(location).copy_with(fragment=None))
            except (httpx2.InvalidURL, ValueError):
                raise Unanswered("it is redirected to what is no URL") from None
            is_permanent = is_permanent and answer.status in PERMANENT
            moved_to = url if is_permanent else moved_to
        raise Unanswered(f"it is redirected more than {limits.redirects} times")

    async def _ask(self, url: str, headers: Mapping[str, str], limits: WebLimits) -> WebAnswer:
        timeout = {"connect": min(CONNECT_SECONDS, limits.seconds / 2)}
        try:
            request = httpx2.Request(
                "GET", httpx2.URL(url), headers=headers, extensions={"timeout": timeout}
            )
            response = await self._transport.handle_async_request(request)
            try:
                is_good = response.is_success
                body = await _body(response, limits.body_bytes) if is_good else b""
            finally:
                await response.aclose()
        except AddressRefused as refused:
            raise Unanswered(f"{_host(url)} is not asked: {refused}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Unanswered(f"no answer: {failure_reason(error)}") from None
        return WebAnswer(response.status_code, response.headers, body, url, None)


def _host(url: str) -> str:
    return httpx2.URL(url).host or "what it names"


async def _body(response: httpx2.Response, limit: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    too_large = Unanswered(f"it has more than {limit:,} bytes")
    length = response.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise too_large
    stream = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        raise TypeError("an answer of a transport for event loops has no such stream")
    match encoding:
        case "identity" | "":
            parts = aiter(stream)
        case "gzip" | "x-gzip":
            parts = _unfolded(stream, limit)
        case _:
            raise Unanswered("it is compressed in a way that was not asked for")
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > limit:
            raise too_large
    return bytes(body)


async def _unfolded(stream: httpx2.AsyncByteStream, limit: int) -> AsyncIterator[bytes]:
    """Yield what gzip unfolds to: one byte more than the limit at most."""
    inflate = zlib.decompressobj(GZIP_FORMAT)
    left = limit + 1
    is_begun = False
    try:
        async for part in stream:
            while part and left > 0:
                if inflate.eof:
                    if not part.startswith(GZIP_MARK):
                        return  # padding, which others ignore, too
                    inflate = zlib.decompressobj(GZIP_FORMAT)  # another member
                unfolded = inflate.decompress(part, left)
                is_begun = True
                left -= len(unfolded)
                yield unfolded
                part = inflate.unused_data if inflate.eof else inflate.unconsumed_tail  # noqa: PLW2901
            if left <= 0:
                return
    except zlib.error:
        raise Unanswered("what is said to be gzip is not") from None
    if is_begun and not inflate.eof:
        raise Unanswered("it is broken off")
