"""What is read of strangers' sites in a limited process: the text of a page, the rules of a
robots.txt.

The process calls `answer`; what it returns is decoded by whoever asked. It knows no HTTP. Only the
process imports it: the libraries take 40 MB and a third of a second.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
import trafilatura
from protego import Protego

from newsieve.feeds.page_questions import Page, Robots, Rules

ROBOT: Final = "newsieve"  # the product token that a robots.txt names us by
# Where a page says its encoding (HTML Standard, 13.2.3.2: within its first 1,024 bytes).
_DECLARED_CHARSET: Final = re.compile(
    rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE
)
_DECLARATION_BYTES: Final = 1_024
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# What browsers take these for (Encoding Standard, 4.2).
_CHARSETS_MEANT: Final = {"iso-8859-1": "windows-1252", "us-ascii": "windows-1252"}
_CHARSET_OF_LAST_RESORT: Final = "windows-1252"


_QUESTION: Final = msgspec.msgpack.Decoder(Page | Robots)


def answer(question: bytes) -> bytes:
    """Return the answer to a Page, which is its text, or to a Robots, which is Rules; all are
    MessagePack."""
    match _QUESTION.decode(question):
        case Page() as page:
            return msgspec.msgpack.encode(page_text(page))
        case Robots() as robots:
            return msgspec.msgpack.encode(rules(robots))


def page_text(page: Page) -> str:
    """Return the text of a page's article, paragraphs apart by blank lines: empty where there is
    none."""
    text = trafilatura.extract(
        decoded(page),
        favor_precision=True,
        include_comments=False,
        include_tables=True,
    )
    return "\n\n".join(filter(None, map(str.strip, (text or "").split("\n"))))


def decoded(page: Page) -> str:
    """Return a page as text. What is UTF-8 is never anything else, whatever it says of itself."""
    for mark, charset in _BYTE_ORDER_MARKS:
        if page.body.startswith(mark):
            return page.body[len(mark) :].decode(charset, errors="replace")
    try:
        return page.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _DECLARED_CHARSET.search(page.body, 0, _DECLARATION_BYTES)
    for label in (page.charset, declared and declared[1].decode("ascii", "replace")):
        if label:
            try:
                name = label.strip().lower()
                return page.body.decode(_CHARSETS_MEANT.get(name, name), errors="replace")
            except (LookupError, ValueError):  # no encoding, or none of text
                continue
    return page.body.decode(_CHARSET_OF_LAST_RESORT, errors="replace")


def rules(robots: Robots) -> Rules:
    """Return what a robots.txt says to newsieve about a URL."""
    parsed = Protego.parse(robots.body.decode("utf-8-sig", errors="replace"))
    return Rules(parsed.can_fetch(robots.url, ROBOT), parsed.crawl_delay(ROBOT))
