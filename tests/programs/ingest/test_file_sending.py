"""Files are sent once, whatever fails on the way, and a run that was ended is taken up."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from newsieve.errors import (
    Fenced,
    InvalidJson,
    OutcomeUnknown,
    OutputTooLarge,
    Transient,
)
from newsieve.file_readers.input_file import InputFile, input_files
from newsieve.programs.ingest import file_sending
from newsieve.programs.ingest.file_opening import checked
from newsieve.programs.ingest.file_progress import KnownStates, keyed, known_states
from newsieve.programs.ingest.file_sending import Destination, FileSender
from newsieve.records.encode import OutRecord
from newsieve_schemas.ingest import FileState
from tests.support.file_records import POLICY

Failure = type[Transient | OutcomeUnknown | Fenced | KeyboardInterrupt]


class Broker:
    """What committed transactions leave, and a producer that fails as it is told."""

    max_message_bytes = 1_000

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.states: dict[bytes, bytes] = {}
        self.transactions = 0
        self._open: list[OutRecord] = []
        self.failures: Iterator[tuple[Failure, bool] | None] = iter(())
        self.produce_failures: Iterator[Failure | None] = iter(())

    def require_fit(self, records: list[OutRecord]) -> None:
        if any(len(item.value or b"") > self.max_message_bytes for item in records):
            raise OutputTooLarge("too large for the broker")

    def produce(self, record: OutRecord) -> None:
        failure = next(self.produce_failures, None)
        if failure is not None:
            self._open = []
            raise failure("produce")
        self._open.append(record)

    def commit_records(self) -> None:
        """`failures` says for each commit how it fails, and whether it was done all the same."""
        failure, is_done = next(self.failures, None) or (None, True)
        records, self._open = self._open, []
        if is_done:
            self.transactions += 1
            for topic, key, value, _, _ in records:
                if topic == "raw":
                    self.raw.append(value or b"")
                elif value is None:
                    self.states.pop(key or b"", None)
                else:
                    self.states[key or b""] = value
        if failure is not None:
            raise failure("commit")

    def leave(self) -> None:
        self._open = []

    abort = leave

    def read_states(self, keys: Collection[bytes]) -> dict[bytes, bytes]:
        return {key: value for key, value in self.states.items() if key in keys}


class Observer:
    def __init__(self) -> None:
        self.rejected: list[tuple[str, str, str]] = []
        self.resumed: list[int] = []
        self.read_bytes = 0

    @contextmanager
    def reading(self, _: InputFile) -> Iterator[Callable[[int], None]]:
        def advance(size: int) -> None:
            self.read_bytes += size

        yield advance

    def file_resumed(self, _: InputFile, state: FileState) -> None:
        self.resumed.append(state.records)

    def record_rejected(self, file: InputFile, place: str, problem: str) -> None:
        self.rejected.append((Path(file.name).name, place, problem))


def key_of(value: bytes) -> bytes:
    try:
        return str(json.loads(value)["id"]).encode()
    except ValueError:
        raise InvalidJson("not JSON") from None


class Run:
    """One command's run over files."""

    def __init__(self, broker: Broker, *paths: Path) -> None:
        self.broker, self.observer = broker, Observer()
        self.files = keyed(input_files([str(path) for path in paths]))
        self.known: KnownStates = known_states(broker.states, self.files)
        destination = Destination("raw", "states", broker.read_states)
        self.sender = FileSender(
            broker, destination, key_of, self.observer, lambda: "2026-11-30T00:00:00Z"  # type: ignore[arg-type]
        )  # fmt: skip

    def to_its_end(self) -> None:
        self.sender.send(checked(self.files, POLICY), self.known.by_key, POLICY)
        self.sender.forget([*(item.key for item in self.files), *self.known.former.values()])


@pytest.fixture(autouse=True)
def _small_transactions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(file_sending, "TRANSACTION_RECORDS", 3)
    with patch("time.sleep"):
        yield


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """A file of lines with a bad one, an array, and a copy of the array."""
    array = json.dumps([{"id": n} for n in range(10, 18)])
    lines = [json.dumps({"id": n}) for n in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines[:4], "bad", *lines[4:]]))
    for name in ("b.json", "copy.json"):
        (tmp_path / name).write_text(array)
    return [tmp_path / name for name in ("a.jsonl", "b.json", "copy.json")]


EXPECTED = sorted([*map(str, range(18)), *map(str, range(10, 18))])


def ids(broker: Broker) -> list[str]:
    return sorted(str(json.loads(value)["id"]) for value in broker.raw)


