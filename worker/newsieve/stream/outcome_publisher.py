"""Puts outcomes into the open transaction, a dead letter where a record cannot be written.

Counts dead letters against the limits. Knows nothing of offsets, epochs or when to commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from newsieve.errors import OutputTooLarge
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.dead_letter import RecordPosition, Writer, dead_letter
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.records.oversize_letter import OversizeLetters, abridged
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.outcome import DEAD_LETTER, Outcome
from newsieve.stream.published import Published


class OutcomePublisher:
    """Publishes the outcomes of consumed records. Use from the thread of the loop only."""

    def __init__(
        self,
        producer: TransactionalProducer,
        limits: DeadLetterLimiter,
        writer: Writer,
        now: Callable[[], str],
        published: Published | None = None,
        oversize: OversizeLetters = "truncate",
    ) -> None:
        """`now` gives the time in ISO 8601; what is `published` is not published again; `oversize`
        says what part of a record is kept that is too large for a dead letter."""
        self._producer = producer
        self._limits = limits
        self._writer = writer
        self._now = now
        self._published = published
        self._oversize: OversizeLetters = oversize

    def publish(
        self, record: RawRecord, position: RecordPosition, outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Publish all outcomes of the record that was consumed at this position, or none of them.

        Returns them as they were published. Raises DeadLetterLimit before anything is published,
        and what `TransactionalProducer.produce` raises.
        """
        outcomes = [self._fitting(record, position, outcome) for outcome in outcomes]
        self._limits.check(outcomes)
        if self._published is not None:
            outcomes = [_without_what_is_on_record(item, self._published) for item in outcomes]
        for outcome in outcomes:
            for written in outcome.records:
                self._producer.produce(written)
        return outcomes

    def committed(self) -> None:
        """Note that what was published is committed."""
        self._limits.committed()
        if self._published is not None:
            self._published.committed()

    def rolled_back(self) -> None:
        """Forget what was published since the last commit: it comes again."""
        self._limits.rolled_back()
        if self._published is not None:
            self._published.rolled_back()

    def _fitting(self, record: RawRecord, position: RecordPosition, outcome: Outcome) -> Outcome:
        """The outcome as it is, or a dead letter where it cannot be written."""
        error = outcome.error or self._misfit(outcome.records)
        if error is None:
            return outcome
        letter = dead_letter(record, position, error, outcome.filter, self._writer, self._now())
        if self._misfit([letter]) is not None:
            letter = abridged(letter, self._producer.max_message_bytes, self._oversize)
        return Outcome(outcome.filter, DEAD_LETTER, None, [letter], error)

    def _misfit(self, records: list[OutRecord]) -> OutputTooLarge | None:
        try:
            self._producer.require_fit(records)
        except OutputTooLarge as error:
            return error
        return None


def _without_what_is_on_record(outcome: Outcome, published: Published) -> Outcome:
    kept = [record for record in outcome.records if published.admit(record)]
    return outcome._replace(records=kept, is_on_record=len(kept) < len(outcome.records))
