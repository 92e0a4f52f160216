"""Makes an article of a page, in a limited process: the text, and what the page says of itself.

Only that process imports it: the libraries take 40 MB and a third of a second.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import orjson
import trafilatura
from trafilatura.settings import Document

from newsieve.feeds.page_questions import Page
from newsieve.feeds.page_reading import decoded
from newsieve.programs.ingest.page_question import Question

_LANGUAGE: Final = re.compile(
    r"<html\b[^>]{0,1000}?\blang\s*=\s*[\"']?([A-Za-z]{2,3}(?:-\w{1,8})*)", re.IGNORECASE
)
_HEAD_CHARACTERS: Final = 4_096
_QUESTION: Final = msgspec.msgpack.Decoder(Question)


def answer(question: bytes) -> bytes:
    """Return the article of a Question as JSON, or nothing for a page without one."""
    asked = _QUESTION.decode(question)
    article = article_of(asked.url, Page(asked.body, asked.charset), asked.language)
    return orjson.dumps(article) if article is not None else b""


def article_of(url: str, page: Page, language: str | None) -> dict[str, Any] | None:
    """Return a page's raw article; None for a page without a text. The language is the server's
    word, for a page that does not say its own."""
    html = decoded(page)
    read = trafilatura.bare_extraction(
        html,
        url=url or None,
        favor_precision=True,
        include_comments=False,
        include_tables=True,
        with_metadata=True,
    )
    if not isinstance(read, Document) or not (read.text or "").strip():
        return None
    lines = [line.strip() for line in str(read.text).split("\n")]
    if lines[0] == read.title:  # its heading
        del lines[0]
    said = _LANGUAGE.search(html, 0, _HEAD_CHARACTERS)
    fields = {
        "url": url,
        "title": read.title,
        "content": "\n\n".join(line for line in lines if line),
        "source": read.sitename or urlsplit(url).hostname,
        "language": said[1] if said else (language or "").partition(",")[0].strip(),
        "published_at": read.date,
    }
    return {name: value for name, value in fields.items() if value}
