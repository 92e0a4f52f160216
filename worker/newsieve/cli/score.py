"""`newsieve score`: scores JSON Lines without Kafka, by the same code as the worker.

It knows neither topics nor offsets.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from newsieve.bootstrap.students import identities_of, load_students, make_scorer, scoring_path
from newsieve.cli.common import (
    ConfigOption,
    exit_for_dead_letters,
    open_input,
    read_settings,
)
from newsieve.programs.scoring.in_flight import InFlight
from newsieve.programs.scoring.path import ScoringPath
from newsieve.records.dead_letter import dead_letter_line
from newsieve.records.decode import RawRecord
from newsieve.records.json_lines import lines_of
from newsieve.stream.outcome import DEAD_LETTER, Outcome
from newsieve.terminal import write_line

DEFAULT_FILTER = "uplifting"
STANDARD_INPUT = "-"


def score(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Default: stdin.")] = STANDARD_INPUT,
    filter_: Annotated[
        str, typer.Option("--filter", metavar="F", help="A name, or name/vN.")
    ] = DEFAULT_FILTER,
    config: ConfigOption = None,
) -> None:
    """Score articles: one JSON line out for each line in, in order; exit 1 if one was bad.

    Example: newsieve score articles.jsonl --filter uplifting
    """
    settings = read_settings(config)
    chosen = settings.filters.registry.load(filter_)
    students = load_students(settings, [chosen])
    scorer = make_scorer(students)
    path = scoring_path(settings, identities_of(students), scorer)
    dead_letters = 0
    try:
        with open_input(file) as stream:
            records = (_record(file, number, line) for number, line in lines_of(stream))
            for line, outcome in _outcomes(
                path, records, settings.worker.batch_articles, settings.worker.batches_in_flight
            ):
                write_line(_printed(line, outcome))
                dead_letters += outcome.outcome == DEAD_LETTER
            sys.stdout.buffer.flush()
    finally:
        scorer.close()
    exit_for_dead_letters(dead_letters)


def _record(file: str, number: int, line: bytes) -> RawRecord:
    return RawRecord(line, None, None, None, {"file": file, "line": number})


def _outcomes(
    path: ScoringPath, records: Iterator[RawRecord], batch_articles: int, batches_in_flight: int
) -> Iterator[tuple[int, Outcome]]:
    """Yield each record's line and outcome in order, with batches in flight as in the worker."""
    in_flight = InFlight[None](path)
    while batch := list(islice(records, batch_articles)):
        in_flight.append(path.start(batch), None)
        if len(in_flight) > batches_in_flight:
            yield from _finished(in_flight)
    while in_flight:
        yield from _finished(in_flight)


def _finished(in_flight: InFlight[None]) -> Iterator[tuple[int, Outcome]]:
    _, rows = in_flight.finish_oldest()
    return ((row.record.input["line"], outcome) for row in rows for outcome in row.outcomes)


def _printed(line: int, outcome: Outcome) -> bytes:
    if outcome.error is not None:
        return dead_letter_line(line, outcome.error)
    return outcome.records[0].value or b""
