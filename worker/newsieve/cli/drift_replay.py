"""`newsieve drift replay`: runs the drift monitor over a file of labels."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from itertools import islice
from typing import IO, Annotated, Final

import typer

from newsieve.cli.common import ConfigOption, open_input, read_settings
from newsieve.drift.alerts import error_line, replay_line
from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import AnchorLabel, BadLine, Label, LabelReader
from newsieve.drift.monitor_registry import ANY_STUDENT, MonitorRegistry
from newsieve.drift.monitor_state import MonitorConfig
from newsieve.errors import InputFileInvalid
from newsieve.records.json_lines import lines_of
from newsieve.settings.observability import RUNBOOK_URL
from newsieve.terminal import echo_err, write_line

BATCH_LINES: Final = 1_000
STANDARD_INPUT: Final = "-"
DEFAULT_FILTER: Final = "uplifting"


def replay(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Default: stdin.")] = STANDARD_INPUT,
    filter_: Annotated[
        str, typer.Option("--filter", metavar="F", help="A name, or name/vN.")
    ] = DEFAULT_FILTER,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="A student's baseline.jsonl, for monitors without reference rows.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the drift monitor over labels: OracleScore records, or their short form, one a line.

    `{"student": {"agency": 5.1, …}, "oracle": {"agency": 6, …}}`, with "purpose": "reference"
    for the rows that make a baseline, which come first. Optional: id, student_version, stratum,
    pi, oracle_key. Lines of `newsieve oracle label` need the student's scores beside them, as
    "student". One JSON line out for each transition; exit 1 if a line was bad.

    Example: newsieve drift replay labels.jsonl --filter uplifting
    """
    chosen = read_settings(config).filters.registry.load(filter_)
    streams = ErrorStreams(chosen)
    monitors = MonitorRegistry(
        chosen.name, streams, MonitorConfig(), LabelDeduplicator(remembered=None)
    )
    reader = LabelReader(chosen.name, streams)
    if reference is not None:
        monitors.expect(ANY_STUDENT, _reference_rows(reference, reader))
    command = _command(file, filter_, reference)
    any_bad, others = False, 0
    with open_input(file) as stream:
        for batch in _batches(stream):
            items = reader.read(batch)
            others += len(batch) - len(items)
            for item in items:
                any_bad = any_bad or isinstance(item, BadLine)
                line = _line(item, monitors, command)
                if line is not None:
                    write_line(line)
            sys.stdout.buffer.flush()
    _explain(monitors, others)
    if any_bad:
        raise typer.Exit(1)


def _line(
    item: Label | AnchorLabel | BadLine, monitors: MonitorRegistry, command: str
) -> bytes | None:
    if isinstance(item, BadLine):
        return error_line(item)
    step = monitors.label(item) if isinstance(item, Label) else None
    return replay_line(step, command, RUNBOOK_URL) if step is not None else None


def _batches(stream: IO[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    lines = lines_of(stream)
    while batch := list(islice(lines, BATCH_LINES)):
        yield batch


def _reference_rows(file: str, reader: LabelReader) -> Iterator[Label]:
    """Yield the reference rows of a file. Raises InputFileInvalid: a baseline with a missing row
    is none."""
    with open_input(file) as stream:
        for batch in _batches(stream):
            for item in reader.read(batch):
                if isinstance(item, BadLine):
                    raise InputFileInvalid(f"{file}, line {item.position + 1}: {item.error}")
                if isinstance(item, Label):
                    yield item


def _command(file: str, filter_: str, reference: str | None) -> str:
    words = ["newsieve", "drift", "replay", file, "--filter", filter_]
    return shlex.join([*words, "--reference", reference] if reference else words)


def _explain(monitors: MonitorRegistry, others: int) -> None:
    """Say which lines were read and not tested."""
    if monitors.untested:
        echo_err(
            f"{monitors.untested:,} labels have no baseline: nothing was tested. Put rows with "
            '"purpose": "reference" before them, or name a file of such rows with --reference'
        )
    if monitors.suspects.labels:
        echo_err(
            f"{monitors.suspects.labels:,} labels are of suspect articles, which speak to a model: "
            "they are not tested, since whoever wrote them may have chosen them"
        )
    if monitors.unused:
        echo_err(
            f"{monitors.unused:,} reference rows were not used: they came after a label of their "
            "monitor, or have another oracle_key than the rows before them"
        )
    if others:
        echo_err(
            f"{others:,} lines are about another filter, of another purpose or without an answer"
        )
