"""Claims each call from the budget before it is made, and gives back what was not used.

The stream's requests and the articles of a file are claimed for in the same way: on a draft of the
budget, which its owner puts on record, in a transaction or a file of claims, before the calls
begin. A process that is killed in between leaves a claim behind, and no call that nobody knows of.
Which article may be claimed for is the owner's decision; that of records this module knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import Enum, auto
from typing import Final, NamedTuple, TypeVar

from newsieve.oracle.budget import Budget, Ledger
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.failure_streak import ANY_FAILURES
from newsieve.oracle.labeling_task import FAILED_CALLS, LabelingTask
from newsieve.oracle.oracle_spec import OracleSpec
from newsieve.oracle.pending_label import PendingLabel

# Articles that are claimed and not settled, per call at a time: how many a slow one holds up.
WINDOW: Final = 2
NO_FURTHER_CALL: Final = "the budget has no further call for it"

Pending = TypeVar("Pending", bound=PendingLabel)


def window(concurrency: int, pending: Iterable[PendingLabel]) -> int:
    """Return how many of these are begun at a time.

    Where one waits for how others fare, there are as many more as that can take: some in each of
    its calls.
    """
    is_waited = any(item.waits_for_others for item in pending)
    more = max(ANY_FAILURES, FAILED_CALLS * concurrency) if is_waited else 0
    return WINDOW * concurrency + more


def are_withheld(pool: CallPool, pending: Collection[PendingLabel]) -> bool:
    """Whether these, of which there is one at least, are all withheld and no call is pending: then
    nothing that they could be compared with is still to come."""
    return bool(pending) and not pool.pending and all(item.is_withheld for item in pending)


class Admission(Enum):
    """What is decided about an article that needs a call."""

    CLAIM = auto()
    SKIP = auto()  # not now, or not at all
    STOP = auto()  # nor for those behind it


class _Draft(NamedTuple):
    """A claim that is not on record. The call follows once it is."""

    pending: PendingLabel
    task: LabelingTask
    usd: float
    day: str


class ClaimingQueue:
    """The claims of one oracle, for use by its owner's thread only."""

    def __init__(self, oracle: OracleSpec, pool: CallPool) -> None:
        self.oracle = oracle
        self.pool = pool
        self._recorded: Budget | None = None
        self._budget: Budget | None = None
        self._drafts: list[_Draft] = []

    @property
    def budget(self) -> Budget:
        """The budget with everything that was claimed, given back and settled, on record or not."""
        if self._budget is None:
            raise RuntimeError("resume first")
        return self._budget

    def resume(self, budget: Budget) -> None:
        """Go on from the budget that is on record."""
        self._budget = self._recorded = budget

    def changes(self) -> dict[int, Ledger]:
        """Return the ledgers that have to be put on record, by partition."""
        if self._budget is None or self._recorded is None:
            return {}
        return self._budget.changes_since(self._recorded)

    def draft(
        self,
        pending: Iterable[Pending],
        decide: Callable[[Pending], Admission],
        day: str,
        *,
        may_begin: int,
    ) -> None:
        """Claim a call for as many of these as could be called now, in their order, but those last
        that can wait for others. `may_begin`: of those without a task at most so many."""
        room = self.pool.free_slots() - len(self._drafts)
        wanting = [item for item in pending if item.needs_call]
        wanting.sort(key=lambda item: item.task is not None and self.pool.can_wait(item.task))
        for item in wanting:
            task = item.task
            if room <= 0:
                return
            if task is None and may_begin <= 0:
                continue
            if task is not None and task.has_claim:
                self.pool.start(task)
                room -= 1
                continue
            admission = decide(item)
            if admission is Admission.STOP:
                return
            if admission is Admission.CLAIM:
                self._claim(item, day)
                room -= 1
                may_begin -= task is None

    def recorded(self) -> None:
        """Make the calls that were drafted: their claims, and all changes, are on record."""
        drafts, self._drafts = self._drafts, []
        self._recorded = self._budget
        for draft in drafts:
            draft.task.claimed(draft.usd, draft.day)
            self.pool.start(draft.task)

    def withdraw(self) -> None:
        """Take back the drafts, whose claims could not be put on record. Other changes stay."""
        for draft in self._drafts:
            pending = draft.pending
            self._budget = self.budget.give_back(
                *pending.claim_place, 1, draft.usd, draft.day, pending.source
            )
        _drop(self._drafts)

    def discard(self) -> None:
        """Forget what is not on record: claims, what was given back and what was settled."""
        self._budget = self._recorded
        _drop(self._drafts)

    def with_claims(self, pending: Iterable[PendingLabel]) -> list[PendingLabel]:
        """Return those whose claims are drafted or under way: some of them may come back."""
        under_way = [item for item in pending if item.is_under_way]
        return [draft.pending for draft in self._drafts] + under_way

    def fail(self, task: LabelingTask) -> None:
        """End a task that needs another call, for want of budget."""
        self.pool.fail(task, NO_FURTHER_CALL)

    def lost_calls(self, item: PendingLabel) -> int:
        """Return how many calls for it are on record whose answers nobody here knows."""
        claims = self.budget.claims_of(*item.claim_place)
        return max(claims - (item.task.claims if item.task is not None else 0), 0)

    def give_back(self, item: PendingLabel) -> None:
        """Give back what of its claims was not used, in calls and in money."""
        task = item.task
        if task is None:
            return
        unspent = max(task.claimed_usd - task.cost_usd, 0.0)
        unused = task.claims - task.calls
        self._budget = self.budget.give_back(
            *item.claim_place, unused, unspent, task.claimed_on, item.source
        )

    def settle(self, item: PendingLabel, *, is_early: bool = False) -> None:
        """End its claims: its label has its record or its line. `is_early`: it comes again, since
        others before it have no record."""
        self._budget = self.budget.settle(*item.claim_place, is_early=is_early)

    def release_unused(self, pending: Iterable[PendingLabel]) -> None:
        """Give back the claims of all these whose call is not under way."""
        for item in pending:
            if item.task is not None and item.is_begun and not self.pool.cancel(item.task):
                self.give_back(item)

    def _claim(self, item: PendingLabel, day: str) -> None:
        if item.label_prompt is None:
            raise RuntimeError("nothing is asked about it")
        usd = self.oracle.max_usd(item.label_prompt)
        self._budget = self.budget.claim(*item.claim_place, usd, day, item.source)
        item.task = item.task or LabelingTask(item.label_prompt, self.oracle.prices)
        self._drafts.append(_Draft(item, item.task, usd, day))


def _drop(drafts: list[_Draft]) -> None:
    """Forget the drafts, and the tasks that were begun with them."""
    for draft in drafts:
        if not draft.task.claims:
            draft.pending.task = None
    drafts.clear()
