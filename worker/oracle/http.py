"""One POST to a provider: time and size limited, never redirected, the key in none of what is said.

What the client library says of a failure is never passed on, since it quotes what was sent: what
went wrong is told from the kind of its errors, in our words. Knows no provider's JSON but for where
errors stand.
"""

from __future__ import annotations

import email.utils
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import httpx2
import orjson
from pydantic import SecretStr

import worker
from worker.errors import SettingsInvalid
from worker.oracle import fault
from worker.oracle.mask import Mask
from worker.oracle.provider import BUSY, DENIED, REFUSED, REJECTED, UNANSWERED, Reply

CONNECT_SECONDS: Final = 10.0
MAX_BODY_BYTES: Final = 1_000_000  # an honest answer has a few thousand
REASON_CHARACTERS: Final = 300
RETRY_INFO: Final = "google.rpc.RetryInfo"

# RFC 9110, section 5.5: what a header's value may be, and clients agree on.
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ !-~]*[!-~])?")
_REDIRECTS: Final = range(300, 400)
_OUTCOMES: Final[Mapping[fault.Whose, Any]] = {
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
# Why a call failed, by the first of these among an error and its causes.
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


class Body(NamedTuple):
    """What came back: as it came, and as JSON, None where it is not an object."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    facts: dict[str, Any] | None

    @property
    def is_error(self) -> bool:
        return self.status != fault.OK or fault.has_error(self.facts)

    def refuses(self, parameter: str) -> bool:
        """Whether it finds fault with a parameter of this name as such."""
        text = self.raw.decode("utf-8", "replace")
        return self.is_error and fault.refuses(self.status, self.facts, text, parameter)


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
        """`key_header` is the header's name and what stands before the key in it.

        Raises SettingsInvalid.
        """
        self.url = url
        secret = key.get_secret_value() if key is not None else ""
        if secret and not _HEADER_VALUE.fullmatch(secret):
            raise SettingsInvalid(
                "oracle.api_key cannot be sent: it has characters other than letters, digits and "
                "punctuation of ASCII, or white space at an end. Set NEWSIEVE_ORACLE__API_KEY anew"
            )
        self.mask = Mask(secret)
        self._timeout_seconds = timeout_seconds
        self._now = now
        name, before = key_header
        self._client = httpx2.Client(
            headers={
                "accept-encoding": "identity",  # so that a small body cannot become a large one
                "user-agent": f"newsieve/{worker.__version__}",
                **({name: before + secret} if secret else {}),
            },
            timeout=httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            follow_redirects=False,  # the key is for this address
            transport=transport,
        )

    def post(self, path: str, content: Mapping[str, Any]) -> Body | Reply:
        """What came back, or the reply that stands for nothing having come."""
        deadline = time.monotonic() + self._timeout_seconds
        url = self.url.rstrip("/") + path
        try:
            with self._client.stream("POST", url, json=content) as response:
                raw = self._read(response.iter_bytes(), deadline)
                status, headers = response.status_code, response.headers
        except _TooLate:
            return self._no_answer(f"incomplete after {self._timeout_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - its text may hold the key: not even a traceback
            return self._failed(error)
        return Body(status, headers, raw, _facts(raw))

    def judge(self, body: Body) -> Reply:
        """What a body means that is an error."""
        status, headers, raw, facts = body
        found = fault.sort(status, facts, raw.decode("utf-8", "replace"))
        message = found.message
        if status in _REDIRECTS:
            message = f"redirected to {headers.get('location', 'nowhere')}"
        shown = self.mask.line(message, REASON_CHARACTERS).rstrip(".")
        said = f"{status}: {shown or 'nothing said'}"
        if _OUTCOMES[found.whose] == DENIED:
            return self._denied(f"answers {said}", found.advice)
        reason = f"{said}. {found.advice}" if found.advice else said
        advised = None
        if found.whose == "provider":
            advised = retry_info(facts or {})
            if advised is None:
                advised = retry_after(headers.get("retry-after"), self._now())
        return Reply(
            _OUTCOMES[found.whose],
            reason=reason,
            retry_after_seconds=advised,
            has_failed=fault.status_of(status, facts) in fault.FAILED,
            mask=self.mask,
        )

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
                raise _TooLate
        return bytes(found)

    def _failed(self, error: Exception) -> Reply:
        """What a call means that ended in an error of the client library."""
        causes = list(_causes(error))
        kinds = (why for kind, why in _WHY if any(isinstance(cause, kind) for cause in causes))
        why = next(kinds, type(error).__name__)
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return self._denied(
                f"cannot be asked: {why}", "Check NEWSIEVE_ORACLE__ENDPOINT, and SSL_CERT_FILE"
            )
        if isinstance(error, _NOT_SENT):
            return Reply(BUSY, reason=f"no connection: {why}", mask=self.mask)
        if isinstance(error, httpx2.LocalProtocolError) or not isinstance(error, httpx2.HTTPError):
            return self._denied(
                f"cannot be asked: the request cannot be sent ({why})",
                "Check NEWSIEVE_ORACLE__ENDPOINT and NEWSIEVE_ORACLE__API_KEY",
            )
        return self._no_answer(why)

    def _no_answer(self, why: str) -> Reply:
        return Reply(UNANSWERED, reason=f"no answer: {why}", mask=self.mask)

    def _denied(self, said: str, advice: str) -> Reply:
        reason = f"the oracle at {self.mask(self.url)} {said}. {advice}"
        return Reply(DENIED, reason=reason, mask=self.mask)


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


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
