"""Delivers a record by one POST to a webhook: limited in time and size, never redirected.

The time limit holds for the whole attempt. What the client library says of a failure may quote the
address, which may be a secret, so it is never passed on. Does not know when an attempt is repeated.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterable, Callable, Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx2

import newsieve
from newsieve.errors import DeliveryRefused, SettingsInvalid
from newsieve.kafka.messages import StoredRecord
from newsieve.oracle.providers.call_deadline import Closed, Deadlines
from newsieve.oracle.providers.retry_advice import retry_after
from newsieve.oracle.redaction import Redactor
from newsieve.printable import one_line
from newsieve.programs.pushing.address import secret_parts, shown_address
from newsieve.programs.pushing.events import DELIVERED, Attempt
from newsieve.programs.pushing.shapes import Shape, event_of
from newsieve.programs.pushing.signature import signed_headers

MAX_ANSWER_BYTES: Final = 16_384
REASON_CHARACTERS: Final = 200
CONNECT_SECONDS: Final = 10.0
# Answers that say "later", beside those of 500 and more.
LATER: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
# Why there is no answer, by the first of these among an error and its causes.
_WHY: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLCertVerificationError, "its certificate cannot be verified"),
    (ssl.SSLError, "TLS cannot be agreed on"),
    (socket.gaierror, "its name is not known"),
    (ConnectionRefusedError, "the connection is refused"),
    (httpx2.ProxyError, "the proxy does not let it through"),
    (httpx2.TimeoutException, "no connection in time"),
    (httpx2.RemoteProtocolError, "the answer is broken off, or no HTTP"),
    (httpx2.NetworkError, "the connection is broken off"),
)


class WebhookDeliverer:
    """The webhook at one address."""

    def __init__(
        self,
        address: str,
        shape: Shape,
        key: bytes | None,
        timeout_seconds: float,
        *,
        uses_proxies: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`key` signs the requests. `uses_proxies`: they go through the proxies that the
        environment names. Raises SettingsInvalid."""
        self.shown = shown_address(address)
        self._address = address
        self._shape = shape
        self._key = key
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._masks = [Redactor(part) for part in secret_parts(address)]
        self._client = _client(timeout_seconds, uses_proxies=uses_proxies)
        self._deadlines = Deadlines("push-http")

    def deliver(self, item: StoredRecord) -> Attempt:
        """Send the record once. Raises WrongUsage for one that has no such shape."""
        body = self._shape(item)
        headers = {
            "content-type": body.media_type,
            **signed_headers(self._key, event_of(item), int(self._now()), body.content),
        }
        exchange = _Exchange(self._client)
        try:
            request = self._client.build_request(
                "POST", self._address, content=body.content, headers=headers
            )
            self._deadlines.run(lambda: exchange.run(request), self._timeout_seconds)
        except TimeoutError:
            failure = Attempt("unavailable", f"no answer within {self._timeout_seconds:g} s")
        except Closed:
            failure = Attempt("unavailable", "broken off by our end")
        except Exception as error:  # noqa: BLE001 - its text may quote the address
            failure = _failed(error)
        else:
            failure = Attempt("unavailable", "no answer")
        return failure if exchange.head is None else self._judge(exchange.head, exchange.text)

    def given_up(self, item: StoredRecord, reason: str, attempts: int) -> DeliveryRefused:
        """Return the error about a record that the webhook refused again and again."""
        (topic, partition), offset = item.partition, item.offset
        return DeliveryRefused(
            f"{self.shown}: {reason}, {attempts} times on the record at offset {offset} of "
            f"partition {partition} of {topic}, which stays the next one. Correct --to or the "
            "receiver and start again; kafka-consumer-groups.sh --reset-offsets moves the group "
            "beyond a record that shall not be delivered"
        )

    def close(self) -> None:
        """Close the connections. An attempt under way is broken off."""
        self._deadlines.close(self._client.aclose)

    def _judge(self, head: httpx2.Response, text: str) -> Attempt:
        """Return what an answer means, once its status is known: what follows of it may be cut."""
        status = head.status_code
        if head.is_success:
            return DELIVERED
        if head.is_redirect:
            where = _shown_target(head.headers["location"])
            return Attempt("refused", f"answers {status}, a redirect to {where}: not followed")
        reason = f"answers {status}"
        if said := self._masked(text):
            reason += f": {said}"
        if status in LATER or head.is_server_error:
            advised = retry_after(head.headers.get("retry-after"), self._now())
            return Attempt("unavailable", reason, advised)
        return Attempt("refused", reason)

    def _masked(self, text: str) -> str:
        for mask in self._masks:
            text = mask(text)
        return one_line(text, REASON_CHARACTERS).rstrip(".")


def _client(timeout_seconds: float, *, uses_proxies: bool) -> httpx2.AsyncClient:
    """Return the HTTP client of a webhook. Raises SettingsInvalid."""
    try:
        return httpx2.AsyncClient(
            headers={
                "accept-encoding": "identity",  # so that a small answer cannot become a large one
                "user-agent": f"newsieve/{newsieve.__version__}",
            },
            # Of a connection and of TLS each: together they end before the deadline, whose end of
            # a handshake the library does not clean up after.
            timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, timeout_seconds / 2)),
            follow_redirects=False,  # the records and the signature are for this address
            verify=httpx2.create_ssl_context(),  # of SSL_CERT_FILE, where it is set
            trust_env=uses_proxies,
        )
    except (ImportError, ValueError, httpx2.InvalidURL):  # of a proxy, whose address has a password
        raise SettingsInvalid(
            "push.use_proxies: the environment names a proxy that cannot be used. HTTPS_PROXY, "
            "HTTP_PROXY and ALL_PROXY take addresses with http:// or https://"
        ) from None


class _Exchange:
    """One request, and what came back of its answer."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self.head: httpx2.Response | None = None  # status and headers
        self.text = ""

    async def run(self, request: httpx2.Request) -> None:
        """Send the request and read the beginning of its answer."""
        self.head = await self._client.send(request, stream=True)
        try:
            self.text = await _beginning(self.head.aiter_bytes())
        finally:
            await self.head.aclose()


def _shown_target(location: str) -> str:
    """Return what people may see of where a redirect leads."""
    try:
        is_elsewhere = bool(urlsplit(location).netloc)
        return one_line(shown_address(location)) if is_elsewhere else "another path"
    except ValueError:
        return "no address"


async def _beginning(chunks: AsyncIterable[bytes]) -> str:
    """Return the beginning of an answer, as text."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return bytes(body[:MAX_ANSWER_BYTES]).decode("utf-8", "replace")


def _failed(error: Exception) -> Attempt:
    """Return what an attempt means that ended in an error of the client library."""
    causes = list(_causes(error))
    kinds = (why for kind, why in _WHY if any(isinstance(cause, kind) for cause in causes))
    why = next(kinds, type(error).__name__)
    is_ours = isinstance(error, httpx2.LocalProtocolError) or not isinstance(
        error, httpx2.HTTPError
    )
    if is_ours:
        return Attempt("refused", f"the request cannot be sent ({why})")
    return Attempt("unavailable", why)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):  # of each address that a name has
            yield from error.exceptions
        error = error.__cause__ or error.__context__
