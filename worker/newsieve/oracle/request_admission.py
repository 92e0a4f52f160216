"""Decides which of the stream's requests get a call: by labels that are known, by stories that
were asked about, and by the budget.

The decision is made twice: for all requests that are new together, on what calls usually cost, and
for each one before its claim, on the most that a call can cost. A copy of a story that is being
asked about waits undecided for what comes of that. Knows neither records nor commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from newsieve.oracle.claiming_queue import Admission, ClaimingQueue
from newsieve.oracle.label_cache import LabelCache
from newsieve.oracle.label_request import LabelRequest
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.priority_sampling import select_within_budget
from newsieve.oracle.story_window import StoryKey, StoryWindow
from newsieve_schemas.oracle import DUPLICATE, OVER_BUDGET


class RequestAdmission:
    """The admission of one oracle's requests, on one day after the other."""

    def __init__(self, claims: ClaimingQueue, cache: LabelCache) -> None:
        self._claims = claims
        self._cache = cache
        self.day = ""  # of the last requests that were admitted
        self._awaited: frozenset[StoryKey] = frozenset()  # stories that copies at hand wait for

    def admit(
        self, requests: Collection[LabelRequest], begun: Collection[LabelRequest], today: str
    ) -> None:
        """Decide about all of these that are new: is there a label already, or a call left?
        Requests that were `begun` before a rewind come again."""
        budget = self._claims.budget
        self.day = budget.today(today)
        for request in _undecided(requests):
            request.is_published = budget.is_published(request.partition, request.offset)
        for request in _undecided(requests):
            self._answer_from_record(request)
        new, self._awaited = _firsts(_undecided(requests), (*begun, *requests))
        promised = _Promised(requests)

        def can_afford(n: int, usd: float) -> bool:
            return budget.can_afford(promised.usd + usd, self.day, promised.calls + n)

        def can_afford_for(source: str, n: int, usd: float) -> bool:
            calls, more = promised.of(source)
            return budget.can_afford_for(source, more + usd, self.day, calls + n)

        candidates = [request.candidate for request in new]
        decisions = select_within_budget(candidates, can_afford, can_afford_for)
        for request, decision in zip(new, decisions, strict=True):
            request.effective_pi = decision.effective_pi
            if not decision.is_kept:
                self._drop(request, is_sources=decision.is_cut_by_source)

    def decide(
        self,
        request: LabelRequest,
        requests: Collection[LabelRequest],
        settled: Collection[LabelRequest],
    ) -> Admission:
        """Decide whether a call can be claimed for this request now, among all that are at hand and
        those that are settled in what is not committed."""
        if self._is_answered_elsewhere(request, (*requests, *settled)):
            return Admission.SKIP
        budget, day, source = self._claims.budget, self.day, request.source
        promised = _Promised(() if request.task is None else requests)
        calls = promised.calls + 1
        if not (
            budget.can_afford(0.0, day, calls)
            and budget.can_afford_for(source, 0.0, day, promised.of(source)[0] + 1)
        ):
            if request.task is not None:
                self._claims.fail(request.task)
            else:
                request.effective_pi = None  # a share went to another oracle: admit again
            return Admission.SKIP
        max_usd = self._claims.oracle.max_usd(request.label_prompt)
        fits_source = budget.can_afford_for(source, max_usd, day)
        if fits_source and budget.can_afford(max_usd, day):
            return Admission.CLAIM
        # Of what is claimed for others, some will come back.
        others = self._claims.with_claims(requests)
        if not any(fits_source or other.source == source for other in others):
            self._go_without(request, is_sources=not fits_source)
        return Admission.SKIP

    def is_awaited(self, request: LabelRequest) -> bool:
        """Whether it has a result that stands for its copies, and some of these wait for it."""
        is_label = request.result is not None and request.may_bring_label
        return is_label and request.story.key in self._awaited

    def _is_answered_elsewhere(self, request: LabelRequest, others: Iterable[LabelRequest]) -> bool:
        """The same text, twice at hand: the second is answered from the first."""
        if request.is_anchor or request.task is not None:
            return False
        return self._answer_from_record(request) or any(
            other.text == request.text and other.task is not None and not other.is_anchor
            for other in others
        )

    def _answer_from_record(self, request: LabelRequest) -> bool:
        """Finish a request whose text has a label, or whose story was asked about. Return whether
        it is finished. A label of the text is taken, unless another article stands for the
        story: one of both is evidence."""
        if request.is_anchor:
            return False
        story = request.story
        first = self._cache.first_of(story)
        result = self._cache.get(request.text) if first in (None, story.article_id) else None
        if result is None and first is not None:
            reason = "the oracle was asked about another copy of its story"
            result = LabelResult(DUPLICATE, failure=reason, story=first)
        if result is not None:
            request.finish(result, request.parsed.request.sampling.pi)
        return result is not None

    def _go_without(self, request: LabelRequest, *, is_sources: bool) -> None:
        if request.task is not None:
            self._claims.fail(request.task)
        else:
            self._drop(request, is_sources=is_sources)

    def _drop(self, request: LabelRequest, *, is_sources: bool) -> None:
        """`is_sources`: there is budget left, and none of it for its source."""
        what = "its source's share of the budget" if is_sources else "the budget"
        result = LabelResult(OVER_BUDGET, failure=f"{what} of {self.day} is used up")
        request.finish(result, request.effective_pi or 0.0)


def _undecided(requests: Iterable[LabelRequest]) -> list[LabelRequest]:
    return [request for request in requests if request.is_undecided]


def _firsts(
    new: Collection[LabelRequest], known: Collection[LabelRequest]
) -> tuple[list[LabelRequest], frozenset[StoryKey]]:
    """Return those of these that are not copies of one that may bring a label, or of each other;
    and the stories that have copies here.

    The copies stay undecided: without a label for the first of them the next one is asked about."""
    if not new:
        return [], frozenset()
    pending = StoryWindow(len(known) + len(new))
    for request in known:
        if request.may_bring_label:
            pending.put(request.story)
    firsts, awaited = [], set()
    for request in new:
        story = request.story
        first = None if request.is_anchor else pending.earliest_of(story)
        if first is not None:
            awaited.add(first.key)
            continue
        firsts.append(request)
        if not request.is_anchor:
            pending.put(story)
    return firsts, frozenset(awaited)


class _Promised:
    """Calls of requests that are admitted and not begun, and what they usually cost."""

    def __init__(self, requests: Iterable[LabelRequest]) -> None:
        self.calls = 0
        self.usd = 0.0
        self._of: dict[str | None, tuple[int, float]] = {}
        for request in requests:
            if request.needs_call and request.task is None:
                calls, usd = self.of(request.source)
                self._of[request.source] = calls + 1, usd + request.expected_usd
                self.calls += 1
                self.usd += request.expected_usd

    def of(self, source: str | None) -> tuple[int, float]:
        """The calls of one source, and what they usually cost."""
        return self._of.get(source, (0, 0.0))
