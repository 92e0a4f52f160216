"""Reading bytes as a file of articles is read."""

from __future__ import annotations

import io
from typing import Any

from newsieve.file_readers.file_record import FileRecord
from newsieve.file_readers.reading import ReadingPolicy, format_of, read_records
from newsieve.file_readers.source import Source
from newsieve.file_readers.web_archive import ArchivedPage, PageUnread

FIELDS = ("id", "title", "content", "url")
MOST_BYTES = 4_000


def read_page(page: ArchivedPage) -> dict[str, Any] | None:
    """The page's bytes, as if they were its text; none is no article, `bad` cannot be read."""
    if page.body == b"bad":
        raise PageUnread("took too long")
    return {"url": page.url, "content": page.body.decode(errors="replace")} if page.body else None


POLICY = ReadingPolicy(MOST_BYTES, FIELDS, ("title", "content"), read_page)


class Pipe(io.BytesIO):
    """What comes in parts, and only once."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 100) if size is not None and size >= 0 else 100)

    def seekable(self) -> bool:
        return False


def records_of(
    content: bytes, policy: ReadingPolicy = POLICY, skipped: int = 0, *, is_pipe: bool = False
) -> list[FileRecord]:
    source = Source(Pipe(content) if is_pipe else io.BytesIO(content))
    return list(read_records(source, format_of("f", source, policy), policy, skipped))


def values_of(content: bytes) -> list[bytes | None]:
    return [record.value for record in records_of(content)]


def problems_of(content: bytes) -> list[tuple[str, str]]:
    """The places and problems of records that cannot be read."""
    return [(item.place, item.problem) for item in records_of(content) if item.problem is not None]
