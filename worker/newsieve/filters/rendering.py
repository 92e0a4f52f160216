"""One rendering of an article into text, for the content rules, the student and the oracle.

What is rendered differently means a different label, so RENDERING is part of every label hash.
"""

from __future__ import annotations

import hashlib
from typing import Final

RENDERING: Final = "title-blank-line-content/1"


def render(title: str | None, content: str | None) -> str:
    """Title, blank line, content; a missing or blank part leaves no trace."""
    title = title.strip() if title else ""
    content = content.strip() if content else ""
    return f"{title}\n\n{content}" if title and content else title or content


def content_hash(text: str) -> str:
    """SHA-256 over the rendered text's UTF-8."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
