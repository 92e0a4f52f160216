"""Renders an article into one text, for the content rules, the student, the oracle and readers.

A different rendering means different labels, so RENDERING is part of every label hash. Knows
nothing of what reads the text. Records carry an article as it came: what was rendered is never
rendered again.
"""

from __future__ import annotations

import hashlib
from html import escape
from typing import Final

from newsieve.filters.markup import plain_text

RENDERING: Final = "title-blank-line-content-without-markup/2"
# Renderings that labels and students may still be of, the newest first.
EARLIER_RENDERINGS: Final = ("title-blank-line-content/1",)
# How the two parts of a text are laid out, whatever was done to each before: with a text's own hash
# it says what an oracle was shown.
LAYOUT: Final = "title-blank-line-content/1"


def render(title: str | None, content: str | None) -> str:
    """Return title, blank line and content, each without markup; a missing or blank part leaves no
    trace."""
    return joined(rendered_title(title), rendered_content(content))


def rendered_title(title: str | None) -> str:
    """Return a title as its readers see it: without markup, and where it had any, in one line."""
    if not title:
        return ""
    shown = plain_text(title)
    return shown.strip() if shown == title else " ".join(shown.split())


def rendered_content(content: str | None) -> str:
    """Return a content as its readers see it, in paragraphs."""
    return plain_text(content).strip() if content else ""


def as_content(shown: str) -> str:
    """Return a content that is rendered to this text, which was rendered: the text itself, but for
    one that would be taken for HTML."""
    return shown if plain_text(shown) == shown else f'<span class="text">{escape(shown)}</span>'


def joined(title: str, content: str) -> str:
    """Return the text of a rendered title and a rendered content."""
    return f"{title}\n\n{content}" if title and content else title or content


def is_rendered_as_before(title: str | None, content: str | None) -> bool:
    """Say whether every earlier rendering of this article is the same text as today's, so that its
    labels still mean what they meant."""
    before = joined((title or "").strip(), (content or "").strip())
    return before == render(title, content)


def content_hash(text: str) -> str:
    """Return the SHA-256 of the rendered text's UTF-8."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
