"""One POST to a provider: time and size limited, never redirected, the key masked in all of it.

Sorts what came by what it means for the call: an answer, or one of the replies that are none.
Knows no provider's JSON but for where errors stand.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import httpx2
import orjson
from pydantic import SecretStr

import worker
from worker.errors import OracleRejects
from worker.oracle.provider import BUSY, REJECTED, UNANSWERED, Reply

CONNECT_SECONDS: Final = 10.0
MAX_BODY_BYTES: Final = 1_000_000  # an honest answer has a few thousand
REASON_CHARACTERS: Final = 300
MASK: Final = "***"
RETRY_INFO: Final = "google.rpc.RetryInfo"

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_FAULTS: Final = range(500, 600)
_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})
# The fault is in what was sent: perhaps in this article, perhaps in how all are asked.
_BAD_REQUEST: Final = frozenset({400, 413, 422})
_ADVICE: Final = {
    401: "Set NEWSIEVE_ORACLE__API_KEY to a key that is valid",
    402: "The account has no credit: top it up",
    403: "The key may not use this model: see the provider's console, or set another key",
    404: "No such model or path: check NEWSIEVE_ORACLE__MODEL and NEWSIEVE_ORACLE__ENDPOINT",
}
# Nothing was sent: nothing can have been paid for.
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)


class Body(NamedTuple):
    """An answer's body: as it came, and as JSON, None where it is not an object."""

    raw: bytes
    facts: dict[str, Any] | None


class Endpoint:
    """One address and the key for it. Use from any thread."""

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        key_header: tuple[str, str],
        timeout_seconds: float,
        now: Callable[[], float] = time.time,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """`key_header` is the header's name and what stands before the key in it."""
        self.url = url
        self._key = key.get_secret_value() if key is not None else ""
        self._timeout_seconds = timeout_seconds
        self._now = now
        name, before = key_header
        self._client = httpx2.Client(
            headers={
                "accept-encoding": "identity",  # so that a small body cannot become a large one
                "user-agent": f"newsieve/{worker.__version__}",
                **({name: before + self._key} if self._key else {}),
            },
            timeout=httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            follow_redirects=False,  # the key is for this address
            transport=transport,
        )

    def post(self, path: str, content: Mapping[str, Any]) -> Body | Reply:
        """The body of a good answer, or the reply that stands for it. Raises OracleRejects."""
        deadline = time.monotonic() + self._timeout_seconds
        url = self.url.rstrip("/") + path
        try:
            with self._client.stream("POST", url, json=content) as response:
                raw = self._read(response.iter_bytes(), deadline)
                status, headers = response.status_code, response.headers
        except _NOT_SENT as error:
            return Reply(BUSY, reason=f"no connection: {type(error).__name__}")
        except _TooLate as error:
            return Reply(UNANSWERED, reason=f"no answer: {error}")
        except httpx2.HTTPError as error:  # its text may quote headers, ours among them
            return Reply(UNANSWERED, reason=f"no answer: {type(error).__name__}")
        if status == _OK:
            return Body(raw, _facts(self._masked_bytes(raw)))
        return self._judge(status, headers, self._masked_bytes(raw))

    def close(self) -> None:
        self._client.close()

    def _read(self, chunks: Iterable[bytes], deadline: float) -> bytes:
        """The body, or as much of it as is more than any honest one."""
        found = bytearray()
        for chunk in chunks:
            found += chunk
            if len(found) > MAX_BODY_BYTES:
                break
            if time.monotonic() > deadline:
                raise _TooLate(f"incomplete after {self._timeout_seconds:g} s")
        return bytes(found)

    def _judge(self, status: int, headers: Mapping[str, str], raw: bytes) -> Reply:
        """What an answer that is none means. Raises OracleRejects: a person has to mend it."""
        facts = _facts(raw) or {}
        reason = self._masked(f"{status}: {_message(facts, raw)}")
        if status in _TRY_AGAIN or status in _FAULTS:
            advised = retry_info(facts)
            if advised is None:
                advised = retry_after(headers.get("retry-after"), self._now())
            return Reply(BUSY, reason=reason, retry_after_seconds=advised)
        if status in _BAD_REQUEST:
            return Reply(REJECTED, reason=reason)
        advice = _ADVICE.get(status, "See what it says")
        if status in _REDIRECTS:
            where = headers.get("location", "nowhere")[:REASON_CHARACTERS]
            reason = self._masked(f"{status} to {where}")
            advice = "The key is not sent elsewhere: set NEWSIEVE_ORACLE__ENDPOINT"
        raise OracleRejects(f"the oracle at {self.url} answers {reason}. {advice}")

    def _masked(self, text: str) -> str:
        return text.replace(self._key, MASK) if self._key else text

    def _masked_bytes(self, raw: bytes) -> bytes:
        if not self._key:
            return raw
        in_json = orjson.dumps(self._key)[1:-1]
        in_json_in_json = orjson.dumps(in_json.decode())[1:-1]  # a model's text is JSON itself
        for spelling in (in_json_in_json, in_json, self._key.encode()):
            raw = raw.replace(spelling, MASK.encode())
        return raw


class _TooLate(Exception):
    """The body was not complete in time."""


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds in a Retry-After header: a number or an HTTP date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def retry_info(facts: Mapping[str, Any]) -> float | None:
    """Seconds in a google.rpc.RetryInfo among the error's details, such as "12.5s"."""
    error = facts.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(RETRY_INFO):
            delay = str(detail.get("retryDelay", "")).strip().removesuffix("s")
            if delay.isascii() and delay.replace(".", "", 1).isdigit():
                return float(delay)
    return None


def _facts(raw: bytes) -> dict[str, Any] | None:
    """The JSON object, or the first of a list of them, as some gateways send errors."""
    try:
        facts = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(facts, list) and facts:
        facts = facts[0]
    return facts if isinstance(facts, dict) else None


def _message(facts: Mapping[str, Any], raw: bytes) -> str:
    error = facts.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    text = message if isinstance(message, str) else raw.decode("utf-8", "replace")
    return " ".join(text.split())[:REASON_CHARACTERS]
