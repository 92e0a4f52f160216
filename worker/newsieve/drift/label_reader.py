"""Reads lines of labels: OracleScores, or their short form.

    {"id": …, "student_version": …, "stratum": …, "purpose": …, "pi": …, "oracle_key": …,
     "student": {…}, "oracle": {…}}, of which only the scores are required

A third form is a line of `newsieve oracle label` with the student's scores put beside it, as
`student`. Reading is strict: no value is made up or converted. A stratum that is not given is that
of the student's own tier, unless the line says that its article is suspect. Lines are read in
batches, since tiers are decided in batches; a label does not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.error_streams import ErrorStreams, Floats
from newsieve.drift.label_fields import id_of, object_of, pi_of, rules_of, shown, text_of
from newsieve.errors import (
    InvalidLabel,
    InvalidScore,
    MissingDimension,
    RecordError,
)
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.sampling import LOW, PURPOSE, SURFACED, SUSPECT
from newsieve.records.json_lines import read_object
from newsieve_schemas.label_row import LabelLine
from newsieve_schemas.oracle import (
    DUPLICATE,
    INVALID,
    LABELLED,
    OVER_BUDGET,
    REFUSED,
    oracle_key_name,
)

MONITOR: Final = PURPOSE
REFERENCE: Final = "reference"
ANCHOR: Final = "anchor"
FAILURES: Final = frozenset({REFUSED, INVALID})
NOT_ASKED: Final = frozenset({OVER_BUDGET, DUPLICATE})
LARGEST_SCORE: Final = 1e300  # before clamping: larger scores could overflow a sum


class Label(NamedTuple):
    """One labelled article, or one that the oracle failed to label: then `values` is None."""

    position: int  # a line's number from 0, or milliseconds
    id: str | None
    student_version: str
    stratum: str
    purpose: str
    pi: float
    oracle_key: str | None  # None in a baseline that does not say whose labels it has
    policy: str
    values: Floats | None  # (S,), the streams
    differences: Floats | None  # (D,), student minus oracle
    tier_differs: bool = False  # whether student and oracle decide different tiers
    mean_error: float = math.nan  # the mean absolute error


class AnchorLabel(NamedTuple):
    """The scores that an oracle gave an anchor, None where it failed."""

    position: int
    id: str
    oracle_key: str
    scores: list[float] | None


class BadLine(NamedTuple):
    """A line that is no label, and the error that says why."""

    position: int
    error: RecordError


class _Row(NamedTuple):
    """A label before its streams are computed. A stratum of None is that of the student's tier."""

    position: int
    id: str | None
    student_version: str
    stratum: str | None
    purpose: str
    pi: float
    oracle_key: str | None
    policy: str
    student: list[float] | None
    oracle: list[float] | None
    rules: list[str]


