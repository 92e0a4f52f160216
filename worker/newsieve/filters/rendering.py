"""Renders an article into one text, for the content rules, the student and the oracle.

A different rendering means different labels, so RENDERING is part of every label hash. Knows
nothing of what reads the text.
"""

from __future__ import annotations

import hashlib
from typing import Final

RENDERING: Final = "title-blank-line-content/1"


def render(title: str | None, content: str | None) -> str:
    """Return title, blank line and content; a missing or blank part leaves no trace."""
    title = title.strip() if title else ""
    content = content.strip() if content else ""
    return f"{title}\n\n{content}" if title and content else title or content


def content_hash(text: str) -> str:
    """Return the SHA-256 of the rendered text's UTF-8."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
