"""A model's answer, read strictly: every dimension, whole numbers from 0 to 10, nothing guessed.

The scores are all that is trusted. What the model says beside them is kept for people, cut to
size, and never makes an answer invalid.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from worker.oracle.prompt import CONTENT_TYPE, KEY_MARKERS, REASONING, SCORES
from worker.rules.definition import SCORE_MAX, SCORE_MIN

MAX_REASONING_CHARACTERS: Final = 2_000  # the prompt asks for two or three sentences
MAX_MARKERS: Final = 10
MAX_MARKER_CHARACTERS: Final = 200
QUOTED_CHARACTERS: Final = 40  # of a wrong value, in the message


class InvalidAnswer(Exception):
    """Why an answer cannot be used, for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A label. `scores` has all of the filter's dimensions in its order."""

    scores: dict[str, int]
    content_type: str | None
    reasoning: str | None
    key_markers: list[str] | None


def read_answer(text: str, dimensions: Sequence[str]) -> Answer:
    """The answer in a model's text. Raises InvalidAnswer."""
    try:
        facts = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise InvalidAnswer(f"not JSON: {error}") from None
    if not isinstance(facts, dict) or not isinstance(facts.get(SCORES), dict):
        raise InvalidAnswer(f"no object with an object `{SCORES}`")
    scores = {name: _score(facts[SCORES], name) for name in dimensions}
    return Answer(
        scores=scores,
        content_type=_text(facts.get(CONTENT_TYPE), MAX_MARKER_CHARACTERS),
        reasoning=_text(facts.get(REASONING), MAX_REASONING_CHARACTERS),
        key_markers=_texts(facts.get(KEY_MARKERS)),
    )


def _score(scores: dict[str, Any], name: str) -> int:
    if name not in scores:
        raise InvalidAnswer(f"{name} is missing")
    value = scores[name]
    if type(value) is not int:  # true is an int to isinstance, and 5.0 is somebody's rounding
        raise InvalidAnswer(f"{name}: {_quoted(value)} is not a whole number")
    if not SCORE_MIN <= value <= SCORE_MAX:
        raise InvalidAnswer(f"{name}: {_quoted(value)} is not from 0 to 10")
    return value


def _text(value: Any, limit: int) -> str | None:
    """Cut, and with ? for lone surrogates, which have no UTF-8 form."""
    if not isinstance(value, str):
        return None
    return value[:limit].encode("utf-8", "replace").decode()


def _texts(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    found = (_text(item, MAX_MARKER_CHARACTERS) for item in value[:MAX_MARKERS])
    return [item for item in found if item is not None]


def _quoted(value: Any) -> str:
    return json.dumps(value)[:QUOTED_CHARACTERS]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
