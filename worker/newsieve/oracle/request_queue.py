"""The requests at hand, from the decision whether the budget has a call for them to their verdict.

Works on a draft of the budget: what was claimed or settled counts once it is committed, and is
forgotten otherwise. Answers are not forgotten: a case that was begun waits for its request to come
again. Knows nothing of Kafka but partitions and offsets, and when to commit is not its business.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from newsieve.filters.rendering import render
from newsieve.oracle.budget import Budget, Ledger
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.draw_order import DrawPositions
from newsieve.oracle.failure_streak import ANY_FAILURES
from newsieve.oracle.label_cache import CacheKey, LabelCache, config_key
from newsieve.oracle.label_request import LabelRequest, PendingClaim, Promised
from newsieve.oracle.labeling_task import FAILED_CALLS, LabelingTask, LabelResult
from newsieve.oracle.priority_sampling import select_within_budget
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.base import Prices
from newsieve.oracle.records import ParsedRequest

# Cases that are claimed and not settled, per call at a time: how many a slow one holds up.
WINDOW: Final = 2
NO_FURTHER_CALL: Final = "the budget has no further call for it"


@dataclass(frozen=True, slots=True)
class OracleSpec:
    """Who is asked, with which prompts (by name/vN), and at what price."""

    asked: OracleConfig
    prompts: Mapping[str, Prompt]
    prices: Prices
    concurrency: int


def window(concurrency: int, *, is_waited: bool) -> int:
    """How many are begun at a time. Where one waits for how others fare, there are as many more as
    that can take: some in each of its calls."""
    more = max(ANY_FAILURES, FAILED_CALLS * concurrency) if is_waited else 0
    return WINDOW * concurrency + more


class RequestQueue:
    """Of one oracle. Owner's thread only."""

    def __init__(
        self, oracle: OracleSpec, desk: CallPool, memory: LabelCache, standings: DrawPositions
    ) -> None:
        self.oracle = oracle
        self.desk = desk
        self.memory = memory
        self._standings = standings
        self._cases: dict[tuple[int, int], LabelRequest] = {}  # in the order they came
        self._begun: dict[tuple[int, int], LabelRequest] = {}  # whose requests will come again
        self._settled: dict[tuple[int, int], LabelRequest] = {}  # in what is not committed
        self._committed: Budget | None = None
        self._budget: Budget | None = None
        self._drafts: list[PendingClaim] = []
        self._day = ""

    @property
    def budget(self) -> Budget:
        if self._budget is None:
            raise RuntimeError("resume first")
        return self._budget

    @property
    def cases(self) -> Collection[LabelRequest]:
        return self._cases.values()

    def resume(self, budget: Budget) -> None:
        """Go on from what is on record."""
        self._budget = self._committed = budget

    def open(self, partition: int, offset: int, asking: ParsedRequest) -> LabelRequest:
        """A request has come, perhaps again. Raises InvalidRequest for one that nobody drew."""
        case = self._begun.pop((partition, offset), None)
        if case is None:
            standing = self._standings.of(asking.request)
            article, prices = asking.request.article, self.oracle.prices
            way = config_key(self.oracle.asked.key(asking.prompt, ""))
            text = CacheKey(article.id, article.content_hash, way)
            question = asking.prompt.question(article.id, render(article.title, article.content))
            usual, most = map(prices.cost_usd, (prices.usual(question), prices.most(question)))
            case = LabelRequest(partition, offset, asking, standing, text, question, usual, most)
        self._cases[partition, offset] = case
        return case

    def admit(self, today: str) -> None:
        """For every request that is new: is there a label already, or a call left for it?"""
        self._day = self.budget.today(today)
        for case in self._undecided():
            case.is_published = self.is_published(case)
        for case in self._undecided():
            known = None if case.is_anchor else self.memory.recall(case.text)
            if known is not None:
                case.close(known, case.asking.request.sampling.pi)
        cases = self._undecided()
        promised = Promised(self.cases)

        def affords(n: int, usd: float) -> bool:
            return self.budget.affords(promised.usd + usd, self._day, promised.calls + n)

        def affords_of(source: str, n: int, usd: float) -> bool:
            calls, more = promised.of(source)
            return self.budget.affords_of(source, more + usd, self._day, calls + n)

        decisions = select_within_budget([case.candidate for case in cases], affords, affords_of)
        for case, decision in zip(cases, decisions, strict=True):
            case.effective_pi = decision.effective_pi
            if not decision.is_kept:
                self._drop(case, is_sources=decision.is_cut_by_source)

    def draft_claims(self, *, only_begun: bool = False) -> None:
        """Claim a call for as many cases as could be called now, in their order."""
        room = self.desk.room() - len(self._drafts)
        begun, room_for = self._begun_and_window()
        for case in self._in_turn():
            if room <= 0:
                return
            if case.interview is None and (only_begun or begun >= room_for):
                continue
            if self._is_answered_elsewhere(case):
                continue
            if case.interview is not None and case.interview.has_claim:
                self.desk.start(case.interview)
                room -= 1
            elif self._claim(case):
                room -= 1
                begun += 1

    def is_all_withheld(self) -> bool:
        """Nobody else can be asked, and so compared with, before what is withheld is decided."""
        begun, room_for = self._begun_and_window()
        open_ = [case for case in self.cases if case.interview is not None and not case.is_finished]
        is_full = begun >= room_for and bool(open_)
        return is_full and not self.desk.busy and all(case.is_withheld for case in open_)

    def is_active(self) -> bool:
        """Whether a call is under way, or could be for what is begun."""
        return self.desk.calling > 0 or (
            self.desk.room() > 0 and any(case.wants_claim and case.is_begun for case in self.cases)
        )

    def left(self) -> tuple[int, float]:
        """Calls and USD of today's budget, of the shares that are ours."""
        return self.budget.calls_left(self._day), self.budget.usd_left(self._day)

    def is_published(self, case: LabelRequest) -> bool:
        """Whether its record is there already, by whoever had the partition, or by us where we did
        not hear that a commit was done."""
        return self.budget.is_published(case.partition, case.offset)

    def lost_calls(self, case: LabelRequest) -> int:
        """Calls on record for it that nobody here knows the answers of."""
        claims = self.budget.claims_of(case.partition, case.offset)
        return max(claims - (case.interview.claims if case.interview is not None else 0), 0)

    def settle(self, case: LabelRequest, *, is_early: bool = False) -> None:
        """Its record is in the open transaction, perhaps before its turn."""
        interview = case.interview
        if interview is not None:
            self._give_back(case, interview, interview.claims - interview.calls)
        self._budget = self.budget.close(case.partition, case.offset, is_early=is_early)
        self._settled[case.partition, case.offset] = self._cases.pop((case.partition, case.offset))

    def put_down(self, partitions: Collection[int] | None = None) -> None:
        """Of these partitions, or all: claims for calls that are not under way are not needed."""
        for case in self.cases:
            if partitions is not None and case.partition not in partitions:
                continue
            interview = case.interview
            if interview is not None and case.is_begun and not self.desk.abandon(interview):
                self._give_back(case, interview, interview.claims - interview.calls)

    def changes(self) -> dict[int, Ledger]:
        """The ledgers that have to be put on record, by partition."""
        if self._budget is None or self._committed is None:
            return {}
        return self._budget.changes_since(self._committed)

    def committed(self) -> None:
        """What was drafted is on record: call."""
        drafts, self._drafts = self._drafts, []
        self._committed = self._budget
        self._settled.clear()
        for draft in drafts:
            draft.interview.claimed(draft.usd, self._day)
            self.desk.start(draft.interview)

    def forget(self) -> None:
        """Nothing since the last commit counts; the same requests will come again."""
        self._budget = self._committed
        for draft in self._drafts:
            if not draft.interview.claims:
                draft.case.interview = None
        self._drafts.clear()
        known = self._cases | self._settled
        self._begun |= {at: case for at, case in known.items() if case.interview is not None}
        self._cases.clear()
        self._settled.clear()

    def release(self, partitions: Collection[int] | None) -> None:
        """These partitions, or all, are somebody else's now."""
        for cases in (self._cases, self._begun, self._settled):
            for at, case in list(cases.items()):
                if partitions is None or case.partition in partitions:
                    if case.interview is not None:
                        self.desk.abandon(case.interview)
                    del cases[at]

    def _begun_and_window(self) -> tuple[int, int]:
        """How many cases are begun, and how many may be."""
        begun = sum(1 for case in self.cases if case.interview is not None)
        is_waited = any(case.waits_for_others for case in self.cases)
        return begun, window(self.oracle.concurrency, is_waited=is_waited)

    def _in_turn(self) -> list[LabelRequest]:
        """Those that want a call, in their order, but for those who can wait for others."""
        wanting = [case for case in self.cases if case.wants_claim]
        return sorted(
            wanting, key=lambda x: x.interview is not None and self.desk.can_wait(x.interview)
        )

    def _undecided(self) -> list[LabelRequest]:
        return [case for case in self.cases if case.is_undecided]

    def _is_answered_elsewhere(self, case: LabelRequest) -> bool:
        """The same text, twice at hand: the second is answered from the first."""
        if case.is_anchor or case.interview is not None:
            return False
        known = self.memory.recall(case.text)
        if known is not None:
            case.close(known, case.asking.request.sampling.pi)
            return True
        return any(
            other.text == case.text and other.interview is not None and not other.is_anchor
            for other in (*self.cases, *self._settled.values())
        )

    def _claim(self, case: LabelRequest) -> bool:
        """Whether a call could be claimed, at the most it can cost."""
        source = case.standing.source
        promised = Promised(() if case.interview is None else self.cases)
        if not (
            self.budget.affords(0.0, self._day, promised.calls + 1)
            and self.budget.affords_of(source, 0.0, self._day, promised.of(source)[0] + 1)
        ):
            if case.interview is not None:
                self.desk.give_up(case.interview, NO_FURTHER_CALL)
            else:
                case.effective_pi = None  # a share went to another oracle: admit again
            return False
        fits_source = self.budget.affords_of(source, case.most_usd, self._day)
        if not (fits_source and self.budget.affords(case.most_usd, self._day)):
            others = [draft.case for draft in self._drafts]
            others += [other for other in self.cases if other.is_under_way]
            # Of what is set aside for them, some will come back.
            if not any(fits_source or other.standing.source == source for other in others):
                self._go_without(case, is_sources=not fits_source)
            return False
        self._budget = self.budget.claim(
            case.partition, case.offset, case.most_usd, self._day, source
        )
        case.interview = case.interview or LabelingTask(case.question, self.oracle.prices)
        self._drafts.append(PendingClaim(case, case.interview, case.most_usd))
        return True

    def _go_without(self, case: LabelRequest, *, is_sources: bool) -> None:
        if case.interview is not None:
            self.desk.give_up(case.interview, NO_FURTHER_CALL)
        else:
            self._drop(case, is_sources=is_sources)

    def _drop(self, case: LabelRequest, *, is_sources: bool) -> None:
        """`is_sources`: there is budget left, and none of it for its source."""
        what = "its source's share of the budget" if is_sources else "the budget"
        verdict = LabelResult("over_budget", failure=f"{what} of {self._day} is used up")
        case.close(verdict, case.effective_pi or 0.0)

    def _give_back(self, case: LabelRequest, interview: LabelingTask, claims: int) -> None:
        """What of its claims was not used, in calls and in money."""
        unspent = max(interview.claimed_usd - interview.cost_usd, 0.0)
        self._budget = self.budget.give_back(
            case.partition,
            case.offset,
            claims,
            unspent,
            interview.claimed_on,
            case.standing.source,
        )
