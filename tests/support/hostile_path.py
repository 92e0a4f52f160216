"""A record's path through a worker, but for Kafka, tokenizer and model, and what it costs there.

It does not know what hostile records look like: see `hostile_shapes`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Final

import numpy as np

from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.inference.scorer import FilterScores, Tokens
from newsieve.programs.scoring.path import ScoringPath
from newsieve.records.dead_letter import RecordPosition, Writer, dead_letter
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.settings.loader import load_settings
from tests.support.filters import load

FILTERS: Final = ("uplifting", "sustainability", "investment_risk")
STUDENT: Final = "sha256:" + "0" * 64
DIMENSIONS: Final = 8
WRITER: Final = Writer("articles.dead-letter", "g", "1.0")
PLACE: Final = RecordPosition("articles.raw", 0, 0)
NOW: Final = "2026-11-22T16:00:00.000Z"


class HighScores:
    """A scorer by which every article is published and asked about: the most output there is."""

    def submit(
        self, _: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        done: Future[dict[str, FilterScores]] = Future()
        done.set_result(
            {
                name: FilterScores(
                    np.full((len(rows), DIMENSIONS), 8.0),
                    [Tokens([0], truncated=False)] * len(rows),
                    {},
                )
                for name, rows in wanted.items()
            }
        )
        return done

    def close(self) -> None:
        """Nothing to end."""


def hostile_path() -> ScoringPath:
    """The worker's own, with three filters; ids may come from keys, everything is sampled, and a
    key of the draw looks for signatures."""
    settings = load_settings(
        None,
        {
            "NEWSIEVE_WORKER__ID_FROM_KEY": "true",
            "NEWSIEVE_SAMPLING__LOW": "1",
            "NEWSIEVE_SAMPLING__SURFACED": "1",
            "NEWSIEVE_SAMPLING__KEY": "0" * 64,
        },
    )
    identities = [StudentIdentity(load(name), STUDENT, "fp32") for name in FILTERS]
    return scoring_path(settings, identities, HighScores())


def cpu_seconds(path: ScoringPath, record: RawRecord) -> float:
    """Of this thread, for all that becomes of one record: its outcomes or its dead letter."""
    began = time.thread_time()
    rows = path.finish(path.start([record]))
    error = rows[0].outcomes[0].error
    if error is not None:
        dead_letter(record, PLACE, error, None, WRITER, NOW)
    return time.thread_time() - began


def size_of(record: RawRecord | OutRecord) -> int:
    """With two bytes a header, as on the wire."""
    headers = sum(len(name) + len(value or b"") + 2 for name, value in record.headers or ())
    return len(record.value or b"") + len(record.key or b"") + headers
