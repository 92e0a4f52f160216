"""Connects to the addresses of the public Internet alone, and to what a setting allows.

The name is looked up once, each of its addresses is judged, and the connection goes to one of those
that may be asked: no later answer of the name's server leads elsewhere. It does not know what for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpcore2
import httpx2

from newsieve.outgoing.public_address import Address, AddressRefused, AllowedTargets, check_url

MAX_ADDRESSES: Final = 3  # of one name, tried in their order within one limit of time
KEPT_SECONDS: Final = 5.0  # a connection, for the next page or redirect of its host
MAX_CONNECTIONS: Final = 100

SocketOption = Any  # as httpcore2 names them: tuples for setsockopt
LookUp = Callable[[str, int], list[str]]


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a name, in the order in which to try them. Raises OSError."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends requests as the client library does, but only to where they may go.

    Raises AddressRefused besides the library's own errors.
    """

    def __init__(
        self,
        allowed: AllowedTargets,
        *,
        ssl_context: ssl.SSLContext | None = None,
        look_up: LookUp = look_up,
    ) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context or httpx2.create_ssl_context(),
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=_GuardedBackend(allowed, look_up),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        check_url(str(request.url))
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        with _as_httpx2():
            response = await self._pool.handle_async_request(
                httpcore2.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx2.Response(response.status, headers=response.headers, stream=_Stream(response))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx2.AsyncByteStream):
    """The body of an answer, whose errors are those of httpx2."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        with _as_httpx2():
            await self._response.aclose()


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to an address only after it was judged."""

    def __init__(self, allowed: AllowedTargets, look_up: LookUp) -> None:
        self._allowed = allowed
        self._look_up = look_up
        self._connections = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._permitted(host, port)
        each = timeout / len(addresses) if timeout is not None else None
        for address in addresses[:-1]:
            try:
                return await self._connections.connect_tcp(
                    address, port, each, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._connections.connect_tcp(
            addresses[-1], port, each, local_address, socket_options
        )

    async def _permitted(self, host: str, port: int) -> list[str]:
        literal = _address(host)
        texts = [host] if literal is not None else await self._addresses(host, port)
        if self._allowed.allows_host(host):
            return texts[:MAX_ADDRESSES]
        permitted = [text for text in texts if self._may_ask(text)]
        if not permitted:
            what = "it" if literal is not None else f"its address {texts[0]}"
            raise AddressRefused(f"{what} is not of the public Internet")
        return permitted[:MAX_ADDRESSES]

    def _may_ask(self, text: str) -> bool:
        address = _address(text)
        return address is not None and self._allowed.allows(address)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            texts = await _on_a_thread(lambda: self._look_up(host, port))
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        if not texts:
            raise httpcore2.ConnectError("the name has no address")
        return texts


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


async def _on_a_thread(work: Callable[[], list[str]]) -> list[str]:
    """Run a look-up on a thread of its own, which neither holds up another nor the program's end:
    it cannot be cancelled, and a dead name server takes long."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[list[str]] = loop.create_future()

    def settle(value: list[str] | BaseException) -> None:
        if result.done():  # nobody waits any more
            return
        if isinstance(value, BaseException):
            result.set_exception(value)
        else:
            result.set_result(value)

    def run() -> None:
        value: list[str] | BaseException
        try:
            value = work()
        except (OSError, UnicodeError) as error:
            value = error
        with suppress(RuntimeError):  # the loop is closed: the program ends
            loop.call_soon_threadsafe(settle, value)

    threading.Thread(target=run, name="look-up", daemon=True).start()
    return await result


# The first that fits, so the narrow ones come first.
_KINDS: Final[tuple[tuple[type[Exception], type[httpx2.TransportError]], ...]] = (
    (httpcore2.TimeoutException, httpx2.TimeoutException),
    (httpcore2.RemoteProtocolError, httpx2.RemoteProtocolError),
    (httpcore2.ProtocolError, httpx2.ProtocolError),
    (httpcore2.NetworkError, httpx2.NetworkError),
    (httpcore2.UnsupportedProtocol, httpx2.UnsupportedProtocol),
)


@contextmanager
def _as_httpx2() -> Iterator[None]:
    try:
        yield
    except tuple(kind for kind, _ in _KINDS) as error:
        theirs = next(theirs for kind, theirs in _KINDS if isinstance(error, kind))
        raise theirs(str(error)) from error
