"""Signs requests as the Standard Webhooks specification says, version 1.0.0. Pure.

The signature is HMAC-SHA256 over id, time and body, so a receiver knows the sender, and refuses an
old request that somebody sends again. It knows nothing of HTTP but the names of three headers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 24  # both bounds are the specification's
MAX_KEY_BYTES: Final = 64
HOW_TO_MAKE_ONE: Final = "`openssl rand -base64 32`"


def key_of(secret: str) -> bytes:
    """Return the key of a secret: base64, with or without `whsec_` before it. Raises ValueError,
    whose text does not quote the secret."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"not base64. Make a secret with {HOW_TO_MAKE_ONE}") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(
            f"{len(key)} bytes where {MIN_KEY_BYTES} to {MAX_KEY_BYTES} are expected. Make a "
            f"secret with {HOW_TO_MAKE_ONE}"
        )
    return key


def signed_headers(key: bytes | None, event: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt: the event's id, the attempt's time in Unix seconds, and
    the signature where there is a key."""
    headers = {"webhook-id": event, "webhook-timestamp": str(seconds)}
    if key is not None:
        digest = hmac.new(key, b"%b.%d.%b" % (event.encode(), seconds, body), hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest.digest()).decode()}"
    return headers
