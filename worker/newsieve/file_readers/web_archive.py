"""Reads web archives (WARC): each answer of a server that is a page becomes a raw article.

How a page becomes an article, the caller says. Records of other kinds are passed over. A record
that is broken costs itself: the next one is looked for behind it, if the file can be read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import orjson
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from newsieve.file_readers.file_record import FileRecord, limit_problem
from newsieve.file_readers.source import Source

_PAGE_TYPES: Final = ("text/html", "application/xhtml+xml")
_OK: Final = 200
_HEAD_BYTES: Final = 1 << 16  # of an answer that is too large: enough to tell what it is
_SEARCHED_BYTES: Final = 1 << 20  # at a time, for the beginning of a record
_OVERLAP_BYTES: Final = 16  # more than a beginning has
_BEGINNINGS: Final = {  # of a record, by what the file begins with
    b"\x1f\x8b": re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
    b"\x28\xb5\x2f\xfd": re.compile(rb"\x28\xb5\x2f\xfd"),
    b"WARC": re.compile(rb"(?<=\n)WARC/[01]\."),
}


class ArchivedPage(NamedTuple):
    """A page of a web archive, and what the archive says of it."""

    url: str
    body: bytes
    charset: str | None  # as the server said
    language: str | None  # likewise


class PageUnread(Exception):
    """No article was made of a page. `str(error)` says why in a few words."""


PageReader = Callable[[ArchivedPage], dict[str, Any] | None]
"""Makes a raw article of a page; None for a page without an article. Raises PageUnread."""


def read_web_archive(
    source: Source, read_page: PageReader, most_bytes: int, skipped: int
) -> Iterator[FileRecord]:
    """Yield a record for each answer of a server behind the first ones that are skipped, and for
    each stretch of the file that is no WARC."""
    beginning = next(it for first, it in _BEGINNINGS.items() if source.head.startswith(first))
    number = position = 0
    is_stretch_known = False
    while True:
        try:
            for record in ArchiveIterator(
                source, record_types=WarcRecordType.response, parse_http=False
            ):
                position, is_stretch_known = record.stream_pos, False
                number += 1
                if number > skipped:
                    yield _record_of(record, read_page, most_bytes)
            return
        except BaseException as error:
            if not _is_of_archive(error):
                raise
            problem = f"not a WARC record: {error}"
        number += not is_stretch_known
        if number > skipped and not is_stretch_known:
            yield FileRecord(f"behind the WARC record at byte {position:,}", None, problem)
        is_stretch_known = True
        following = _find(source, beginning, position + 1)
        if following is None:
            return
        position = following


def _is_of_archive(error: BaseException) -> bool:
    """Say whether the archive's bytes are at fault: neither the disk, nor whoever interrupts. A
    panic of FastWARC's is no Exception, and its class cannot be imported."""
    if isinstance(error, OSError):
        return error.errno is None
    return type(error).__name__ == "PanicException"


def _find(source: Source, beginning: re.Pattern[bytes], start: int) -> int | None:
    """Go to the first place at or behind the start where a record may begin, and return it."""
    if not source.seekable():
        return None
    place, text = max(start - _OVERLAP_BYTES, 0), b""
    source.seek(place)
    while part := source.read(_SEARCHED_BYTES):
        text += part
        match = beginning.search(text, max(start - place, 0))
        if match is not None:
            source.seek(place + match.start())
            return place + match.start()
        place += max(len(text) - _OVERLAP_BYTES, 0)
        text = text[-_OVERLAP_BYTES:]
    return None


def _record_of(record: WarcRecord, read_page: PageReader, most_bytes: int) -> FileRecord:
    place = f"WARC record at byte {record.stream_pos:,}"
    try:
        page = _page_of(record, most_bytes)
        article = None if page is None else read_page(page)
    except PageUnread as error:
        return FileRecord(place, None, str(error))
    return FileRecord(place, None if article is None else orjson.dumps(article))


def _page_of(record: WarcRecord, most_bytes: int) -> ArchivedPage | None:
    """Return the page of a record, None for one of another kind. Raises PageUnread."""
    if not record.is_http:
        return None
    is_small = record.content_length <= most_bytes
    answer = _answer_of(record) if is_small else record.reader.read(_HEAD_BYTES)
    # A record of its own, so that an answer that is broken leaves the archive where it is.
    http = WarcRecord()
    http.set_bytes_content(answer)
    http.is_http = True
    try:
        http.parse_http(auto_decode="all" if is_small else "none")
        if not _is_page(http):
            return None
        body = http.reader.read(most_bytes + 1) if is_small else b""
    except BaseException as error:
        if not (_is_of_archive(error) or isinstance(error, ValueError)):
            raise
        raise PageUnread(f"not an HTTP answer: {error}") from None
    if len(body) > most_bytes or not is_small:
        raise PageUnread(limit_problem(most_bytes))
    url = (record.headers.get("WARC-Target-URI") or "").strip("<>")
    return ArchivedPage(url, body, http.http_charset, http.http_headers.get("Content-Language"))


def _answer_of(record: WarcRecord) -> bytes:
    """Return what a server answered. Raises PageUnread where that is not whole."""
    size = record.content_length
    record.freeze()  # in memory, so that what fails from here on is this record alone
    if record.content_length < size:
        raise PageUnread(f"cut off: {record.content_length:,} of its {size:,} bytes are there")
    if not _has_right_digest(record):
        raise PageUnread("its digest is not that of its bytes")
    answer: bytes = record.reader.read()
    return answer


def _is_page(record: WarcRecord) -> bool:
    is_ok = record.http_headers is not None and record.http_headers.status_code == _OK
    return is_ok and (record.http_content_type or "").lower() in _PAGE_TYPES


def _has_right_digest(record: WarcRecord) -> bool:
    """Say whether the record's bytes are what its digest says, where it has one that is known."""
    said = record.headers.get("WARC-Block-Digest") or ""
    return not said.startswith("sha1:") or record.verify_block_digest(consume=False)
