"""A line of a file on its way, from its article to its label. Knows neither files nor calls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from newsieve.errors import RecordError
from newsieve.filters.article import Article
from newsieve.oracle.label_cache import CacheKey
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.pending_label import PendingLabel
from newsieve.oracle.prompt import LabelPrompt

PARTITION: Final = 0  # a file's ledger has only one
CLAIM_KEY_BYTES: Final = 7  # as an integer it fits JSON's
# As it is hashed, in files of claims that earlier versions wrote, too.
_CLAIM_KEY: Final = "Text(article_id={!r}, content_hash={!r}, way={!r})"


@dataclass(slots=True, eq=False)
class PendingArticle(PendingLabel):
    """A line on its way: an article with its prompt, or the reason why it is no article."""

    line: int
    article: Article | None = None
    label_prompt: LabelPrompt | None = None
    text: CacheKey | None = None
    error: RecordError | None = None
    task: LabelingTask | None = None
    kept: dict[str, Any] | None = None  # its line, from an earlier run

    @property
    def is_finished(self) -> bool:
        """Whether its line can be written."""
        if self.error is not None or self.kept is not None:
            return True
        return self.task is not None and self.task.result is not None

    @property
    def claim_place(self) -> tuple[int, int]:
        """The one partition of a file's ledger, and the article's claim key."""
        return PARTITION, self.claim_key

    @property
    def claim_key(self) -> int:
        """Name the article in the file of claims: the same number in every run and version,
        whatever lines are added to the input or taken from it."""
        digest = hashlib.sha256(_CLAIM_KEY.format(*self.text or ("", "", ())).encode()).digest()
        return int.from_bytes(digest[:CLAIM_KEY_BYTES], "big")
