"""Which records may be in flight together after a process has died, and what its successor is told.

Usually a partition's note says once that a worker is at work, in the words that every commit
repeats. Where predecessors died, each micro-batch is on record before it is begun and committed
before the next; after the second death records are alone in flight, and one that ends two processes
is given up. Pure but for asking what is committed; who commits the notes, and when, it does not
know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from newsieve.errors import DeadLetterLimit, KilledWorker
from newsieve.kafka.messages import GroupRecord
from newsieve.kafka.offsets import Offsets, Partition
from newsieve.stream.crash_note import NOTHING, Note, parse

KILLED_IN_A_ROW: Final = 3  # of a partition; if the next one kills, too, it may not be the records


class CrashObserver(Protocol):
    """Who is told of crashes."""

    def crash_inherited(self, partition: Partition, offset: int, note: Note) -> None:
        """A predecessor died with records from here on in flight."""
        ...

    def crash_passed(self, partition: Partition) -> None:
        """They all have an outcome, and the worker takes this partition as any other."""
        ...


@dataclass(slots=True)
class _Standing:
    """Of a partition that is ours."""

    assignment: int
    note: Note  # as if nothing were in flight
    end: int = 0  # suspects are below
    in_flight: int = 0  # to be said with the next commit
    alone_at: int | None = None
    said: str | None = None  # what the broker has; None when nobody knows
    records: int = 0  # with an outcome, since the last commit
    killed: int = 0  # the last so many of them

    def coming(self) -> Note:
        note = self.note.advanced(self.records, self.killed)
        return note.covering(self.in_flight, self.alone_at)


class CrashRecovery:
    """Of one worker. Owner thread only."""

    def __init__(
        self,
        offsets: Offsets,
        most_in_flight: int,
        left: Callable[[Sequence[Partition]], Mapping[Partition, tuple[int, str]]],
        lag: Callable[[], Mapping[Partition, int]],
        observer: CrashObserver,
        ends: Mapping[Partition, int],
    ) -> None:
        """`most_in_flight` is how many records of a partition can be without a committed outcome
        while a worker has no reason to be careful; `left` asks for committed offsets and what was
        noted with them; `lag` gives the offsets from `Offsets.lag_position` to a partition's end;
        nobody takes anything from `ends` on."""
        self._offsets = offsets
        self._most = most_in_flight
        self._usual = Note(in_flight=most_in_flight).text()
        self._left = left
        self._lag = lag
        self._observer = observer
        self._ends = ends
        self._standings: dict[Partition, _Standing] = {}
        self._suspected: set[Partition] = set()
        self.is_counting = False  # whether outcomes change what is to be said

    def is_careful(self) -> bool:
        """Whether records of ours were in flight when a process died, and may be to blame."""
        if not self._suspected:
            return False
        for partition in list(self._suspected):
            standing = self._current(partition)
            reached = self._offsets.lag_position(partition)
            if standing is None:
                self._suspected.discard(partition)
            elif not standing.note.suspects or (reached is not None and reached >= standing.end):
                standing.note = Note(killed=standing.note.killed)
                self._suspected.discard(partition)
                self._observer.crash_passed(partition)
        self._count()
        return bool(self._suspected)

    def allows(self, taken: Iterable[GroupRecord]) -> bool:
        """Whether these may be begun as they are, whatever is in flight already."""
        if self._suspected:
            return False
        standings = map(self._current, {item.partition for item in taken})
        return all(s is not None and s.said and s.in_flight == self._most for s in standings)

    def learn(self, partitions: Collection[Partition]) -> None:
        """What predecessors have left to be known, of partitions of which a record has come.

        Raises BrokerUnavailable or TopicsWrong.
        """
        wanted = [item for item in partitions if self._current(item) is None]
        if not wanted:
            return
        left, lag = self._left(wanted), self._lag()
        for item in wanted:
            assignment, at = self._offsets.assignment_of(item), self._offsets.lag_position(item)
            if assignment is None or at is None:
                continue
            text = left.get(item, (0, ""))[1]
            note = parse(text)
            end = at + lag.get(item, max(note.in_flight, note.suspects))
            end = min(end, self._ends.get(item, end))
            former = self._standings.get(item)
            if former is not None and text == former.said:
                note = former.note  # it was lost, and came back before anybody had it: no death
            else:
                note = note.inherited(end - at)
            self._standings[item] = _Standing(assignment, note, end, said=text)
            if note.suspects:
                self._suspected.add(item)
                self._observer.crash_inherited(item, at, note)
        self._count()

    def pick(self, taken: Sequence[GroupRecord]) -> tuple[list[GroupRecord], list[GroupRecord]]:
        """What may be begun now, and what has to wait until that is committed."""
        alone = {item for item in self._suspected if self._standings[item].note.is_alone}
        if not alone:
            return list(taken), []
        if taken and taken[0].partition in alone:
            return list(taken[:1]), list(taken[1:])
        begun = [item for item in taken if item.partition not in alone]
        return begun, [item for item in taken if item.partition in alone]

    def blame(self, taken: Sequence[GroupRecord]) -> KilledWorker | None:
        """The reason to give a record up instead of scoring it.

        Raises DeadLetterLimit where too many were given up in a row.
        """
        if len(taken) != 1 or taken[0].partition not in self._suspected:
            return None
        partition, offset = taken[0].partition, taken[0].offset
        standing = self._standings[partition]
        note = standing.note
        if not note.blames(offset):
            return None
        if note.killed >= KILLED_IN_A_ROW:
            standing.note = note.pardoned()
            raise DeadLetterLimit(_too_many(partition, offset, note))
        return KilledWorker(
            f"{note.alone_deaths} processes in a row ended while they had this record alone in "
            f"hand, {note.deaths} since they began to end at this stretch of {partition[0]}/"
            f"{partition[1]}. It was not read again. The supervisor knows how they ended (exit 137 "
            "is a memory limit, 139 a crash in native code, 3 a hang); once that is mended, "
            "`newsieve dlq replay --error KilledWorker` has it scored"
        )

    def cover(self, begun: Sequence[GroupRecord], *, is_scored: bool) -> dict[Partition, int]:
        """These are about to be begun. Returns where to commit what must be on record before."""
        counts = Counter(item.partition for item in begun)
        if not self._suspected:
            for partition in counts:
                self._standings[partition].in_flight = self._most
            return self._unsaid(counts)
        self.put_down()
        if is_scored:
            for partition, count in counts.items():
                standing = self._standings[partition]
                standing.in_flight = count
                standing.alone_at = begun[0].offset if len(begun) == 1 else None
        return self._unsaid(self._standings)

    def put_down(self, partitions: Iterable[Partition] | None = None) -> dict[Partition, int]:
        """Nothing of these, or of any, is in flight. Returns where to commit that."""
        wanted = list(self._standings) if partitions is None else list(partitions)
        for partition in wanted:
            standing = self._current(partition)
            if standing is not None:
                standing.in_flight, standing.alone_at = 0, None
        return self._unsaid(wanted)

    def committed_offsets(self) -> dict[Partition, int]:
        """Of what is ours, as the broker says. Raises as `learn`."""
        ours = [item for item in self._standings if self._current(item) is not None]
        return {item: offset for item, (offset, _) in self._left(ours).items()}

    def handled(self, partition: Partition, *, is_killed: bool) -> None:
        """The next record of a partition has its outcome in the open transaction."""
        standing = self._current(partition)
        if standing is not None:
            standing.records += 1
            standing.killed = standing.killed + 1 if is_killed else 0

    def notes(self, offsets: Iterable[Partition]) -> dict[Partition, str]:
        """What to commit with these partitions' offsets."""
        found = {}
        for partition in offsets:
            standing = self._current(partition)
            if standing is not None:
                text = self._text(standing)
                found[partition] = text
                if text != standing.said:
                    standing.said = None  # until it is known
        return found

    def committed(self, notes: Mapping[Partition, str]) -> None:
        """These are."""
        for partition, text in notes.items():
            standing = self._standings[partition]
            standing.said = text
            if self.is_counting:
                standing.note = standing.note.advanced(standing.records, standing.killed)
                standing.records = standing.killed = 0
        if self.is_counting:
            self._count()

    def rolled_back(self) -> None:
        """Outcomes since the last commit do not count; their records come again."""
        for standing in self._standings.values():
            standing.records = standing.killed = 0

    def _text(self, standing: _Standing) -> str:
        is_usual = standing.in_flight == self._most and not self.is_counting
        return self._usual if is_usual else standing.coming().text()

    def _unsaid(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where the partitions stand whose note the broker does not have, once a record came."""
        found = {}
        for partition in partitions:
            standing = self._current(partition)
            at = self._offsets.next_uncommitted(partition)
            if standing is not None and at is not None and self._text(standing) != standing.said:
                found[partition] = at
        return found

    def _current(self, partition: Partition) -> _Standing | None:
        """None for a partition that is not ours, or has come back since."""
        standing = self._standings.get(partition)
        if standing is None or standing.assignment != self._offsets.assignment_of(partition):
            return None
        return standing

    def _count(self) -> None:
        current = filter(None, map(self._current, self._standings))
        self.is_counting = any(standing.note != NOTHING for standing in current)


def _too_many(partition: Partition, offset: int, note: Note) -> str:
    return (
        f"{note.killed} records in a row of {partition[0]}/{partition[1]} have ended the processes "
        f"that scored them and are dead letters (KilledWorker), and so has the next, at offset "
        f"{offset}. Stopped before this record; nothing is dropped. Perhaps not the records are to "
        "blame but the worker's memory limit, its device or a student: `newsieve score` shows "
        "whether articles can be scored at all. Then start again: this record is tried anew, and "
        "`newsieve dlq replay --error KilledWorker` has the others scored"
    )
