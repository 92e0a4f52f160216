"""Decides which records may be in flight together after a process has died.

Usually the note of a partition says once that a worker is at work, in the words that every commit
repeats. Where predecessors died, each micro-batch is noted before it is begun and committed before
the next; after the second death only one record at a time is in flight, and a record that ends two
processes is given up. It asks for committed offsets and is pure otherwise: it does not know who
commits the notes, nor when.
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
    """The part of an observer that is told of crashes."""

    def crash_inherited(self, partition: Partition, offset: int, note: Note) -> None:
        """A predecessor died with records from here on in flight."""
        ...

    def crash_passed(self, partition: Partition) -> None:
        """All records that were in flight then have an outcome; the partition is as any other."""
        ...


@dataclass(slots=True)
class _PartitionState:
    """What is known of a partition that is ours."""

    assignment: int
    note: Note  # as if nothing were in flight
    end: int = 0  # suspects are below
    in_flight: int = 0  # to be noted with the next commit
    alone_at: int | None = None
    noted: str | None = None  # what the broker has; None when nobody knows
    records: int = 0  # with an outcome, since the last commit
    killed: int = 0  # the last so many of them

    def coming(self) -> Note:
        note = self.note.advanced(self.records, self.killed)
        return note.covering(self.in_flight, self.alone_at)


class CrashRecovery:
    """Decides which records one worker may have in flight together. Owner thread only."""

    # More than 15 methods: it is told of every step of the loop, and keeps one state by partition.

    def __init__(
        self,
        offsets: Offsets,
        most_in_flight: int,
        committed_notes: Callable[[Sequence[Partition]], Mapping[Partition, tuple[int, str]]],
        lag: Callable[[], Mapping[Partition, int]],
        observer: CrashObserver,
        ends: Mapping[Partition, int],
    ) -> None:
        """`most_in_flight` is how many records of a partition can be without a committed outcome
        while a worker has no reason to be careful; `committed_notes` asks for committed offsets and
        the notes that were committed with them; `lag` gives the offsets from `Offsets.lag_position`
        to a partition's end; nobody reads records from `ends` on."""
        self._offsets = offsets
        self._most = most_in_flight
        self._usual = Note(in_flight=most_in_flight).text()
        self._committed_notes = committed_notes
        self._lag = lag
        self._observer = observer
        self._ends = ends
        self._states: dict[Partition, _PartitionState] = {}
        self._suspected: set[Partition] = set()
        self.is_counting = False  # whether outcomes change what is to be noted

    def is_careful(self) -> bool:
        """Whether records of ours were in flight when a process died, and may be to blame."""
        if not self._suspected:
            return False
        for partition in list(self._suspected):
            state = self._current(partition)
            reached = self._offsets.lag_position(partition)
            if state is None:
                self._suspected.discard(partition)
            elif not state.note.suspects or (reached is not None and reached >= state.end):
                state.note = Note(killed=state.note.killed)
                self._suspected.discard(partition)
                self._observer.crash_passed(partition)
        self._count()
        return bool(self._suspected)

    def allows(self, consumed: Iterable[GroupRecord]) -> bool:
        """Whether these records may be begun as they are, whatever is in flight already."""
        if self._suspected:
            return False
        states = map(self._current, {item.partition for item in consumed})
        return all(s is not None and s.noted and s.in_flight == self._most for s in states)

    def learn(self, partitions: Collection[Partition]) -> None:
        """Read what predecessors noted of partitions of which a record has come.

        Raises BrokerUnavailable or TopicsWrong.
        """
        wanted = [item for item in partitions if self._current(item) is None]
        if not wanted:
            return
        notes, lag = self._committed_notes(wanted), self._lag()
        for item in wanted:
            assignment, at = self._offsets.assignment_of(item), self._offsets.lag_position(item)
            if assignment is None or at is None:
                continue
            text = notes.get(item, (0, ""))[1]
            note = parse(text)
            end = at + lag.get(item, max(note.in_flight, note.suspects))
            end = min(end, self._ends.get(item, end))
            former = self._states.get(item)
            if former is not None and text == former.noted:
                note = former.note  # it was lost, and came back before anybody had it: no death
            else:
                note = note.inherited(end - at)
            self._states[item] = _PartitionState(assignment, note, end, noted=text)
            if note.suspects:
                self._suspected.add(item)
                self._observer.crash_inherited(item, at, note)
        self._count()

    def select(
        self, consumed: Sequence[GroupRecord]
    ) -> tuple[list[GroupRecord], list[GroupRecord]]:
        """The records that may be begun now, and those that wait until the first are committed."""
        alone = {item for item in self._suspected if self._states[item].note.is_alone}
        if not alone:
            return list(consumed), []
        if consumed and consumed[0].partition in alone:
            return list(consumed[:1]), list(consumed[1:])
        begun = [item for item in consumed if item.partition not in alone]
        return begun, [item for item in consumed if item.partition in alone]

    def blame(self, consumed: Sequence[GroupRecord]) -> KilledWorker | None:
        """The reason to give a record up instead of scoring it.

        Raises DeadLetterLimit where too many were given up in a row.
        """
        if len(consumed) != 1 or consumed[0].partition not in self._suspected:
            return None
        partition, offset = consumed[0].partition, consumed[0].offset
        state = self._states[partition]
        note = state.note
        if not note.blames(offset):
            return None
        if note.killed >= KILLED_IN_A_ROW:
            state.note = note.pardoned()
            raise DeadLetterLimit(_too_many(partition, offset, note))
        return KilledWorker(
            f"{note.alone_deaths} processes in a row ended while they had this record alone in "
            f"hand, {note.deaths} since they began to end at this stretch of {partition[0]}/"
            f"{partition[1]}. It was not read again. The supervisor knows how they ended (exit 137 "
            "is a memory limit, 139 a crash in native code, 3 a hang); once that is repaired, "
            "`newsieve dlq replay --error KilledWorker` has it scored"
        )

    def cover(self, begun: Sequence[GroupRecord], *, is_scored: bool) -> dict[Partition, int]:
        """Note that these records are about to be begun. Returns the offsets to commit first."""
        counts = Counter(item.partition for item in begun)
        if not self._suspected:
            for partition in counts:
                self._states[partition].in_flight = self._most
            return self._unsaid(counts)
        self.clear_in_flight()
        if is_scored:
            for partition, count in counts.items():
                state = self._states[partition]
                state.in_flight = count
                state.alone_at = begun[0].offset if len(begun) == 1 else None
        return self._unsaid(self._states)

    def clear_in_flight(
        self, partitions: Iterable[Partition] | None = None
    ) -> dict[Partition, int]:
        """Note that nothing of these partitions, or of any, is in flight. Returns the offsets to
        commit with that."""
        wanted = list(self._states) if partitions is None else list(partitions)
        for partition in wanted:
            state = self._current(partition)
            if state is not None:
                state.in_flight, state.alone_at = 0, None
        return self._unsaid(wanted)

    def committed_offsets(self) -> dict[Partition, int]:
        """The offsets of our partitions that the broker has. Raises as `learn`."""
        ours = [item for item in self._states if self._current(item) is not None]
        return {item: offset for item, (offset, _) in self._committed_notes(ours).items()}

    def handled(self, partition: Partition, *, is_killed: bool) -> None:
        """Count the next record of a partition, whose outcome is in the open transaction."""
        state = self._current(partition)
        if state is not None:
            state.records += 1
            state.killed = state.killed + 1 if is_killed else 0

    def notes(self, offsets: Iterable[Partition]) -> dict[Partition, str]:
        """The notes to commit with these partitions' offsets."""
        notes = {}
        for partition in offsets:
            state = self._current(partition)
            if state is not None:
                text = self._text(state)
                notes[partition] = text
                if text != state.noted:
                    state.noted = None  # until it is known
        return notes

    def committed(self, notes: Mapping[Partition, str]) -> None:
        """Mark these notes as committed."""
        for partition, text in notes.items():
            state = self._states[partition]
            state.noted = text
            if self.is_counting:
                state.note = state.note.advanced(state.records, state.killed)
                state.records = state.killed = 0
        if self.is_counting:
            self._count()

    def rolled_back(self) -> None:
        """Forget outcomes since the last commit: their records come again."""
        for state in self._states.values():
            state.records = state.killed = 0

    def _text(self, state: _PartitionState) -> str:
        is_usual = state.in_flight == self._most and not self.is_counting
        return self._usual if is_usual else state.coming().text()

    def _unsaid(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offsets of the partitions whose present note the broker does not have, as far as a
        record of them has come."""
        offsets = {}
        for partition in partitions:
            state = self._current(partition)
            at = self._offsets.next_uncommitted(partition)
            if state is not None and at is not None and self._text(state) != state.noted:
                offsets[partition] = at
        return offsets

    def _current(self, partition: Partition) -> _PartitionState | None:
        """The partition's state; None if it is not ours, or has left and come back since."""
        state = self._states.get(partition)
        if state is None or state.assignment != self._offsets.assignment_of(partition):
            return None
        return state

    def _count(self) -> None:
        current = filter(None, map(self._current, self._states))
        self.is_counting = any(state.note != NOTHING for state in current)


def _too_many(partition: Partition, offset: int, note: Note) -> str:
    return (
        f"{note.killed} records in a row of {partition[0]}/{partition[1]} have ended the processes "
        f"that scored them and are dead letters (KilledWorker), and so has the next, at offset "
        f"{offset}. Stopped before this record; nothing is dropped. Perhaps not the records are to "
        "blame but the worker's memory limit, its device or a student: `newsieve score` shows "
        "whether articles can be scored at all. Then start again: this record is tried again, and "
        "`newsieve dlq replay --error KilledWorker` has the others scored"
    )
