"""The outcome of one (raw record, filter): records to publish, or the error of a dead letter."""

from __future__ import annotations

from typing import Final, NamedTuple

from newsieve.errors import RecordError
from newsieve.records.encode import OutRecord

SCORED: Final = "scored"
BLOCKED: Final = "blocked"
DEAD_LETTER: Final = "dead_letter"


class Outcome(NamedTuple):
    """What became of one (raw record, filter).

    `filter` is None when the record could not be decoded. `is_on_record` says that the record for
    the tier topic was published before, so that it is not published again.
    """

    filter: str | None
    outcome: str
    tier: str | None
    records: list[OutRecord]
    error: RecordError | None
    blocked_by: str | None = None
    is_on_record: bool = False
