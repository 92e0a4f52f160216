"""Who asks, and what they may do: read, or review as well.

Four ways say so: a bearer token, a token as the password of HTTP Basic, a signed cookie that
signing in with a token sets, and the header of a reverse proxy that has signed somebody in. It
knows no page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson
from pydantic import SecretStr
from starlette.datastructures import Headers

from newsieve.settings.serve import ServeSettings

COOKIE: Final = "newsieve_session"
SESSION_SECONDS: Final = 14 * 24 * 3_600
MAX_NAME_CHARACTERS: Final = 80
BEARER: Final = "bearer"
BASIC: Final = "basic"
SCRYPT_COST: Final = 2**14  # some 50 ms, once
MAX_HOPS: Final = 20  # of X-Forwarded-For, from its end
IPV6_CLIENT_BITS: Final = 64  # what one client has of addresses, or could make up
READ: Final = "read"
REVIEW: Final = "review"


class Visitor(NamedTuple):
    """Whoever asks. `name` is None where nobody has said it; `has_session` says that a cookie tells
    it, so that there is something to sign out of."""

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
        self._key = _session_key(self._read, self._review)

    def visitor(self, headers: Headers, cookies: Mapping[str, str], address: str) -> Visitor:
        """Return who asks, from an address that is the connection's."""
        named = headers.getlist(self._user_header) if self._user_header else []
        # One that a client wrote may stand beside the proxy's: nobody knows which is which.
        is_named = len(named) == 1 and named[0] != "" and self.is_proxy(address)
        name = named[0][:MAX_NAME_CHARACTERS] if is_named else None
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == BEARER:
            right = self.right_of(credentials.strip())
            may_read = self.is_open or right is not None
            return Visitor(may_read, right == REVIEW, name, has_session=False)
        if scheme.lower() == BASIC:  # for feed readers, which review nothing
            may_read = self.is_open or self.right_of(_password(credentials)) is not None
            return Visitor(may_read, may_review=False, name=name, has_session=False)
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
        parsed = _address(address)
        return parsed is not None and any(parsed in network for network in self._proxies)

    def client_address(self, forwarded: Sequence[str], address: str) -> str:
        """Return the client's address: behind trusted proxies the last one in their headers
        X-Forwarded-For that is none of them. What is no address is nobody's: it is the proxy's."""
        hops = ",".join(forwarded).split(",")[-MAX_HOPS:]
        while hops and self.is_proxy(address):
            hop = _address(hops.pop())
            if hop is None:
                break
            address = str(hop)
        return address

    def client_of(self, forwarded: Sequence[str], address: str) -> str:
        """Return whose rate a request counts for: its client's address, of IPv6 its network."""
        client = self.client_address(forwarded, address)
        parsed = _address(client)
        if isinstance(parsed, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((parsed.packed, IPV6_CLIENT_BITS), strict=False))
        return client

    def _session(self, cookie: str) -> tuple[str, str | None] | None:
        payload, _, signature = cookie.partition(".")
        if self._key is None or not signature:
            return None
        try:
            if not hmac.compare_digest(self._signature(payload.encode()), signature):
                return None
            right, name, until = orjson.loads(urlsafe_b64decode(payload))
        except (ValueError, TypeError):  # what is not ASCII is no signature either
            return None
        return (right, name or None) if time.time() < until else None

    def _signature(self, payload: bytes) -> str:
        return hmac.new(self._key or b"", payload, hashlib.sha256).hexdigest()


def is_bearer(headers: Headers) -> bool:
    """Return whether a request has a bearer token, which no page of another site can add."""
    return headers.get("authorization", "").partition(" ")[0].lower() == BEARER


def _secret(token: SecretStr | None) -> bytes | None:
    return None if token is None else token.get_secret_value().encode()


def _session_key(read: bytes | None, review: bytes | None) -> bytes | None:
    """Return the key that signs sessions, None where there is no token to sign in with.

    Another token makes all sessions of the former ones invalid. It is slow on purpose: who may read
    sees a signature, and could try guesses of the review token on it.
    """
    if read is None and review is None:
        return None
    tokens = (read or b"") + b"\n" + (review or b"")
    return hashlib.scrypt(tokens, salt=b"newsieve session", n=SCRYPT_COST, r=8, p=1)


def _password(credentials: str) -> str:
    """Return the password of HTTP Basic's credentials; "" where they are none."""
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, as IPv4 where it is one within IPv6; None for other text. A port behind
    it, as some proxies write it, does not matter."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
