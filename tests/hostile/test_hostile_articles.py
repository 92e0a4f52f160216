"""Articles that are made to cost: what a worker pays for them is bounded by their size."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.devbroker.broker import Broker
from tests.hostile.metered import metered, usage_of
from tests.support.hostile_shapes import NESTING_DEPTH, SHAPES
from tests.support.stream import Stream

MEGABYTES = (0.25, 1, 3.9)
MOST_MILLISECONDS = 75  # of CPU per megabyte; 50 are promised, on a machine without other work
RECORD_BYTES = 3_900_000
MOST_TIMES_IN_MEMORY = 30  # of a record's size, above what the process has without one
RECORDS = 60
SECONDS_PER_MEGABYTE = 0.2  # all threads of a worker, Kafka's and the model's among them
MOST_BYTES = (
    600_000_000  # above an idle worker: what Kafka's client fetches ahead, and records in work
)


@pytest.fixture
def stream(broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path) -> Iterator[Stream]:
    found = Stream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tiny_student})
    yield found
    found.close()


def benchmark(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.hostile_shapes", *arguments]


def test_no_shape_costs_more_than_its_size_at_any_size() -> None:
    """The whole benchmark: milliseconds of CPU per megabyte, up to 4 MB."""
    sizes = [f"{size:g}" for size in MEGABYTES]
    used = metered(benchmark("--rounds", "2", "--megabytes", *sizes), seconds=200)

    assert used.code == 0, used.err
    found = {
        name: [float(cell) for cell in cells.split("|")]
        for name, cells in re.findall(r"(?m)^\| ([^|]+) \| ([\d.| ]+) \|$", used.out.decode())
    }
    assert found.keys() == SHAPES.keys()
    assert {n: costs for n, costs in found.items() if max(costs) > MOST_MILLISECONDS} == {}


@pytest.fixture(scope="module")
def usual_bytes() -> int:
    """The peak of a process that reads a small record."""
    used = metered(benchmark("--rounds", "1", "--shape", "plain words", "--megabytes", "0.01"))
    assert used.code == 0, used.err
    return used.peak_bytes


@pytest.mark.parametrize(
    "shape",
    [
        "brackets, nested deep",
        "small objects behind a mark",
        "content: lone surrogates",
        "content: marks in runs of 31",
        "content: every character",
        "content: zero width between letters",
        "CloudEvent, base64",
    ],
)
def test_a_record_takes_a_small_multiple_of_its_size_in_memory(
    shape: str, usual_bytes: int
) -> None:
    """Peak memory of a process that does nothing else."""
    size = str(RECORD_BYTES / 1e6)
    used = metered(benchmark("--rounds", "1", "--shape", shape, "--megabytes", size))

    assert used.code == 0, used.err
    assert used.peak_bytes - usual_bytes < MOST_TIMES_IN_MEMORY * RECORD_BYTES


def test_sixty_records_of_brackets_in_a_row_stop_nobody(stream: Stream) -> None:
    """On one partition, with an article behind them: all are scored by a worker that keeps its
    partitions, whose watchdog is silent, and which pays for bytes."""
    unit = "[" * NESTING_DEPTH + "]" * NESTING_DEPTH
    body = ",".join([unit] * (RECORD_BYTES // (len(unit) + 1)))
    worker = stream.start_worker("a")
    worker.wait_until("partitions.assigned")
    idle = usage_of(worker.process.pid)
    hostile = (
        (b"k", f'{{"id":"b-{at}","title":"A library opens","z":[{body}]}}'.encode())
        for at in range(RECORDS)
    )
    stream.produce(hostile)
    stream.produce([(b"k", b'{"id":"good","title":"A library opens"}')])

    reader = stream.reader()
    outputs = reader.read_until(lambda found: len(found.scored) > RECORDS, 120)
    used = usage_of(worker.process.pid)
    assert worker.terminate() == 0
    reader.close()

    assert set(outputs.outcomes().values()) == {1} and outputs.letters == []
    assert stream.committed() == stream.raw_ends()
    megabytes = RECORDS * RECORD_BYTES / 1e6
    assert used.cpu_seconds - idle.cpu_seconds < SECONDS_PER_MEGABYTE * megabytes
    assert used.peak_bytes - idle.peak_bytes < MOST_BYTES
    assert not re.search(r"watchdog|Traceback|partitions\.lost", worker.text())
    assert worker.text().count("partitions.assigned") == 1


def test_addresses_of_a_megabyte_stop_nobody(stream: Stream) -> None:
    """They are no addresses: null, counted, and the articles are scored."""
    worker = stream.start_worker("a")
    worker.wait_until("partitions.assigned")
    idle = usage_of(worker.process.pid)
    shapes = [name for name in SHAPES if name.startswith("url: ")]
    records = [SHAPES[name](1_200_000).value for name in shapes]
    stream.produce(
        (None, value.replace(b"hostile", b"u-%d" % at)) for at, value in enumerate(records)
    )

    reader = stream.reader()
    outputs = reader.read_until(lambda found: len(found.scored) >= len(shapes), 60)
    used = usage_of(worker.process.pid)
    assert worker.terminate() == 0
    reader.close()

    assert [record["article"]["url"] for record in outputs.scored] == [None] * len(shapes)
    assert used.cpu_seconds - idle.cpu_seconds < SECONDS_PER_MEGABYTE * 1.2 * len(shapes) + 1
    assert used.peak_bytes - idle.peak_bytes < MOST_BYTES
