"""What is asked of the process that reads strangers' pages, and its answers, as MessagePack.

It imports none of the libraries that read them.
"""

from __future__ import annotations

import msgspec


class Page(msgspec.Struct, frozen=True, tag=True):
    """A page whose text is asked for."""

    body: bytes
    charset: str | None  # as its Content-Type has it


class Robots(msgspec.Struct, frozen=True, tag=True):
    """A robots.txt, and the URL about which it is asked."""

    body: bytes
    url: str


class Rules(msgspec.Struct, frozen=True):
    """What a robots.txt says about a URL, and about the time between requests."""

    is_allowed: bool
    delay_seconds: float | None
