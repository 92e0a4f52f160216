"""One line of a file on its way, from its article to its label. Knows neither files nor calls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from newsieve.errors import RecordError
from newsieve.filters.article import Article
from newsieve.oracle.label_cache import CacheKey
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.prompt import LabelPrompt

CLAIM_KEY_BYTES: Final = 7  # as an integer it fits JSON's


@dataclass(slots=True, eq=False)
class PendingArticle:
    """One line on its way: an article's question, or the reason why it is no article."""

    line: int
    article: Article | None = None
    question: LabelPrompt | None = None
    text: CacheKey | None = None
    error: RecordError | None = None
    interview: LabelingTask | None = None
    kept: dict[str, Any] | None = None  # its line, from an earlier run

    @property
    def is_finished(self) -> bool:
        if self.error is not None or self.kept is not None:
            return True
        return self.interview is not None and self.interview.verdict is not None

    @property
    def is_under_way(self) -> bool:
        interview = self.interview
        is_begun = interview is not None and interview.verdict is None
        return is_begun and not self.is_withheld and not self.wants_claim

    @property
    def wants_claim(self) -> bool:
        return self.interview is not None and self.interview.wants_claim

    @property
    def is_withheld(self) -> bool:
        """There is no label, and it is not known whose fault that is."""
        return self.interview is not None and self.interview.withheld is not None

    @property
    def waits_for_others(self) -> bool:
        is_waiting = self.interview is not None and self.interview.waits_for_others
        return is_waiting and not self.is_finished

    @property
    def claim_key(self) -> int:
        """Stable, whatever is added to the file or taken from it."""
        digest = hashlib.sha256(str(self.text).encode()).digest()
        return int.from_bytes(digest[:CLAIM_KEY_BYTES], "big")
