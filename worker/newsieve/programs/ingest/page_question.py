"""What is asked of the process that makes articles of pages. It imports none of the libraries."""

from __future__ import annotations

import msgspec


class Question(msgspec.Struct, frozen=True):
    """A page, its address, and the charset and language that its server named."""

    url: str
    body: bytes
    charset: str | None
    language: str | None
