"""Makes the drift monitor's reference rows: pairs of student's and oracle's scores of articles that
the student was not trained on, numbers only.

They are of articles that a worker scores and that do not speak to a model, since only those are
monitored: others are easier or harder, and would move the limit that a healthy student must not
cross.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED
from newsieve_training.data.label_aggregation import is_scored
from newsieve_training.pipeline.files import Row, read_jsonl
from newsieve_training.pipeline.run_folder import Run

PURPOSE: Final = "reference"


def reference_rows(run: Run, filter_: Filter) -> Iterator[Row]:
    """Yield the rows of baseline.jsonl, with the scores as they are published."""
    published = set(filter_.definition.published_tiers)
    for row in read_jsonl(run.path("predictions", "published.jsonl")):
        is_suspect = bool(row.get("suspect"))  # runs of earlier versions do not say
        if is_scored(row["content_rules"], filter_) and not is_suspect:
            yield {
                "stratum": SURFACED if row["tier"] in published else LOW,
                "purpose": PURPOSE,
                "pi": 1,
                "content_rules": row["content_rules"],
                "student": row["student"],
                "oracle": row["oracle"],
            }
