"""Makes articles of the pages of web archives, each in a process that a page cannot take down."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from newsieve.file_readers.web_archive import ArchivedPage, PageUnread
from newsieve.limited_process import CallFailed, LimitedProcesses, Limits
from newsieve.programs.ingest.page_question import Question

# A page of 200 kB takes some 50 ms and 80 MiB.
LIMITS: Final = Limits(seconds=10.0, memory_bytes=512 << 20, result_bytes=16 << 20)
FUNCTION: Final = "newsieve.programs.ingest.archived_page_reading:answer"


class ArchivedPages:
    """Reads pages one after another. The process begins with the first page."""

    def __init__(self, processes: LimitedProcesses | None = None) -> None:
        self._processes = processes or LimitedProcesses(FUNCTION, LIMITS)

    def read(self, page: ArchivedPage) -> dict[str, Any] | None:
        """Return the raw article of a page, None for a page without a text. Raises PageUnread."""
        question = Question(page.url, page.body, page.charset, page.language)
        try:
            answer = self._processes.call(msgspec.msgpack.encode(question))
        except CallFailed as error:
            raise PageUnread(f"the page {page.url} cannot be read: {error}") from None
        article: dict[str, Any] | None = orjson.loads(answer) if answer else None
        return article

    def close(self) -> None:
        """End the process that reads pages."""
        self._processes.close()
