"""The queue of the stream's requests, from their admission until their records are committed.

Works on a draft of the budget: what was claimed or settled counts once it is committed, and is
forgotten otherwise. Answers are not forgotten: a request that was begun waits for its record to
come again. Knows nothing of Kafka but partitions and offsets, nor when to commit.
"""

from __future__ import annotations

from collections.abc import Collection

from newsieve.filters.rendering import render
from newsieve.filters.story_sketch import sketch
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.claiming_queue import Admission, ClaimingQueue, are_withheld, window
from newsieve.oracle.draw_order import DrawPositions
from newsieve.oracle.label_cache import CacheKey, LabelCache, config_key
from newsieve.oracle.label_request import LabelRequest
from newsieve.oracle.oracle_spec import OracleSpec
from newsieve.oracle.records import ParsedRequest
from newsieve.oracle.request_admission import RequestAdmission

Place = tuple[int, int]  # partition and offset of a request


class RequestQueue:
    """The requests of one oracle, for use by its owner's thread only."""

    def __init__(
        self, oracle: OracleSpec, pool: CallPool, cache: LabelCache, draw_positions: DrawPositions
    ) -> None:
        self.oracle = oracle
        self.pool = pool
        self.cache = cache
        self.claims = ClaimingQueue(oracle, pool)
        self._draw_positions = draw_positions
        self.admission = RequestAdmission(self.claims, cache)
        self._requests: dict[Place, LabelRequest] = {}  # in the order they came
        self._begun: dict[Place, LabelRequest] = {}  # whose records will come again
        self._settled: dict[Place, LabelRequest] = {}  # in what is not committed

    @property
    def requests(self) -> Collection[LabelRequest]:
        """The requests at hand, in the order they came."""
        return self._requests.values()

    def add(self, partition: int, offset: int, parsed: ParsedRequest) -> LabelRequest:
        """Add a request that has come, perhaps again. Raises InvalidRequest for one that the draw
        did not choose."""
        request = self._begun.pop((partition, offset), None)
        if request is None:
            draw_position = self._draw_positions.position_of(parsed.request)
            article, prompt = parsed.request.article, parsed.prompt
            config = config_key(self.oracle.config.key(prompt, ""))
            text = CacheKey(article.id, article.content_hash, config)
            rendered = render(article.title, article.content)
            label_prompt = prompt.for_article(article.id, rendered)
            expected_usd = self.oracle.expected_usd(label_prompt)
            request = LabelRequest(
                partition,
                offset,
                parsed,
                draw_position,
                text,
                sketch(rendered),
                label_prompt,
                expected_usd,
            )
        self._requests[partition, offset] = request
        return request

    def admit(self, today: str) -> None:
        """Decide about every request that is new: is there a label already, or a call left?"""
        self.admission.admit(self.requests, self._begun.values(), today)

    def draft_claims(self, *, only_begun: bool = False) -> None:
        """Claim a call for as many requests as could be called now, in their order."""
        may_begin = 0 if only_begun else self._room_to_begin()

        def decide(request: LabelRequest) -> Admission:
            return self.admission.decide(request, self.requests, self._settled.values())

        self.claims.draft(self.requests, decide, self.admission.day, may_begin=may_begin)

    def is_all_withheld(self) -> bool:
        """Whether nobody else can be asked, and so compared with, before what is withheld is
        decided."""
        open_ = [request for request in self.requests if request.is_begun]
        return self._room_to_begin() <= 0 and are_withheld(self.pool, open_)

    def is_active(self) -> bool:
        """Whether a call is under way, or could be for what is begun."""
        return self.pool.in_flight > 0 or (
            self.pool.free_slots() > 0
            and any(request.needs_call and request.is_begun for request in self.requests)
        )

    def remaining_budget(self) -> tuple[int, float]:
        """Return the calls and USD that are left of today's budget, of our own shares."""
        budget, day = self.claims.budget, self.admission.day
        return budget.calls_left(day), budget.usd_left(day)

    def is_published(self, request: LabelRequest) -> bool:
        """Whether its record is published already: by a former owner of the partition, or in a
        commit whose end this oracle does not know."""
        return self.claims.budget.is_published(request.partition, request.offset)

    def settle(self, request: LabelRequest, *, is_early: bool = False) -> None:
        """Take it from the queue: its record is in the open transaction, perhaps before its turn;
        then it is settled once more when that comes."""
        self.claims.give_back(request)
        self.claims.settle(request, is_early=is_early)
        self._requests.pop(request.claim_place, None)
        self._settled[request.claim_place] = request

    def release_unused_claims(self, partitions: Collection[int] | None = None) -> None:
        """Give back the claims, of these partitions or of all, whose calls are not under way."""
        self.claims.release_unused(
            request
            for request in self.requests
            if partitions is None or request.partition in partitions
        )

    def committed(self) -> None:
        """Make the calls whose claims are committed."""
        self._settled.clear()
        self.claims.recorded()

    def discard_uncommitted(self) -> None:
        """Forget everything since the last commit; the same requests will come again."""
        self.claims.discard()
        known = self._requests | self._settled
        self._begun |= {
            place: request for place, request in known.items() if request.task is not None
        }
        self._requests.clear()
        self._settled.clear()

    def drop_partitions(self, partitions: Collection[int] | None) -> None:
        """Drop the requests of these partitions, or of all: they are somebody else's now."""
        for requests in (self._requests, self._begun, self._settled):
            for place, request in list(requests.items()):
                if partitions is None or request.partition in partitions:
                    if request.task is not None:
                        self.pool.cancel(request.task)
                    del requests[place]

    def _room_to_begin(self) -> int:
        """How many more requests may be begun."""
        begun = sum(1 for request in self.requests if request.task is not None)
        return window(self.oracle.concurrency, self.requests) - begun
