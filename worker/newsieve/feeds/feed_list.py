"""Reads which feeds to ask: OPML, or one URL a line. Pure, but for the reading of a file.

In a list of URLs, `#` begins a comment, and ` full-text` behind a URL has its pages read. In OPML
an outline with `xmlUrl` is a feed, however deep; `newsieveFullText="true"` has its pages read, and
means nothing to other programs. Whether there is such a feed is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from xml.parsers import expat

from newsieve.errors import InputFileInvalid
from newsieve.feeds.canonical_url import canonical_url
from newsieve.feeds.feed import Feed
from newsieve.outgoing.public_address import AddressRefused, check_url
from newsieve.printable import one_line
from newsieve.validation_text import first_of
from newsieve_schemas.article import MAX_URL_CHARACTERS

MAX_FILE_BYTES: Final = 64 * 1_048_576  # half a million feeds
MAX_NAMED: Final = 20  # entries that are wrong; of others only their number is said
FULL_TEXT: Final = "full-text"
FULL_TEXT_ATTRIBUTE: Final = "newsieveFullText"
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")  # an address can have one in it


class FeedList(NamedTuple):
    """The feeds of a list, each once, and what is to be said about it."""

    feeds: list[Feed]
    warnings: list[str]


class _Entry(NamedTuple):
    place: str  # `feeds.opml, line 3`
    url: str
    title: str | None
    full_text: bool


def read_feed_list(path: Path) -> FeedList:
    """Read a list from a file, whose format its content tells. Raises InputFileInvalid, which names
    the file and the entries that are wrong."""
    name = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputFileInvalid(f"{name}: cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise InputFileInvalid(f"{name}: a list of feeds has at most {MAX_FILE_BYTES:,} bytes")
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or b"<\0" in content[:4]:
        return _listed(_of_opml(name, content))
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InputFileInvalid(f"{name}: it is neither OPML nor text in UTF-8") from None
    return _listed(_of_lines((f"{name}, line {n}", line) for n, line in enumerate(lines, 1)))


def parse_feed_lines(setting: str, lines: Iterable[str]) -> FeedList:
    """Return the feeds of a setting, each as a line of a file has it. Raises InputFileInvalid."""
    return _listed(_of_lines((f"{setting}[{n}]", line) for n, line in enumerate(lines)))


def _listed(entries: Iterable[_Entry]) -> FeedList:
    feeds: dict[str, Feed] = {}
    places: dict[str, str] = {}
    warnings, wrong = [], []
    for entry in entries:
        try:
            check_url(entry.url)
            if len(entry.url) > MAX_URL_CHARACTERS:
                raise AddressRefused(f"a URL has at most {MAX_URL_CHARACTERS:,} characters")
        except AddressRefused as error:
            wrong.append(f"{entry.place}: {one_line(entry.url)!r}: {error}")
            continue
        key = canonical_url(entry.url)
        if key in feeds:
            warnings.append(
                f"{entry.place}: {one_line(entry.url)} is listed before, in {places[key]}"
            )
            first = feeds[key]
            feeds[key] = first._replace(
                title=first.title or entry.title, full_text=first.full_text or entry.full_text
            )
            continue
        feeds[key] = Feed(entry.url, entry.title, entry.full_text)
        places[key] = entry.place
    if wrong:
        raise InputFileInvalid("\n".join(first_of(wrong, MAX_NAMED)))
    return FeedList(list(feeds.values()), warnings)


def _of_lines(lines: Iterable[tuple[str, str]]) -> Iterator[_Entry]:
    for place, line in lines:
        words = _COMMENT.sub("", line).split()
        if not words:
            continue
        if words[1:] not in ([], [FULL_TEXT]):
            raise InputFileInvalid(
                f"{place}: behind a URL stands nothing, or {FULL_TEXT}: {one_line(line)!r}"
            )
        yield _Entry(place, words[0], None, bool(words[1:]))


def _of_opml(name: str, content: bytes) -> list[_Entry]:
    """Return the outlines that are feeds. Nothing is declared in OPML, so no entity can unfold."""
    entries: list[_Entry] = []
    parser = expat.ParserCreate()
    elements: list[str] = []

    def start(element: str, attributes: dict[str, str]) -> None:
        if not elements and element.lower() != "opml":
            raise _NotOpml(f"it is XML, but no OPML: its root is {one_line(element)!r}")
        elements.append(element)
        values = {key.lower(): value.strip() for key, value in attributes.items()}
        url = values.get("xmlurl")
        if element.lower() == "outline" and url is not None:
            place = f"{name}, line {parser.CurrentLineNumber}"
            title = values.get("title") or values.get("text") or None
            full_text = values.get(FULL_TEXT_ATTRIBUTE.lower(), "").lower() in {"true", "1"}
            entries.append(_Entry(place, url, title, full_text))

    def refuse(*_: object) -> None:
        raise _NotOpml("it declares a document type, which no OPML needs and may hide a bomb")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: elements.pop()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)  # noqa: FBT003 - it takes no keyword
    except (_NotOpml, expat.ExpatError, ValueError, LookupError) as error:
        line = parser.CurrentLineNumber
        raise InputFileInvalid(f"{name}, line {line}: {one_line(str(error))}") from None
    return entries


class _NotOpml(Exception):
    """The document is not one that is read."""
