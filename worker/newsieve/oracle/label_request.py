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
    parsed: ParsedRequest
    draw_position: DrawPosition
    text: CacheKey
    label_prompt: LabelPrompt
    expected_usd: float  # of a call; by it is decided how many fit
    max_usd: float  # by it is claimed
    effective_pi: float | None = None
    task: LabelingTask | None = None
    is_published: bool = False  # before its turn, by whoever had to leave then
    _result: LabelResult | None = None

    @property
    def is_finished(self) -> bool:
        return self.is_published or self.result is not None

    @property
    def result(self) -> LabelResult | None:
        return self._result or (self.task.result if self.task is not None else None)

    @property
    def is_anchor(self) -> bool:
        return self.parsed.request.sampling.purpose == ANCHOR

    @property
    def candidate(self) -> Candidate:
        sampling, draw_position = self.parsed.request.sampling, self.draw_position
        return Candidate(
            sampling.purpose,
            sampling.pi,
            draw_position.rank,
            self.expected_usd,
            draw_position.source,
        )

    @property
    def is_undecided(self) -> bool:
        return not self.is_finished and self.effective_pi is None

    @property
    def needs_call(self) -> bool:
        if self.is_finished or self.effective_pi is None:
            return False
        return self.task is None or self.task.needs_call

    @property
    def is_begun(self) -> bool:
        return self.task is not None and self.result is None

    @property
    def is_paid_for(self) -> bool:
        """It has a verdict of its own, and whoever asks for it again pays again."""
        return self.task is not None and self.task.result is not None

    @property
    def is_under_way(self) -> bool:
        """Claimed, and not come back."""
        return self.is_begun and not self.needs_call and not self.is_withheld

    @property
    def is_withheld(self) -> bool:
        """There is no label, and it is not known whose fault that is."""
        return self.task is not None and self.task.withheld is not None

    @property
    def waits_for_others(self) -> bool:
        is_waiting = self.task is not None and self.task.waits_for_others
        return is_waiting and not self.is_finished

    def finish(self, result: LabelResult, effective_pi: float) -> None:
        self._result, self.effective_pi = result, effective_pi


class Promised:
    """Calls, and what they usually cost, of cases that are decided and not claimed yet."""

    def __init__(self, requests: Iterable[LabelRequest]) -> None:
        self.calls = 0
        self.usd = 0.0
        self._of: dict[str | None, tuple[int, float]] = {}
        for request in requests:
            if request.needs_call and request.task is None:
                calls, usd = self.of(request.draw_position.source)
                self._of[request.draw_position.source] = calls + 1, usd + request.expected_usd
                self.calls += 1
                self.usd += request.expected_usd

    def of(self, source: str | None) -> tuple[int, float]:
        return self._of.get(source, (0, 0.0))


class PendingClaim(NamedTuple):
    """A claim that is not committed. The call follows its commit."""

    request: LabelRequest
    task: LabelingTask
    usd: float
