"""The open transaction of a labelling loop: the records of requests that are put into it.

What it holds counts once it is committed, and is forgotten otherwise. Offsets, claims and the
commit itself are the loop's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from newsieve.oracle.label_cache import CacheKey
from newsieve.oracle.label_request import LabelRequest
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.records import LabelMetadata, ScoreEncoder
from newsieve.oracle.request_queue import RequestQueue
from newsieve.oracle.story_window import Story
from newsieve.programs.labeling.backlog import PendingRequest
from newsieve.records.dead_letter import RecordPosition
from newsieve.stream.outcome import DEAD_LETTER, Outcome
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.transaction_counts import TransactionCounts


@dataclass(slots=True)
class _Uncommitted:
    """What the open transaction holds beside its records."""

    counts: TransactionCounts = field(default_factory=TransactionCounts)
    labelled: list[tuple[CacheKey, LabelResult, str, Story | None]] = field(default_factory=list)


class LabelTransaction:
    """Publishes the records of one loop's requests, for use by the loop's thread only."""

    def __init__(
        self,
        publisher: OutcomePublisher,
        encoder: ScoreEncoder,
        queue: RequestQueue,
        now: Callable[[], str],
    ) -> None:
        """`now` gives the time in ISO 8601, in UTC."""
        self._publisher = publisher
        self._encoder = encoder
        self._queue = queue
        self._now = now
        self._uncommitted = _Uncommitted()

    def publish(self, item: PendingRequest, *, is_early: bool = False) -> None:
        """Put a request's record, or its dead letter, into the open transaction."""
        record, request = item.taken.record, item.request
        if record is None:
            self._uncommitted.counts.tombstones += 1
            return
        if request is not None and self._queue.is_published(request):
            self._queue.settle(request)
            return
        if request is None or request.result is None:
            outcome = Outcome(None, DEAD_LETTER, None, [], item.error)
        else:
            outcome = self._outcome(request, request.result)
        position = RecordPosition(*item.taken.partition, item.taken.offset)
        self._uncommitted.counts.add(record, self._publisher.publish(record, position, [outcome]))
        if request is not None:
            self._queue.settle(request, is_early=is_early)

    def committed(self) -> TransactionCounts:
        """Remember the labels that are committed. Return what the transaction held."""
        self._publisher.committed()
        for label in self._uncommitted.labelled:
            self._queue.cache.put(*label)
        counts, self._uncommitted = self._uncommitted.counts, _Uncommitted()
        return counts

    def rolled_back(self) -> None:
        """Forget what is not committed."""
        self._publisher.rolled_back()
        self._uncommitted = _Uncommitted()

    def _outcome(self, request: LabelRequest, result: LabelResult) -> Outcome:
        now, read = self._now(), request.parsed.request
        pi = request.effective_pi if request.effective_pi is not None else read.sampling.pi
        metadata = LabelMetadata(pi, self._queue.claims.lost_calls(request), now)
        record, tier = self._encoder.encode(
            request.parsed, result, metadata, None if request.is_anchor else request.sketch
        )
        story = None if request.is_anchor else request.story
        self._uncommitted.labelled.append((request.text, result, now, story))
        return Outcome(read.filter, result.status, tier, [record], None)
