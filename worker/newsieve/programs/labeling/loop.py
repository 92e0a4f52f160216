"""The oracle's loop: requests in, exactly one OracleScore out for each.

    poll → admit (budget) → claim, committed → call → publish with the offset, committed

No call is made inside a transaction, and none before its claim is on record. A process that is
killed after the answer and before its commit leaves the claim behind: the next owner of the
partition asks again, and the record says that a call was made whose answer was lost. After a rewind
nothing is asked again: the queue keeps answers until their records are committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from newsieve.deadline import Deadline
from newsieve.errors import FilterNotLoaded, OracleRejects, RecordError
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import GroupRecord
from newsieve.oracle.label_request import LabelRequest
from newsieve.oracle.records import ScoreEncoder, read_request
from newsieve.oracle.request_queue import RequestQueue
from newsieve.programs.labeling.backlog import Backlog, PendingRequest
from newsieve.programs.labeling.budget_store import BudgetStore
from newsieve.programs.labeling.events import LabelObserver
from newsieve.programs.labeling.transaction import LabelTransaction
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.outcome_publisher import OutcomePublisher

IDLE_SECONDS: Final = 0.25  # how long an idle oracle waits for a request
COLLECT_SECONDS: Final = 0.05  # how long a step waits for a response
GATHER_SECONDS: Final = 1.0  # how long requests that come together are gathered at most
DAY_CHARACTERS: Final = len("2026-11-22")  # of a time in ISO 8601


class LabelingLoop:
    """The labelling loop, and its state between steps. The runner calls it, on one thread."""

    def __init__(
        self,
        runner: ExactlyOnceRunner,
        publisher: OutcomePublisher,
        queue: RequestQueue,
        encoder: ScoreEncoder,
        budget_store: BudgetStore,
        observer: LabelObserver,
        now: Callable[[], str],
        drain_seconds: float,
    ) -> None:
        """`now` gives the time in ISO 8601, in UTC."""
        self._runner = runner
        self._transaction = LabelTransaction(publisher, encoder, queue, now)
        self._queue = queue
        self._budget_store = budget_store
        self._observer = observer
        self._now = now
        self._drain_seconds = drain_seconds
        self._backlog = Backlog(runner.consumer, runner.consumer.offsets.owned)
        self._known: frozenset[Partition] | None = None  # partitions whose ledgers are restored
        self._gathering_since: float | None = None

    def step(self) -> None:
        """Poll, admit, collect, publish, claim and commit once.

        Raises Unavailable, with no transaction open unless its commit failed, or Fatal.
        """
        self._poll_requests()
        self._observer.not_loaded(list(self._backlog.waiting))
        if not self._restore_budget():
            return
        if self._gathering_since is None:
            self._queue.admit(self._now()[:DAY_CHARACTERS])
        self._collect_responses(COLLECT_SECONDS)
        self._publish_finished()
        # Or two partitions could wait for each other, each with such a label behind a copy of the
        # other's.
        self._publish_early(lambda _, request: self._queue.admission.is_awaited(request))
        self._queue.draft_claims()
        self.commit()
        calls, usd = self._queue.remaining_budget()
        self._observer.backlog_measured(len(self._backlog), self._backlog.oldest_ms, calls, usd)

    def commit(self) -> None:
        """Commit what was published and the claims that are drafted, with the offsets; then make
        the calls."""
        offsets = self._runner.consumer.offsets.to_commit()
        changes = self._queue.claims.changes()
        if not offsets and not changes:
            return
        for partition, ledger in changes.items():
            self._runner.producer.produce(
                self._budget_store.ledger_record(partition, ledger, self._now())
            )
        for item in self._backlog.items:  # the offset of its partition fences a claim
            offset = self._runner.consumer.offsets.next_uncommitted(item.taken.partition)
            offsets.setdefault(
                item.taken.partition, item.taken.offset if offset is None else offset
            )
        if not offsets:
            return
        seconds = self._runner.commit(offsets)
        self._queue.committed()
        self._observer.committed(self._transaction.committed(), seconds)

    def drain(self, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Collect what is under way, ask nothing new, and commit."""
        deadline = Deadline(self._drain_seconds)

        def step() -> None:
            self._collect_responses(COLLECT_SECONDS)
            self._publish_finished()
            self._queue.draft_claims(only_begun=True)
            self.commit()

        while self._queue.is_active() and not deadline.is_over:
            self._observer.heartbeat()
            guarded(step)
        guarded(lambda: self._flush_finished(None))
        self._observer.drained(len(self._backlog))

    def on_partitions_revoked(self, partitions: Sequence[Partition], seconds: float) -> None:
        """Collect and commit what these partitions have under way. Raises as `commit`."""
        deadline = Deadline(seconds)
        while self._backlog.is_under_way(partitions) and not deadline.is_over:
            self._collect_responses(min(deadline.seconds_left, COLLECT_SECONDS))
        self._flush_finished(partitions)

    def on_abort(self) -> None:
        """Forget what is not committed; the same requests will come again."""
        self._queue.discard_uncommitted()
        self._transaction.rolled_back()
        self._backlog.clear()
        self._known = None
        self._gathering_since = None

    def on_partitions_lost(self, partitions: Sequence[Partition] | None) -> None:
        """Drop the requests of these partitions, or of all."""
        numbers = None if partitions is None else [number for _, number in partitions]
        self._queue.drop_partitions(numbers)
        self._backlog.drop_partitions(partitions)
        self._known = None

    def _poll_requests(self) -> None:
        """Poll as many requests as there is room for."""
        room = self._backlog.make_room()
        seconds = 0.0 if self._queue.pool.pending else IDLE_SECONDS
        taken = self._runner.poll(max(room, 1), seconds)
        if taken and room <= 1:
            self._backlog.pause()
        for item in taken:
            self._enqueue(item)
        self._gather(is_more=bool(taken) and room > len(taken))

    def _gather(self, *, is_more: bool) -> None:
        """Note since when requests keep coming: those that come together are admitted together."""
        now = time.monotonic()
        if not is_more:
            self._gathering_since = None
        elif self._gathering_since is None:
            self._gathering_since = now
        elif now - self._gathering_since > GATHER_SECONDS:
            self._gathering_since = None

    def _enqueue(self, taken: GroupRecord) -> None:
        """Put a record into the backlog, unless its partition waits: it will come again then."""
        if self._backlog.is_waiting(taken.partition):
            return
        request, error = None, None
        if taken.record is not None:
            try:
                parsed = read_request(taken.record, self._queue.oracle.prompts)
                request = self._queue.add(taken.partition[1], taken.offset, parsed)
                if request.draw_position.other_key is not None:
                    self._observer.other_key(request.draw_position.other_key)
            except RecordError as failure:
                error = failure
            except FilterNotLoaded as failure:
                self._backlog.wait(taken, str(failure))
                return
        self._backlog.items.append(PendingRequest(taken, request, error))

    def _restore_budget(self) -> bool:
        """Read the ledgers of newly owned partitions. Return whether there are any partitions.
        Raises BrokerUnavailable."""
        owned = frozenset(self._runner.consumer.offsets.owned())
        if owned and owned != self._known:
            self._queue.claims.resume(self._budget_store.budget(sorted(owned)))
            for label in self._budget_store.labels():
                self._queue.cache.load_record(label)
            self._known = owned
        return bool(owned)

    def _collect_responses(self, seconds: float) -> None:
        """Collect responses, waiting at most so long. Raises OracleRejects, once everything that
        was answered, or was being answered, is committed."""
        try:
            self._queue.pool.collect(seconds)
            if self._queue.is_all_withheld():
                self._queue.pool.resolve_withheld()
        except OracleRejects:
            self._queue.pool.finish(self._drain_seconds, self._observer.heartbeat)
            self._flush_finished(None)
            raise

    def _publish_finished(self) -> None:
        """Publish the records of all finished requests, in each partition's order."""
        waiting: list[PendingRequest] = []
        held_up: set[Partition] = set()
        for item in self._backlog.items:
            partition, offset, epoch = item.taken[1:]
            if not self._runner.consumer.offsets.is_current(partition, epoch):
                continue
            is_finished = item.request is None or item.request.is_finished
            if is_finished and partition not in held_up:
                self._transaction.publish(item)
                self._runner.consumer.offsets.produce(partition, offset)
            else:
                held_up.add(partition)
                waiting.append(item)
        self._backlog.items = waiting

    def _publish_early(self, is_due: Callable[[Partition, LabelRequest], bool]) -> None:
        """Publish the records of these requests before their turn. The ledger says so: when it
        comes, here or at the next owner of the partition, nothing is asked or published again."""
        for item in self._backlog.items:
            partition, _, epoch = item.taken[1:]
            request = item.request
            if request is None or not is_due(partition, request):
                continue
            is_ours = self._runner.consumer.offsets.is_current(partition, epoch)
            if is_ours and not self._queue.is_published(request):
                self._transaction.publish(item, is_early=True)

    def _flush_finished(self, partitions: Sequence[Partition] | None) -> None:
        """Publish what is finished, give unused claims back, and commit. Raises as `commit`."""
        self._publish_finished()
        # Whoever asks again for what was paid for would pay again.
        self._publish_early(
            lambda partition, request: (
                request.is_paid_for and (partitions is None or partition in partitions)
            )
        )
        self._queue.release_unused_claims(
            None if partitions is None else [number for _, number in partitions]
        )
        self.commit()
