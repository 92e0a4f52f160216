"""Puts outcomes into the open transaction, a dead letter where a record cannot be written.

Counts dead letters against the limits. Knows nothing of offsets, epochs or when to commit.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.codec.abridged import OversizeLetters, abridged
from worker.codec.dead_letter import Place, Writer, dead_letter
from worker.codec.encode import OutRecord
from worker.errors import OutputTooLarge
from worker.kafka.transaction import Publisher
from worker.limits import Limits
from worker.published import Published
from worker.scoring import DEAD_LETTER, Outcome, Row


class Outbox:
    """Between the scoring path and the publisher. Owner thread only."""

    def __init__(
        self,
        publisher: Publisher,
        limits: Limits,
        writer: Writer,
        now: Callable[[], str],
        published: Published | None = None,
        oversize: OversizeLetters = "truncate",
    ) -> None:
        """`now` gives the time in ISO 8601; what is `published` is not published again; `oversize`
        says what of a record that is too large for a dead letter stands in it."""
        self._publisher = publisher
        self._limits = limits
        self._writer = writer
        self._now = now
        self._published = published
        self._oversize: OversizeLetters = oversize

    def put(self, row: Row, place: Place) -> list[Outcome]:
        """Publish all of a raw record's outcomes, or none; return them as published.

        Raises DeadLetterLimit before anything of it is published, and what `Publisher.produce`
        raises.
        """
        outcomes = [self._fitting(row, place, outcome) for outcome in row.outcomes]
        self._limits.check(outcomes)
        if self._published is not None:
            outcomes = [_without_what_is_on_record(item, self._published) for item in outcomes]
        for outcome in outcomes:
            for record in outcome.records:
                self._publisher.produce(record)
        return outcomes

    def committed(self) -> None:
        """What was put is committed."""
        self._limits.committed()
        if self._published is not None:
            self._published.committed()

    def rolled_back(self) -> None:
        """What was put since the last commit comes again."""
        self._limits.rolled_back()
        if self._published is not None:
            self._published.rolled_back()

    def _fitting(self, row: Row, place: Place, outcome: Outcome) -> Outcome:
        """The outcome as it stands; a dead letter instead when it cannot be written."""
        error = outcome.error or self._misfit(outcome.records)
        if error is None:
            return outcome
        letter = dead_letter(row.record, place, error, outcome.filter, self._writer, self._now())
        if self._misfit([letter]) is not None:
            letter = abridged(letter, self._publisher.max_message_bytes, self._oversize)
        return Outcome(outcome.filter, DEAD_LETTER, None, [letter], error)

    def _misfit(self, records: list[OutRecord]) -> OutputTooLarge | None:
        try:
            self._publisher.require_fit(records)
        except OutputTooLarge as error:
            return error
        return None


def _without_what_is_on_record(outcome: Outcome, published: Published) -> Outcome:
    kept = [record for record in outcome.records if published.admit(record)]
    return outcome._replace(records=kept, is_on_record=len(kept) < len(outcome.records))