class LabelReader:
    """Reads the labels of one filter."""

    def __init__(self, filter_name: str, streams: ErrorStreams) -> None:
        self._filter = filter_name
        self._streams = streams

    def read(self, lines: Iterable[tuple[int, bytes]]) -> list[Label | AnchorLabel | BadLine]:
        """Read (position, line) pairs, in order. Lines about other filters, of other purposes and
        about articles that the oracle was not asked about are left out."""
        rows: list[_Row | AnchorLabel | BadLine] = []
        for position, line in lines:
            try:
                row = self._row(position, line)
            except RecordError as error:
                rows.append(BadLine(position, error))
            else:
                rows += [] if row is None else [row]
        labels = iter(self._labels([row for row in rows if isinstance(row, _Row)]))
        return [next(labels) if isinstance(row, _Row) else row for row in rows]

    def _labels(self, rows: Sequence[_Row]) -> list[Label]:
        scored = [row for row in rows if row.student is not None]
        if scored:
            student = np.array([row.student for row in scored], dtype=np.float64)
            oracle = np.array([row.oracle for row in scored], dtype=np.float64)
            compared = self._streams.compare(student, oracle, [row.rules for row in scored])
        index = 0
        labels = []
        for row in rows:
            values = differences = None
            tier_differs, mean_error = False, math.nan
            stratum = row.stratum
            if row.student is not None:
                values, differences = compared.values[index], compared.differences[index]
                tier_differs = bool(compared.tier_differs[index])
                mean_error = float(compared.mean_errors[index])
                if stratum is None:
                    stratum = SURFACED if compared.surfaced[index] else LOW
                index += 1
            labels.append(
                Label(
                    position=row.position,
                    id=row.id,
                    student_version=row.student_version,
                    stratum=stratum or "",
                    purpose=row.purpose,
                    pi=row.pi,
                    oracle_key=row.oracle_key,
                    policy=row.policy,
                    values=values,
                    differences=differences,
                    tier_differs=tier_differs,
                    mean_error=mean_error,
                )
            )
        return labels

    def _row(self, position: int, line: bytes) -> _Row | AnchorLabel | None:
        fields = read_object(line)
        row = LabelLine(fields)
        if row.filter_name not in (None, self._filter) or row.is_dead_letter:
            return None
        if "oracle_scores" in fields:
            fields = _short_form(fields) if "article" in fields else self._label_row(row)
        status = text_of(fields, "status", LABELLED)
        purpose = text_of(fields, "purpose", MONITOR)
        if status in NOT_ASKED or purpose not in (MONITOR, REFERENCE, ANCHOR):
            return None
        if status != LABELLED and status not in FAILURES:
            raise InvalidLabel(f"status is {status!r:.60}, which no label has")
        is_failure = status in FAILURES
        oracle = None if is_failure else self._scores(fields, "oracle", SCORE_MIN, SCORE_MAX)
        oracle_key = text_of(fields, "oracle_key", "")
        if purpose == ANCHOR:
            return AnchorLabel(position, id_of(fields) or "", oracle_key, oracle)
        student = (
            None if is_failure else self._scores(fields, "student", -LARGEST_SCORE, LARGEST_SCORE)
        )
        stratum = fields.get("stratum")
        if is_failure and stratum is None:
            raise InvalidLabel(
                "stratum is missing, and without scores it does not follow from a tier"
            )
        return _Row(
            position=position,
            id=id_of(fields),
            student_version=text_of(fields, "student_version", ""),
            stratum=None if stratum is None else text_of(fields, "stratum", ""),
            purpose=purpose,
            pi=pi_of(fields),
            oracle_key=oracle_key,
            policy=text_of(fields, "policy", ""),
            student=student,
            oracle=oracle,
            rules=rules_of(fields),
        )

    def _label_row(self, row: LabelLine) -> dict[str, Any]:
        """Return a line of `newsieve oracle label` in the short form."""
        fields = row.fields
        if fields["oracle_scores"] is not None and fields.get("student") is None:
            raise InvalidScore(
                "student is missing: a line of `newsieve oracle label` has the oracle's scores "
                f"alone. `newsieve score ARTICLES --filter {self._filter}` makes the student's: "
                "put the `scores` of the same article's record beside the label, as `student`. An "
                "article that content rules block has none: leave its line out"
            )
        stratum = fields.get("stratum") or (SUSPECT if fields.get("suspect") else None)
        return {
            **fields,
            "stratum": stratum,
            "oracle": row.scores,
            "oracle_key": row.oracle_name,
        }

    def _scores(
        self, fields: Mapping[str, Any], name: str, lowest: float, highest: float
    ) -> list[float]:
        """Return scores in the order of dimensions. Raises MissingDimension or InvalidScore."""
        scores = fields.get(name)
        if type(scores) is not dict:
            problem = "is missing" if scores is None else "is not an object"
            raise InvalidScore(f"{name} {problem}")
        try:
            values = [scores[dimension] for dimension in self._streams.dimensions]
        except KeyError as missing:
            raise MissingDimension(f"{name}: {missing.args[0]} is missing") from None
        for dimension, value in zip(self._streams.dimensions, values, strict=True):
            if type(value) not in (int, float):  # a boolean is an int to isinstance
                raise InvalidScore(f"{name}: {dimension} is {shown(value)}, not a number")
            if not lowest <= value <= highest:  # nor is a NaN
                bounds = "0-10" if highest == SCORE_MAX else "what a number can be"
                raise InvalidScore(f"{name}: {dimension} is {shown(value)}, outside {bounds}")
        return values


def _short_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OracleScore in the short form."""
    article, oracle, sampling = (
        object_of(fields, name) for name in ("article", "oracle", "sampling")
    )
    return {
        "id": article.get("id"),
        "status": fields.get("status"),
        "student_version": fields.get("student"),
        "stratum": sampling.get("stratum"),
        "purpose": sampling.get("purpose"),
        "policy": sampling.get("policy"),
        "pi": fields["effective_pi"]
        if fields.get("effective_pi") is not None
        else sampling.get("pi"),
        "oracle_key": oracle_key_name(oracle),
        "student": fields.get("student_scores"),
        "oracle": fields.get("oracle_scores"),
        "content_rules": fields.get("content_rules"),
    }
