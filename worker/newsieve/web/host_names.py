"""Which host names a server answers to, so that no page of another site reaches it through its
reader's browser (DNS rebinding).

It knows no settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
ANY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to compare with


def served_names(host: str, hosts: Sequence[str], url: str | None = None) -> frozenset[str]:
    """Return the names that requests may be for; empty for any, where tokens are what protects.
    `host` is the address that the server listens on, `url` where people reach it."""
    named = {item.lower() for item in hosts}
    if url is not None:
        named.add((urlsplit(url).hostname or "").lower())
    if host in ANY_HOST:
        return frozenset(named | LOCAL_NAMES) if named else frozenset()
    host = f"[{host}]" if ":" in host else host
    return frozenset(named | LOCAL_NAMES | {host.lower()})


def name_of(host: str) -> str:
    """Return a Host header without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()
