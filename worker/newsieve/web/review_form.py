"""The form of a review as a browser sends it: read strictly, and kept where it is not valid.

It knows neither the store nor the page around the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request

from newsieve.filters.registry import Filter
from newsieve.review.judgement import SCORES, InvalidReview, Judgement, judgement, note_of
from newsieve.web.problems import HttpError

MOST_FORM_BYTES: Final = 100_000
MOST_FIELDS: Final = 200
SCORE_FIELD: Final = "score-"
SKIP: Final = "skip"
FORM: Final = "application/x-www-form-urlencoded"


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


async def read_form(request: Request) -> dict[str, str]:
    """Return a form's fields. Raises HttpError for what is no form of ours."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HttpError(415, f"A form is sent as {FORM}.")
    body = await request.body()
    if len(body) > MOST_FORM_BYTES:
        raise HttpError(413, f"A form has at most {MOST_FORM_BYTES:,} bytes.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise HttpError(422, "This is no form of this page.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise HttpError(422, "A field of the form stands there twice.")
    return fields


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
