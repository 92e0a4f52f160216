"""The note that is committed with an offset: how many records beyond it were in flight, and how
often processes died at them.

A process writes the note in the transaction that commits the offset, before it begins what the note
covers. The next owner of the partition reads it: a note that still covers records is one death at
them. Pure; it does not know which records are begun, nor what is committed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

ALONE_AFTER_DEATHS: Final = 2  # at the same stretch: from then on its records are taken one by one
# While one record alone was in flight. Once can be anybody's kill -9; twice in a row, at the one
# record out of millions, is the record.
BLAMED_AFTER_DEATHS: Final = 2
_FORM: Final = re.compile(
    r"newsieve-crash-note/1 in_flight=([0-9]{1,9}) deaths=([0-9]{1,9}) suspects=([0-9]{1,9}) "
    r"alone=(?:([0-9]{1,18}):([0-9]{1,9})|-) killed=([0-9]{1,9})"
)


class Note(NamedTuple):
    """What is noted about the records from a committed offset on. The default says nothing."""

    in_flight: int = 0  # at most so many of the next records; 0: nobody is at work on them
    deaths: int = 0  # of processes that were at work on this stretch
    suspects: int = 0  # how many of the next records were in flight then
    alone_at: int | None = None  # the offset of the only record that the whole process had in hand
    alone_deaths: int = 0  # of processes that had it in hand
    killed: int = 0  # records in a row just before this offset that were given up as KilledWorker

    @property
    def is_alone(self) -> bool:
        """Whether the next records have to be scored one by one."""
        return self.suspects > 0 and self.deaths >= ALONE_AFTER_DEATHS

    def blames(self, offset: int) -> bool:
        """Whether the record at this offset is the one that ended the processes."""
        return self.alone_at == offset and self.alone_deaths >= BLAMED_AFTER_DEATHS

    def text(self) -> str:
        """The note as it is committed, which `parse` reads."""
        alone = "-" if self.alone_at is None else f"{self.alone_at}:{self.alone_deaths}"
        return (
            f"newsieve-crash-note/1 in_flight={self.in_flight} deaths={self.deaths} "
            f"suspects={self.suspects} alone={alone} killed={self.killed}"
        )

    def covering(self, in_flight: int, alone_at: int | None = None) -> Note:
        """The note with so many of the next records in flight; with `alone_at`, that record and no
        other."""
        if not in_flight:
            return self
        again = alone_at is not None and alone_at == self.alone_at
        return self._replace(
            in_flight=in_flight,
            alone_at=alone_at,
            alone_deaths=self.alone_deaths if again else 0,
        )

    def inherited(self, at_most: int) -> Note:
        """The note as a successor takes it over, who can see so many offsets beyond the committed
        one."""
        in_flight = min(self.in_flight, max(at_most, 0))
        if not in_flight:  # it ended in order, or had nothing to do
            return self._replace(in_flight=0)
        is_alone = self.alone_at is not None
        return self._replace(
            in_flight=0,
            deaths=self.deaths + 1,
            # The rest of a stretch that is taken one by one stays suspect.
            suspects=max(self.suspects, 1) if is_alone else in_flight,
            alone_deaths=self.alone_deaths + is_alone,
        )

    def advanced(self, records: int, killed: int) -> Note:
        """The note after outcomes of so many more records, of which the last so many in a row were
        given up as KilledWorker."""
        if not records:
            return self
        in_a_row = self.killed + killed if killed == records else killed
        left = max(self.suspects - records, 0)
        return Note(deaths=self.deaths if left else 0, suspects=left, killed=in_a_row)

    def pardoned(self) -> Note:
        """The note with a new start for the record that is blamed, after a person has seen to
        it."""
        return self._replace(alone_at=None, alone_deaths=0, killed=0)


NOTHING: Final = Note()


def parse(text: str) -> Note:
    """The note that a predecessor wrote. The default where it is of another version or somebody
    else's."""
    found = _FORM.fullmatch(text)
    if found is None:
        return NOTHING
    in_flight, deaths, suspects, alone_at, alone_deaths, killed = found.groups()
    return Note(
        int(in_flight),
        int(deaths),
        int(suspects),
        int(alone_at) if alone_at is not None else None,
        int(alone_deaths or 0),
        int(killed),
    )
