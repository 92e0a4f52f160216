"""The form of a review as a browser sends it: what it says, kept where it is not valid.

It knows neither the store nor the page around the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from newsieve.filters.registry import Filter
from newsieve.review.judgement import SCORES, InvalidReview, Judgement, judgement, note_of

SCORE_FIELD: Final = "score-"
SKIP: Final = "skip"


class Entered(NamedTuple):
    """What somebody has entered into a form, and what is wrong with it."""

    scores: Mapping[str, str]
    note: str
    problem: str


NOTHING: Final = Entered({}, "", "")


def entered_into(fields: Mapping[str, str], filter_: Filter, problem: str) -> Entered:
    """Return what a form has, to be shown again with what is wrong with it."""
    names = filter_.definition.dimension_names
    scores = {name: fields.get(SCORE_FIELD + name, "") for name in names}
    return Entered(scores, fields.get("note", ""), problem)


def form_judgement(fields: Mapping[str, str], filter_: Filter) -> Judgement:
    """Return what a form says. Raises InvalidReview, which names all dimensions without a score."""
    if fields.get("action") == SKIP:
        return Judgement(None, note_of(fields.get("note")))
    given = {
        name.removeprefix(SCORE_FIELD): value
        for name, value in fields.items()
        if name.startswith(SCORE_FIELD) and value
    }
    missing = [name for name in filter_.definition.dimension_names if name not in given]
    if missing:
        raise InvalidReview(f"No score yet: {', '.join(missing)}.")
    allowed = {str(score): score for score in SCORES}
    scores = {name: allowed.get(value, value) for name, value in given.items()}
    return judgement(scores, fields.get("note"), filter_)
