"""Sends one POST to a provider: limited in time and size, never redirected, the key never shown.

The time limit holds for the whole call. The key goes to the address that is set and no other: by a
proxy only where that is wished. What the client library says of a failure quotes what was sent, so
it is never passed on. Knows no provider's JSON but for where errors stand.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx2
import orjson
from pydantic import SecretStr

from newsieve.errors import SettingsInvalid
from newsieve.oracle.providers import failures
from newsieve.oracle.providers.base import (
    BUSY,
    DENIED,
    REFUSED,
    REJECTED,
    UNANSWERED,
    ProviderResponse,
)
from newsieve.oracle.providers.retry_advice import retry_info
from newsieve.outgoing.call_deadline import Closed, Deadlines
from newsieve.outgoing.client import make_client
from newsieve.outgoing.failure_reason import causes, failure_reason
from newsieve.outgoing.redaction import Redactor
from newsieve.outgoing.retry_after import retry_after

MAX_BODY_BYTES: Final = 1_000_000  # an honest answer has a few thousand
REASON_CHARACTERS: Final = 300

# RFC 9110, section 5.5: what a header's value may be, and clients agree on.
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ !-~]*[!-~])?")
_REDIRECTS: Final = range(300, 400)
_OUTCOMES: Final[Mapping[failures.Whose, Any]] = {
    "article": REFUSED,
    "access": DENIED,
    "request": DENIED,
    "provider": BUSY,
    "unknown": REJECTED,
}
# Nothing was sent: nothing can have been paid for.
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)


class Body(NamedTuple):
    """A response: its bytes, and its JSON object, None where it is none."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    json: dict[str, Any] | None

    @property
    def is_error(self) -> bool:
        """Whether it is an error, by its status or by what it says."""
        return self.status != failures.OK or failures.has_error(self.json)

    def refuses(self, parameter: str) -> bool:
        """Whether the provider does not know a parameter of this name."""
        text = self.raw.decode("utf-8", "replace")
        return self.is_error and failures.refuses(self.status, self.json, text, parameter)


class Endpoint:
    """One address and the key for it, for use from any thread."""

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        key_header: tuple[str, str],
        timeout_seconds: float,
        *,
        uses_proxies: bool = False,
        now: Callable[[], float] = time.time,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`key_header` is the header's name and what stands before the key in it. `uses_proxies`:
        calls go through the proxies that the environment names. Raises SettingsInvalid."""
        self.url = url
        secret = key.get_secret_value() if key is not None else ""
        if secret and not _HEADER_VALUE.fullmatch(secret):
            raise SettingsInvalid(
                "oracle.api_key cannot be sent: it has characters other than letters, digits and "
                "punctuation of ASCII, or white space at an end. Set NEWSIEVE_ORACLE__API_KEY anew"
            )
        self.mask = Redactor(secret)
        self._timeout_seconds = timeout_seconds
        self._now = now
        name, before = key_header
        self._client = make_client(
            "oracle",
            timeout_seconds,
            {name: before + secret} if secret else {},
            uses_proxies=uses_proxies,
            transport=transport,
        )
        self._deadlines = Deadlines("oracle-http")

    def post(self, path: str, content: Mapping[str, Any]) -> Body | ProviderResponse:
        """Send one request. Return its response, or what it means that none came."""
        exchange = _Exchange(self._client)
        try:
            # Encoded on the caller's thread: all calls share the loop.
            request = exchange.request(self.url.rstrip("/") + path, content)
            return self._deadlines.run(lambda: exchange.run(request), self._timeout_seconds)
        except TimeoutError:
            if not exchange.is_sent:
                return ProviderResponse(BUSY, reason="no connection: not in time", mask=self.mask)
            return self._no_answer(f"incomplete after {self._timeout_seconds:g} s")
        except Closed:
            return self._no_answer("broken off by our end")
        except Exception as error:  # noqa: BLE001 - its text may hold the key: not even a traceback
            return self._failed(error)

    def judge(self, body: Body) -> ProviderResponse:
        """Return what a response means that is an error."""
        status, headers, raw, value = body
        failure = failures.sort(status, value, raw.decode("utf-8", "replace"))
        message = failure.message
        if status in _REDIRECTS:
            message = f"redirected to {headers.get('location', 'nowhere')}"
        shown = self.mask.line(message, REASON_CHARACTERS).rstrip(".")
        said = f"{status}: {shown or 'nothing said'}"
        if _OUTCOMES[failure.whose] == DENIED:
            return self._denied(f"answers {said}", failure.advice)
        reason = f"{said}. {failure.advice}" if failure.advice else said
        advised = None
        if failure.whose == "provider":
            advised = retry_info(value or {})
            if advised is None:
                advised = retry_after(headers.get("retry-after"), self._now())
        return ProviderResponse(
            _OUTCOMES[failure.whose],
            reason=reason,
            retry_after_seconds=advised,
            has_failed=failures.status_of(status, value) in failures.FAILED,
            mask=self.mask,
        )

    def close(self) -> None:
        """Close the connections. Calls in flight return no answer."""
        self._deadlines.close(self._client.aclose)

    def _failed(self, error: Exception) -> ProviderResponse:
        """Return what a call means that ended in an error of the client library."""
        why = failure_reason(error)
        if any(isinstance(item, ssl.SSLCertVerificationError) for item in causes(error)):
            return self._denied(
                f"cannot be asked: {why}", "Check NEWSIEVE_ORACLE__ENDPOINT, and SSL_CERT_FILE"
            )
        if isinstance(error, _NOT_SENT):
            return ProviderResponse(BUSY, reason=f"no connection: {why}", mask=self.mask)
        if isinstance(error, httpx2.LocalProtocolError) or not isinstance(error, httpx2.HTTPError):
            return self._denied(
                f"cannot be asked: the request cannot be sent ({why})",
                "Check NEWSIEVE_ORACLE__ENDPOINT and NEWSIEVE_ORACLE__API_KEY",
            )
        return self._no_answer(why)

    def _no_answer(self, why: str) -> ProviderResponse:
        return ProviderResponse(UNANSWERED, reason=f"no answer: {why}", mask=self.mask)

    def _denied(self, said: str, advice: str) -> ProviderResponse:
        reason = f"the oracle at {self.mask(self.url)} {said}. {advice}"
        return ProviderResponse(DENIED, reason=reason, mask=self.mask)


class _Exchange:
    """One request and its response."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self.is_sent = False  # or has begun to be: then it may be paid for

    def request(self, url: str, content: Mapping[str, Any]) -> httpx2.Request:
        watched = {"trace": self._trace}
        return self._client.build_request("POST", url, json=content, extensions=watched)

    async def run(self, request: httpx2.Request) -> Body:
        """Send the request and read the response."""
        response = await self._client.send(request, stream=True)
        try:
            raw = await _read(response.aiter_bytes())
        finally:
            await response.aclose()
        return Body(response.status_code, response.headers, raw, _json_object(raw))

    async def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.is_sent = self.is_sent or info["request"].method != b"CONNECT"


async def _read(chunks: AsyncIterable[bytes]) -> bytes:
    """Return the body, or the beginning of one that is larger than any honest one."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body)


def _json_object(raw: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or the first one of a list, as some gateways send errors."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None
