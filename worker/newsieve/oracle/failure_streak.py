"""How many calls in a row brought no label, and when that is no article's own fault. Pure.

One label shows that articles can be labelled, asked as they are. Before the first one a few
failures are enough to show that they cannot; after it a model may fail on some articles, and more
failures are needed. A rejection is another thing: it came before any model read the article.
"""

from __future__ import annotations

from typing import Final

from newsieve.oracle.labeling_task import Failure

SAME_FAILURES: Final = 5  # in a row and in the same way; rejections also after a label
ANY_FAILURES: Final = 10  # in a row, in whatever ways
FAILURES_AFTER_LABELS: Final = 25  # likewise; a model that is right once in 25 times is none

_REJECTED: Final = "rejected"
_ADVICE: Final = {
    _REJECTED: "Check NEWSIEVE_ORACLE__MODEL, __THINKING, __TEMPERATURE and __MAX_OUTPUT_TOKENS; "
    "if the article is too long for the model, lower __ARTICLE_CHARACTERS",
    "cut off": "Raise NEWSIEVE_ORACLE__MAX_OUTPUT_TOKENS, or lower __THINKING",
    "thoughts": "Let the model or its server keep its thoughts apart (see "
    "NEWSIEVE_ORACLE__THINKING), or name another in NEWSIEVE_ORACLE__MODEL",
}
_OTHER_ADVICE: Final = (
    "Name a model and an endpoint that keep to a JSON Schema (structured output) in "
    "NEWSIEVE_ORACLE__MODEL and __ENDPOINT"
)


class FailureStreak:
    """The failures in a row of one oracle's calls, without refusals, which are about their article
    alone."""

    def __init__(self) -> None:
        self.has_labelled = False
        self._failures: list[Failure] = []  # since the last label
        self._last_article = ""

    def labelled(self) -> None:
        """End the streak: a call brought a label."""
        self.has_labelled = True
        self._failures.clear()

    def failed(self, failure: Failure, article_id: str) -> None:
        """Count a call that brought no label, perhaps by its article's fault."""
        self._failures.append(failure)
        self._last_article = article_id

    @property
    def is_of_rejections(self) -> bool:
        """Whether the last failure was a rejection."""
        return bool(self._failures) and self._failures[-1].kind == _REJECTED

    @property
    def is_without_label(self) -> bool:
        """Whether calls have failed and none has brought a label."""
        return bool(self._failures) and not self.has_labelled

    @property
    def is_over(self) -> bool:
        """Whether the streak is so long that the way in which all are asked must be at fault."""
        kinds = [failure.kind for failure in self._failures]
        is_alike = len(kinds) >= SAME_FAILURES and len(set(kinds[-SAME_FAILURES:])) == 1
        if is_alike and (self.is_of_rejections or not self.has_labelled):
            return True
        return len(kinds) >= (FAILURES_AFTER_LABELS if self.has_labelled else ANY_FAILURES)

    def complaint(self) -> str:
        """Return what went wrong and what to do, for people."""
        last, article = self._failures[-1], f"{self._last_article!r:.80}"
        advice = _ADVICE.get(last.kind, _OTHER_ADVICE)
        asked_again = "None of them has a record: they are asked again once that is corrected"
        if last.kind == _REJECTED:
            return (
                f"the oracle rejects requests; the last, for article {article}: {last.reason}. "
                f"{advice}. {asked_again}"
            )
        looks = f"; it begins: {last.shown}" if last.shown else ""
        return (
            f"the oracle's last {len(self._failures)} answers are no labels; the last, for article "
            f"{article}: {last.reason}{looks}. {advice}. {asked_again}"
        )
