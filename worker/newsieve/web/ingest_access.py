"""Who may send articles: whoever has the token, or signs the body with the secret.

It knows no route.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from pydantic import SecretStr
from starlette.datastructures import Headers

from newsieve.web.access import BEARER

SIGNATURE: Final = "x-miniflux-signature"


class IngestAccess:
    """Decides whether a request may bring articles. Without token and secret everybody may."""

    def __init__(self, token: SecretStr | None, secret: SecretStr | None) -> None:
        self._token = None if token is None else token.get_secret_value().encode()
        self._secret = None if secret is None else secret.get_secret_value().encode()

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches the server may send articles."""
        return self._token is None and self._secret is None

    @property
    def takes_token(self) -> bool:
        """Whether there is a token."""
        return self._token is not None

    @property
    def takes_signature(self) -> bool:
        """Whether there is a secret."""
        return self._secret is not None

    def has_token(self, headers: Headers) -> bool:
        """Return whether a request has the token."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if self._token is None or scheme.lower() != BEARER:
            return False
        return hmac.compare_digest(given.strip().encode(), self._token)

    def may_be_signed(self, headers: Headers) -> bool:
        """Return whether a request says that its body is signed, which its body will show."""
        return self._secret is not None and SIGNATURE in headers

    def is_signed(self, headers: Headers, body: bytes) -> bool:
        """Return whether a body, as it came, is signed: HMAC-SHA256 in hexadecimal digits."""
        if self._secret is None:
            return False
        expected = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers.get(SIGNATURE, "").lower().encode(), expected.encode())
