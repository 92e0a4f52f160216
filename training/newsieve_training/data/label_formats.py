"""Reads oracle labels in every shape they come in, and guesses nothing.

A label stands at the row's top level, under `oracle_scores` (one or a list) or under
`<filter>_analysis`; flat (`{"agency": 7}`), nested (`{"agency": {"score": 7}}`), or positional to
the row's `dimensions` (`{"oracle": "…", "scores": [7, …]}`). One bad value refuses the whole row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from newsieve.errors import DecodeError
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.records.json_lines import read_object
from newsieve_schemas.base import whole
from newsieve_schemas.label_row import LabelLine

UNKNOWN_ORACLE: Final = ""
ORACLE_FIELDS: Final = ("oracle", "oracle_key")
TIME_FIELDS: Final = ("scored_at", "labelled_at")


class BadLabel(Exception):
    """A row that cannot be used, with the field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def parse_row(raw: bytes) -> LabelLine:
    """Read a line of a labels file as the worker reads articles. Raises BadLabel."""
    try:
        return LabelLine(read_object(raw))
    except DecodeError as error:
        raise BadLabel("line", str(error)) from None


@dataclass(frozen=True, slots=True)
class Label:
    """The scores that one oracle gave an article, in the filter's dimension order."""

    oracle: str
    scores: tuple[int, ...]
    scored_at: str | None = None


def labels_of(row: Mapping[str, Any], filter_name: str, dimensions: Sequence[str]) -> list[Label]:
    """Return all labels of a row. Raises BadLabel, also when there is none."""
    labels = [
        Label(
            _oracle(label, where) or _oracle(row, "") or UNKNOWN_ORACLE,
            tuple(_scores(label, where, row, dimensions)),
            _first_text(label, TIME_FIELDS),
        )
        for where, label in _places(row, filter_name, dimensions)
    ]
    if not labels:
        raise BadLabel("oracle_scores", "the row has no label for this filter")
    return labels


def _places(
    row: Mapping[str, Any], filter_name: str, dimensions: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    analysis = f"{filter_name}_analysis"
    for field in ("oracle_scores", analysis):
        value = row.get(field)
        if value is None:
            continue
        for index, label in enumerate(value if isinstance(value, list) else [value]):
            where = f"{field}[{index}]" if isinstance(value, list) else field
            if not isinstance(label, dict):
                raise BadLabel(where, "not an object")
            yield where, label
    if any(name in row for name in dimensions):
        yield "", row


def _oracle(label: Mapping[str, Any], where: str) -> str | None:
    """Return who labelled, None where the label does not say.

    Raises BadLabel for a name that is no text: if it were passed over, labels of several oracles
    would count as those of one.
    """
    name = label.get("oracle")
    if name is not None and not isinstance(name, str):
        raise BadLabel(f"{where}.oracle".lstrip("."), f"{name!r} is not a text")
    return _first_text(label, ORACLE_FIELDS)


def _first_text(label: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    return next((label[name] for name in fields if isinstance(label.get(name), str)), None)


def _scores(
    label: Mapping[str, Any], where: str, row: Mapping[str, Any], dimensions: Sequence[str]
) -> Iterator[int]:
    prefix = f"{where}." if where else ""
    named = _by_name(label, prefix, row)
    for name in dimensions:
        if name not in named:
            raise BadLabel(prefix + name, "the dimension is missing")
        value = named[name]
        if isinstance(value, dict):
            value = value.get("score")
        value = whole(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadLabel(prefix + name, f"{value!r} is not an integer")
        if not SCORE_MIN <= value <= SCORE_MAX:
            raise BadLabel(prefix + name, f"{value} is outside 0-10")
        yield value


def _by_name(label: Mapping[str, Any], prefix: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    scores = label.get("scores", label)
    if isinstance(scores, dict):
        return scores
    names = row.get("dimensions")
    if not isinstance(scores, list) or not isinstance(names, list) or len(scores) != len(names):
        raise BadLabel(f"{prefix}scores", "not one score for each of the row's `dimensions`")
    if len(set(map(str, names))) != len(names):
        raise BadLabel("dimensions", "a name stands there twice")
    return dict(zip(map(str, names), scores, strict=True))
