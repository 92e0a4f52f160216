"""`newsieve tier`: decides tiers from scores, without a model, for when thresholds change.

It knows neither topics nor offsets.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Final

import numpy as np
import orjson
import typer

from newsieve.cli.common import (
    ConfigOption,
    exit_for_dead_letters,
    open_input,
    read_settings,
)
from newsieve.errors import RecordError
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.records.dead_letter import dead_letter_line
from newsieve.records.json_lines import lines_of
from newsieve.records.score_object import ScoreObject, parse_score_object
from newsieve.terminal import write_line

BATCH_LINES: Final = 1_000
STANDARD_INPUT: Final = "-"


def tier(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Default: stdin.")] = STANDARD_INPUT,
    filter_: Annotated[
        str, typer.Option("--filter", metavar="F", help="A name, or name/vN.")
    ] = "uplifting",
    config: ConfigOption = None,
) -> None:
    """Decide tiers from scores: `{"agency": 6.1, …}` or `{"scores": {…}, "content_rules": […]}`.

    ScoredArticle records of the filter, of whatever version, are such objects: what was published
    is decided again. One JSON line out for each line in, in order, with the line's `id` (or its
    article's) if it has one; exit 1 if one was bad, or of another filter.

    Example: newsieve tier --filter uplifting scores.jsonl
    """
    chosen = read_settings(config).filters.registry.load(filter_)
    dead_letters = 0
    with open_input(file) as stream:
        lines = lines_of(stream)
        while batch := list(islice(lines, BATCH_LINES)):
            parsed = [_parse(line, chosen) for _, line in batch]
            decided = iter(
                _decide(chosen, [item for item in parsed if isinstance(item, ScoreObject)])
            )
            for (number, _), item in zip(batch, parsed, strict=True):
                if isinstance(item, RecordError):
                    dead_letters += 1
                    printed = dead_letter_line(number, item)
                else:
                    printed = next(decided)
                write_line(printed)
    sys.stdout.buffer.flush()
    exit_for_dead_letters(dead_letters)


def _parse(line: bytes, filter_: Filter) -> ScoreObject | RecordError:
    definition = filter_.definition
    try:
        return parse_score_object(
            line, filter_.name, definition.dimension_names, definition.rule_names
        )
    except RecordError as error:
        return error


def _decide(filter_: Filter, objects: Sequence[ScoreObject]) -> list[bytes]:
    if not objects:
        return []
    names = filter_.definition.dimension_names
    scores = round_scores(np.array([item.scores for item in objects], dtype=np.float64))
    decided = filter_.tiering.decide(scores, [item.rules for item in objects])
    return [
        orjson.dumps(
            {
                **({"id": objects[at].id} if objects[at].id is not None else {}),
                "scores": dict(zip(names, row, strict=True)),
                "weighted_average": decided.weighted_average[at],
                "score": decided.score[at],
                "gates": decided.gates[at],
                "caps": decided.caps[at],
                "tier": decided.tier[at],
            }
        )
        for at, row in enumerate(scores.tolist())
    ]
