"""The number by which a line's claims are found again in `OUT.claims`."""

from __future__ import annotations

from newsieve.oracle.label_cache import CacheKey
from newsieve.oracle.pending_article import PendingArticle

# As versions before the modules were renamed wrote it for this article.
FORMER_CLAIM_KEY = 60285716320127622


def test_claims_of_earlier_versions_are_found_again() -> None:
    """Calls that were begun before an upgrade are not forgotten, nor paid for twice unsaid."""
    config = ("openai", "m", "sha256:p", "sha256:s", None, 0.5)
    article = PendingArticle(0, text=CacheKey("it's a1", "sha256:00", config))

    assert article.claim_key == FORMER_CLAIM_KEY
