"""Makes the HTTP client of one address: never redirected, by a proxy only where that is wished.

It does not know what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx2

import newsieve
from newsieve.errors import SettingsInvalid

CONNECT_SECONDS: Final = 10.0


def make_client(
    section: str,
    timeout_seconds: float,
    headers: Mapping[str, str],
    *,
    uses_proxies: bool,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """Return a client whose requests have these headers. `section` is the settings' section with
    `use_proxies`; the limit on a whole request is the caller's to hold. Raises SettingsInvalid."""
    try:
        return httpx2.AsyncClient(
            headers={
                "accept-encoding": "identity",  # so that a small body cannot become a large one
                "user-agent": f"newsieve/{newsieve.__version__}",
                **headers,
            },
            # Of a connection and of TLS each: together they end before the deadline, whose end of
            # a handshake the library does not clean up after.
            timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, timeout_seconds / 2)),
            follow_redirects=False,  # what is sent, and any secret in it, is for this address
            verify=httpx2.create_ssl_context(),  # of SSL_CERT_FILE, where it is set
            trust_env=uses_proxies,
            transport=transport,
        )
    except (ImportError, ValueError, httpx2.InvalidURL):  # of a proxy, whose address has a password
        raise SettingsInvalid(
            f"{section}.use_proxies: the environment names a proxy that cannot be used. "
            "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY take addresses with http:// or https://"
        ) from None
