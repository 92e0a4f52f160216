"""The requests at hand, from the decision whether the budget has a call for them to their verdict.

Works on a draft of the budget: what was claimed or settled counts once it is committed, and is
forgotten otherwise. Answers are not forgotten: a case that was begun waits for its request to come
again. Knows nothing of Kafka but partitions and offsets, and when to commit is not its business.
"""

from __future__ import annotations

from collections.abc import Collection

from newsieve.filters.rendering import render
from newsieve.oracle.budget import Budget, Ledger
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.draw_order import DrawPositions
from newsieve.oracle.label_cache import CacheKey, LabelCache, config_key
from newsieve.oracle.label_request import LabelRequest, PendingClaim, Promised
from newsieve.oracle.labeling_task import LabelingTask, LabelResult
from newsieve.oracle.oracle_spec import NO_FURTHER_CALL, OracleSpec, window
from newsieve.oracle.priority_sampling import select_within_budget
from newsieve.oracle.records import ParsedRequest


class RequestQueue:
    """Of one oracle. Owner's thread only."""

    def __init__(
        self, oracle: OracleSpec, pool: CallPool, cache: LabelCache, draw_positions: DrawPositions
    ) -> None:
        self.oracle = oracle
        self.pool = pool
        self.cache = cache
        self._draw_positions = draw_positions
        self._requests: dict[tuple[int, int], LabelRequest] = {}  # in the order they came
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
    def requests(self) -> Collection[LabelRequest]:
        return self._requests.values()

    def resume(self, budget: Budget) -> None:
        """Go on from what is on record."""
        self._budget = self._committed = budget

    def add(self, partition: int, offset: int, parsed: ParsedRequest) -> LabelRequest:
        """A request has come, perhaps again. Raises InvalidRequest for one that nobody drew."""
        request = self._begun.pop((partition, offset), None)
        if request is None:
            draw_position = self._draw_positions.position_of(parsed.request)
            article, prices = parsed.request.article, self.oracle.prices
            config = config_key(self.oracle.config.key(parsed.prompt, ""))
            text = CacheKey(article.id, article.content_hash, config)
            label_prompt = parsed.prompt.for_article(
                article.id, render(article.title, article.content)
            )
            expected, most = map(
                prices.cost_usd,
                (prices.expected_tokens(label_prompt), prices.max_tokens(label_prompt)),
            )
            request = LabelRequest(
                partition, offset, parsed, draw_position, text, label_prompt, expected, most
            )
        self._requests[partition, offset] = request
        return request

    def admit(self, today: str) -> None:
        """For every request that is new: is there a label already, or a call left for it?"""
        self._day = self.budget.today(today)
        for request in self._undecided():
            request.is_published = self.is_published(request)
        for request in self._undecided():
            known = None if request.is_anchor else self.cache.get(request.text)
            if known is not None:
                request.finish(known, request.parsed.request.sampling.pi)
        requests = self._undecided()
        promised = Promised(self.requests)

        def can_afford(n: int, usd: float) -> bool:
            return self.budget.can_afford(promised.usd + usd, self._day, promised.calls + n)

        def can_afford_for(source: str, n: int, usd: float) -> bool:
            calls, more = promised.of(source)
            return self.budget.can_afford_for(source, more + usd, self._day, calls + n)

        decisions = select_within_budget(
            [request.candidate for request in requests], can_afford, can_afford_for
        )
        for request, decision in zip(requests, decisions, strict=True):
            request.effective_pi = decision.effective_pi
            if not decision.is_kept:
                self._drop(request, is_sources=decision.is_cut_by_source)

    def draft_claims(self, *, only_begun: bool = False) -> None:
        """Claim a call for as many cases as could be called now, in their order."""
        room = self.pool.free_slots() - len(self._drafts)
        begun, room_for = self._begun_and_window()
        for request in self._in_turn():
            if room <= 0:
                return
            if request.task is None and (only_begun or begun >= room_for):
                continue
            if self._is_answered_elsewhere(request):
                continue
            if request.task is not None and request.task.has_claim:
                self.pool.start(request.task)
                room -= 1
            elif self._claim(request):
                room -= 1
                begun += 1

    def is_all_withheld(self) -> bool:
        """Nobody else can be asked, and so compared with, before what is withheld is decided."""
        begun, room_for = self._begun_and_window()
        open_ = [
            request
            for request in self.requests
            if request.task is not None and not request.is_finished
        ]
        is_full = begun >= room_for and bool(open_)
        return is_full and not self.pool.pending and all(request.is_withheld for request in open_)

    def is_active(self) -> bool:
        """Whether a call is under way, or could be for what is begun."""
        return self.pool.in_flight > 0 or (
            self.pool.free_slots() > 0
            and any(request.needs_call and request.is_begun for request in self.requests)
        )

    def remaining_budget(self) -> tuple[int, float]:
        """Calls and USD of today's budget, of the shares that are ours."""
        return self.budget.calls_left(self._day), self.budget.usd_left(self._day)

    def is_published(self, request: LabelRequest) -> bool:
        """Whether its record is there already, by whoever had the partition, or by us where we did
        not hear that a commit was done."""
        return self.budget.is_published(request.partition, request.offset)

    def lost_calls(self, request: LabelRequest) -> int:
        """Calls on record for it that nobody here knows the answers of."""
        claims = self.budget.claims_of(request.partition, request.offset)
        return max(claims - (request.task.claims if request.task is not None else 0), 0)

    def settle(self, request: LabelRequest, *, is_early: bool = False) -> None:
        """Its record is in the open transaction, perhaps before its turn."""
        task = request.task
        if task is not None:
            self._give_back(request, task, task.claims - task.calls)
        self._budget = self.budget.settle(request.partition, request.offset, is_early=is_early)
        self._settled[request.partition, request.offset] = self._requests.pop(
            (request.partition, request.offset)
        )

    def release_unused_claims(self, partitions: Collection[int] | None = None) -> None:
        """Of these partitions, or all: claims for calls that are not under way are not needed."""
        for request in self.requests:
            if partitions is not None and request.partition not in partitions:
                continue
            task = request.task
            if task is not None and request.is_begun and not self.pool.cancel(task):
                self._give_back(request, task, task.claims - task.calls)

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
            draft.task.claimed(draft.usd, self._day)
            self.pool.start(draft.task)

    def discard_uncommitted(self) -> None:
        """Nothing since the last commit counts; the same requests will come again."""
        self._budget = self._committed
        for draft in self._drafts:
            if not draft.task.claims:
                draft.request.task = None
        self._drafts.clear()
        known = self._requests | self._settled
        self._begun |= {at: request for at, request in known.items() if request.task is not None}
        self._requests.clear()
        self._settled.clear()

    def drop_partitions(self, partitions: Collection[int] | None) -> None:
        """These partitions, or all, are somebody else's now."""
        for requests in (self._requests, self._begun, self._settled):
            for at, request in list(requests.items()):
                if partitions is None or request.partition in partitions:
                    if request.task is not None:
                        self.pool.cancel(request.task)
                    del requests[at]

    def _begun_and_window(self) -> tuple[int, int]:
        """How many cases are begun, and how many may be."""
        begun = sum(1 for request in self.requests if request.task is not None)
        is_waited = any(request.waits_for_others for request in self.requests)
        return begun, window(self.oracle.concurrency, is_waited=is_waited)

    def _in_turn(self) -> list[LabelRequest]:
        """Those that want a call, in their order, but for those who can wait for others."""
        wanting = [request for request in self.requests if request.needs_call]
        return sorted(wanting, key=lambda x: x.task is not None and self.pool.can_wait(x.task))

    def _undecided(self) -> list[LabelRequest]:
        return [request for request in self.requests if request.is_undecided]

    def _is_answered_elsewhere(self, request: LabelRequest) -> bool:
        """The same text, twice at hand: the second is answered from the first."""
        if request.is_anchor or request.task is not None:
            return False
        known = self.cache.get(request.text)
        if known is not None:
            request.finish(known, request.parsed.request.sampling.pi)
            return True
        return any(
            other.text == request.text and other.task is not None and not other.is_anchor
            for other in (*self.requests, *self._settled.values())
        )

    def _claim(self, request: LabelRequest) -> bool:
        """Whether a call could be claimed, at the most it can cost."""
        source = request.draw_position.source
        promised = Promised(() if request.task is None else self.requests)
        if not (
            self.budget.can_afford(0.0, self._day, promised.calls + 1)
            and self.budget.can_afford_for(source, 0.0, self._day, promised.of(source)[0] + 1)
        ):
            if request.task is not None:
                self.pool.fail(request.task, NO_FURTHER_CALL)
            else:
                request.effective_pi = None  # a share went to another oracle: admit again
            return False
        fits_source = self.budget.can_afford_for(source, request.max_usd, self._day)
        if not (fits_source and self.budget.can_afford(request.max_usd, self._day)):
            others = [draft.request for draft in self._drafts]
            others += [other for other in self.requests if other.is_under_way]
            # Of what is set aside for them, some will come back.
            if not any(fits_source or other.draw_position.source == source for other in others):
                self._go_without(request, is_sources=not fits_source)
            return False
        self._budget = self.budget.claim(
            request.partition, request.offset, request.max_usd, self._day, source
        )
        request.task = request.task or LabelingTask(request.label_prompt, self.oracle.prices)
        self._drafts.append(PendingClaim(request, request.task, request.max_usd))
        return True

    def _go_without(self, request: LabelRequest, *, is_sources: bool) -> None:
        if request.task is not None:
            self.pool.fail(request.task, NO_FURTHER_CALL)
        else:
            self._drop(request, is_sources=is_sources)

    def _drop(self, request: LabelRequest, *, is_sources: bool) -> None:
        """`is_sources`: there is budget left, and none of it for its source."""
        what = "its source's share of the budget" if is_sources else "the budget"
        result = LabelResult("over_budget", failure=f"{what} of {self._day} is used up")
        request.finish(result, request.effective_pi or 0.0)

    def _give_back(self, request: LabelRequest, task: LabelingTask, claims: int) -> None:
        """What of its claims was not used, in calls and in money."""
        unspent = max(task.claimed_usd - task.cost_usd, 0.0)
        self._budget = self.budget.give_back(
            request.partition,
            request.offset,
            claims,
            unspent,
            task.claimed_on,
            request.draw_position.source,
        )
