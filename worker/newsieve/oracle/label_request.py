"""A request on its way, from its record to its verdict. Knows neither budget nor calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from newsieve.oracle.draw_order import DrawPosition
from newsieve.oracle.label_cache import CacheKey
from newsieve.oracle.labeling_task import LabelingTask, LabelResult
from newsieve.oracle.priority_sampling import Candidate
from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.records import ANCHOR, ParsedRequest


@dataclass(slots=True, eq=False)
class LabelRequest:
    """A request on its way. Until `effective_pi` is known nobody has decided whether the budget
    has a call for it."""

    partition: int
    offset: int
    asking: ParsedRequest
    standing: DrawPosition
    text: CacheKey
    question: LabelPrompt
    usual_usd: float  # of a call; by it is decided how many fit
    most_usd: float  # by it is claimed
    effective_pi: float | None = None
    interview: LabelingTask | None = None
    is_published: bool = False  # before its turn, by whoever had to leave then
    _verdict: LabelResult | None = None

    @property
    def is_finished(self) -> bool:
        return self.is_published or self.verdict is not None

    @property
    def verdict(self) -> LabelResult | None:
        return self._verdict or (self.interview.verdict if self.interview is not None else None)

    @property
    def is_anchor(self) -> bool:
        return self.asking.request.sampling.purpose == ANCHOR

    @property
    def candidate(self) -> Candidate:
        sampling, standing = self.asking.request.sampling, self.standing
        return Candidate(
            sampling.purpose, sampling.pi, standing.rank, self.usual_usd, standing.source
        )

    @property
    def is_undecided(self) -> bool:
        return not self.is_finished and self.effective_pi is None

    @property
    def wants_claim(self) -> bool:
        if self.is_finished or self.effective_pi is None:
            return False
        return self.interview is None or self.interview.wants_claim

    @property
    def is_begun(self) -> bool:
        return self.interview is not None and self.verdict is None

    @property
    def is_paid_for(self) -> bool:
        """It has a verdict of its own, and whoever asks for it again pays again."""
        return self.interview is not None and self.interview.verdict is not None

    @property
    def is_under_way(self) -> bool:
        """Claimed, and not come back."""
        return self.is_begun and not self.wants_claim and not self.is_withheld

    @property
    def is_withheld(self) -> bool:
        """There is no label, and it is not known whose fault that is."""
        return self.interview is not None and self.interview.withheld is not None

    @property
    def waits_for_others(self) -> bool:
        is_waiting = self.interview is not None and self.interview.waits_for_others
        return is_waiting and not self.is_finished

    def close(self, verdict: LabelResult, effective_pi: float) -> None:
        self._verdict, self.effective_pi = verdict, effective_pi


class Promised:
    """Calls, and what they usually cost, of cases that are decided and not claimed yet."""

    def __init__(self, cases: Iterable[LabelRequest]) -> None:
        self.calls = 0
        self.usd = 0.0
        self._of: dict[str | None, tuple[int, float]] = {}
        for case in cases:
            if case.wants_claim and case.interview is None:
                calls, usd = self.of(case.standing.source)
                self._of[case.standing.source] = calls + 1, usd + case.usual_usd
                self.calls += 1
                self.usd += case.usual_usd

    def of(self, source: str | None) -> tuple[int, float]:
        return self._of.get(source, (0, 0.0))


class PendingClaim(NamedTuple):
    """A claim that is not committed. The call follows its commit."""

    case: LabelRequest
    interview: LabelingTask
    usd: float
