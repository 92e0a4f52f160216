"""Who asks, and what they may do: read, or review as well.

Three ways say so: a bearer token, a signed cookie that signing in with a token sets, and the header
of a reverse proxy that has signed somebody in. It knows no page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson
from pydantic import SecretStr

from newsieve.settings.serve import ServeSettings

COOKIE: Final = "newsieve_session"
SESSION_SECONDS: Final = 14 * 24 * 3_600
MAX_NAME_CHARACTERS: Final = 80
BEARER: Final = "bearer "
READ: Final = "read"
REVIEW: Final = "review"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Visitor(NamedTuple):
    """Whoever asks. `name` is None where nobody has said it; `has_session` says that a cookie, and
    not a header, tells it, so that other sites' pages could make the browser ask."""

    may_read: bool
    may_review: bool
    name: str | None
    has_session: bool


class Access:
    """Decides what a request may do, from its headers and the address that it came from."""

    def __init__(self, settings: ServeSettings) -> None:
        self._read = _secret(settings.read_token)
        self._review = _secret(settings.review_token)
        self._user_header = (settings.user_header or "").lower()
        self._proxies = [
            ipaddress.ip_network(item, strict=False) for item in settings.trusted_proxies
        ]
        self.is_open = self._read is None and not self._user_header
        self.can_review = self._review is not None
        # Another token makes all sessions of the former one invalid.
        tokens = (self._read or b"") + b"\n" + (self._review or b"")
        self._key = hashlib.sha256(b"newsieve session\n" + tokens).digest()

    def visitor(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str
    ) -> Visitor:
        """Return who asks. Names of headers are lower-case; `address` is the connection's."""
        named = headers.get(self._user_header) if self._user_header else None
        if named is not None and not self.is_proxy(address):
            named = None
        name = named[:MAX_NAME_CHARACTERS] if named else None
        authorization = headers.get("authorization", "")
        if authorization[: len(BEARER)].lower() == BEARER:
            right = self.right_of(authorization[len(BEARER) :].strip())
            may_read = self.is_open or right is not None
            return Visitor(may_read, right == REVIEW, name, has_session=False)
        session = self._session(cookies.get(COOKIE, ""))
        if session is not None:
            right, signed_in = session
            return Visitor(
                may_read=True, may_review=right == REVIEW, name=name or signed_in, has_session=True
            )
        may_read = self.is_open or name is not None
        return Visitor(may_read, may_review=False, name=name, has_session=False)

    def right_of(self, token: str) -> str | None:
        """Return what a token allows, None where it is nobody's."""
        given = token.encode()
        for right, secret in ((REVIEW, self._review), (READ, self._read)):
            if secret is not None and hmac.compare_digest(given, secret):
                return right
        return None

    def session_cookie(self, right: str, name: str | None) -> str:
        """Return the value of a cookie that says what was signed in for, and by whom."""
        until = int(time.time()) + SESSION_SECONDS
        payload = urlsafe_b64encode(
            orjson.dumps([right, (name or "")[:MAX_NAME_CHARACTERS], until])
        )
        return f"{payload.decode()}.{self._signature(payload)}"

    def is_proxy(self, address: str) -> bool:
        """Return whether an address is that of a trusted reverse proxy."""
        try:
            return any(ipaddress.ip_address(address) in network for network in self._proxies)
        except ValueError:
            return False

    def client_address(self, forwarded: str | None, address: str) -> str:
        """Return the client's address: behind trusted proxies the last one in X-Forwarded-For that
        is none of them."""
        hops = [hop.strip() for hop in (forwarded or "").split(",") if hop.strip()]
        while hops and self.is_proxy(address):
            address = hops.pop()
        return address

    def _session(self, cookie: str) -> tuple[str, str | None] | None:
        payload, _, signature = cookie.partition(".")
        try:
            if not hmac.compare_digest(self._signature(payload.encode()), signature):
                return None
            right, name, until = orjson.loads(urlsafe_b64decode(payload))
        except (ValueError, TypeError):  # what is not ASCII is no signature either
            return None
        return (right, name or None) if time.time() < until else None

    def _signature(self, payload: bytes) -> str:
        return hmac.new(self._key, payload, hashlib.sha256).hexdigest()


def _secret(token: SecretStr | None) -> bytes | None:
    return None if token is None else token.get_secret_value().encode()
