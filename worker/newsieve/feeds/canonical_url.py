"""Gives the one spelling of an address that all its spellings share. Pure.

Scheme and host in lower case, no port that the scheme implies, no fragment, and none of the query's
parameters that only say where a reader came from. All else is kept: it may tell pages apart.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

# Of campaigns and of click counters; no page is told apart by them.
TRACKING: Final = frozenset(
    "fbclid gclid dclid msclkid yclid igshid mc_cid mc_eid _hsenc _hsmi".split()  # noqa: SIM905
)
TRACKING_PREFIX: Final = "utm_"
_IMPLIED_PORTS: Final = {"http": 80, "https": 443}


def canonical_url(url: str) -> str:
    """Return the spelling of an address; what is no address stays as it is."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return url
    host = parts.hostname
    if not parts.scheme or host is None:
        return url
    scheme = parts.scheme.lower()
    bracketed = f"[{host}]" if ":" in host else host.rstrip(".")
    is_implied = port is None or port == _IMPLIED_PORTS.get(scheme)
    users, separator, _ = parts.netloc.rpartition("@")
    netloc = f"{users}{separator}{bracketed}{'' if is_implied else f':{port}'}"
    pairs = [pair for pair in parts.query.split("&") if not _is_tracking(pair)]
    return urlunsplit((scheme, netloc, parts.path or "/", "&".join(pairs), ""))


def _is_tracking(pair: str) -> bool:
    name = pair.partition("=")[0].lower()
    return name in TRACKING or name.startswith(TRACKING_PREFIX)
