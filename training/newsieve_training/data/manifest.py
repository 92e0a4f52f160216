"""What `prepare` made of the labels: the content of data/manifest.json.

Counts and hashes only: no text of an article, but for the reasons why bad rows were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from newsieve_training.pipeline.result_files import Part, ResultFile


class BadRow(Part):
    """A label row that could not be used. Lines are counted from 1."""

    file: str
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.field}: {self.reason}"


class DataManifest(Part, ResultFile):
    """The content of data/manifest.json. `rows`, `hashes` and `tiers` are by split, and
    `bad_rows_listed` has the first of the bad rows."""

    FILE: ClassVar = "data/manifest.json"

    rows: dict[str, int]
    hashes: dict[str, str]
    tiers: dict[str, dict[str, int]]
    oracles: dict[str, int]
    languages: dict[str, int]
    duplicate_groups: int
    remarks: Sequence[str] = ()  # runs of earlier versions have none
    kept_from_earlier_run: int
    rows_known_to_earlier_run: int
    rows_without_label: int
    rows_of_unnamed_oracles: int
    suspect_articles_left_out: int = 0  # likewise
    bad_rows: int
    bad_rows_listed: list[BadRow]
