"""Delivers a record by one POST to a webhook: limited in time and size, never redirected.

The time limit holds for the whole attempt. What the client library says of a failure may quote the
address, which may be a secret, so it is never passed on. Does not know when an attempt is repeated.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx2

from newsieve.errors import DeliveryRefused
from newsieve.kafka.messages import StoredRecord
from newsieve.outgoing.call_deadline import Closed, Deadlines
from newsieve.outgoing.client import make_client
from newsieve.outgoing.failure_reason import failure_reason
from newsieve.outgoing.redaction import Redactor
from newsieve.outgoing.retry_after import retry_after
from newsieve.printable import one_line
from newsieve.programs.pushing.address import secret_parts, shown_address
from newsieve.programs.pushing.events import DELIVERED, Attempt
from newsieve.programs.pushing.shapes import Shape, event_of
from newsieve.programs.pushing.signature import signed_headers

MAX_ANSWER_BYTES: Final = 16_384
REASON_CHARACTERS: Final = 200
# Answers that say "later", beside those of 500 and more.
LATER: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
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
        self._client = make_client("push", timeout_seconds, {}, uses_proxies=uses_proxies)
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
    why = failure_reason(error)
    is_ours = isinstance(error, httpx2.LocalProtocolError) or not isinstance(
        error, httpx2.HTTPError
    )
    if is_ours:
        return Attempt("refused", f"the request cannot be sent ({why})")
    return Attempt("unavailable", f"no answer: {why}")