def test_each_article_of_each_file_is_sent_and_then_nothing_is_known_of_them(
    paths: list[Path],
) -> None:
    """The bad line is named; the next run sends all again."""
    broker = Broker()

    for times in (1, 2):
        run = Run(broker, *paths)
        run.to_its_end()

        assert ids(broker) == sorted(EXPECTED * times) and broker.states == {}
        assert run.observer.rejected == [("a.jsonl", "line 5", "not JSON")]
        assert (run.sender.sent, run.sender.rejected) == (26, 1)
        assert run.observer.read_bytes == sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_fails_each_article_comes_once(paths: list[Path], seed: int) -> None:
    """Transactions that are aborted, of which nobody knows, of which nobody knows but that they are
    done; a run that is fenced, killed or interrupted, and taken up."""
    source, broker, runs = random.Random(seed), Broker(), 0
    endings: list[Failure] = [Transient, OutcomeUnknown, Fenced, KeyboardInterrupt]

    def failures() -> Iterator[tuple[Failure, bool] | None]:
        while True:
            failure = source.choice(endings)
            is_done = failure in (OutcomeUnknown, KeyboardInterrupt) and source.random() < 0.5
            yield None if source.random() < 0.6 else (failure, is_done)

    def produce_failures() -> Iterator[Failure | None]:
        while True:
            yield source.choice(endings) if source.random() < 0.02 else None

    broker.failures, broker.produce_failures = failures(), produce_failures()
    while True:
        runs += 1
        assert runs < 500
        try:
            Run(broker, *paths).to_its_end()
            break
        except (Transient, OutcomeUnknown, Fenced, KeyboardInterrupt):
            if broker.raw and not broker.states:
                break  # it ended when all was done

    assert broker.states == {}
    assert ids(broker) == EXPECTED


def test_a_run_that_was_ended_goes_on_behind_what_is_committed(paths: list[Path]) -> None:
    """Also with the files under other names; files that are sent are not sent again."""
    broker = Broker()
    broker.failures = iter([None, None, None, None, (Fenced, False)])
    with pytest.raises(Fenced):
        Run(broker, *paths).to_its_end()
    sent = len(broker.raw)
    moved = paths[0].rename(paths[0].with_name("moved.jsonl"))

    run = Run(broker, moved, *paths[1:])
    run.to_its_end()

    assert ids(broker) == EXPECTED and 0 < sent < len(EXPECTED)
    assert run.sender.sent == len(EXPECTED) - sent
    assert run.observer.resumed[0] == 11 and run.sender.rejected == 1  # the earlier run's


def test_a_file_that_has_changed_is_sent_from_its_beginning(paths: list[Path]) -> None:
    """Its former state is known to be that of its place, and goes with the others."""
    broker = Broker()
    broker.failures = iter([None, (Fenced, False)])
    with pytest.raises(Fenced):
        Run(broker, paths[0]).to_its_end()
    assert len(broker.raw) == 3 and len(broker.states) == 1
    with paths[0].open("a") as file:
        file.write('\n{"id": 99}')

    run = Run(broker, paths[0])
    assert list(run.known.former.values()) == list(broker.states)
    run.to_its_end()

    assert len(broker.raw) == 3 + 11 and broker.states == {}


def test_an_interruption_sends_what_was_read(paths: list[Path]) -> None:
    """Unless it comes in the middle of a commit."""
    broker = Broker()
    run = Run(broker, paths[0])

    def interrupt(value: bytes) -> bytes:
        if b"7" in value:
            raise KeyboardInterrupt
        return key_of(value)

    run.sender._key_of = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.to_its_end()

    assert ids(broker) == list("0123456") and run.sender.sent == 7
    assert run.sender.stopped_at is not None and run.sender.stopped_at[1] == "line 9"


def test_a_record_that_the_broker_does_not_take_is_named_and_stepped_over(tmp_path: Path) -> None:
    """It is smaller than a record may be."""
    (tmp_path / "a").write_text('{"id": 1}\n{"id": "' + "x" * 2_000 + '"}\n{"id": 2}\n')
    run = Run(Broker(), tmp_path / "a")

    run.to_its_end()

    assert ids(run.broker) == ["1", "2"]
    assert run.observer.rejected == [("a", "line 2", "too large for the broker")]


def test_a_broker_that_stays_unwell_ends_the_run(paths: list[Path]) -> None:
    """After some tries; what was committed is said."""
    broker = Broker()
    broker.failures = iter([None] + [(Transient, False)] * 100)
    run = Run(broker, paths[0])

    with pytest.raises(Transient):
        run.to_its_end()

    assert run.sender.sent == len(broker.raw) == 3
