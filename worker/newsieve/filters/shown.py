"""Others' text in our messages: one line, no control characters, cut to size. Pure."""

from __future__ import annotations

from typing import Final

SHOWN_CHARACTERS: Final = 300  # of a path or another program's error; more is no sentence


def one_line(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """As it may be shown to people: what is not printable escaped, a long text cut."""
    start = text[:characters].encode("utf-8", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(start.split()))
    return shown[:characters] + ("…" if len(text) > characters or len(shown) > characters else "")
