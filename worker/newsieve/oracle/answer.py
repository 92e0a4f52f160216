"""Reads a model's answer strictly: every dimension, whole numbers from 0 to 10, nothing guessed.

One Markdown fence, or one block of thoughts before the answer, is taken off, and nothing else. Only
the scores are trusted. What the model says beside them is kept for people, cut to size, and never
makes an answer invalid. How the model was asked this module does not know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.oracle.prompt import CONTENT_TYPE, KEY_MARKERS, REASONING, SCORES
from newsieve.outgoing.redaction import NOTHING_MASKED, Redactor
from newsieve_schemas.base import whole

MAX_REASONING_CHARACTERS: Final = 2_000  # the prompt asks for two or three sentences
MAX_MARKERS: Final = 10
MAX_MARKER_CHARACTERS: Final = 200
QUOTED_CHARACTERS: Final = 40  # of a wrong value, in the message

FENCE: Final = "```"
THOUGHTS: Final = ("<think>", "</think>")

# How answers can fail: those that fail in the same way are counted together.
Kind = Literal["empty", "cut off", "fenced", "thoughts", "not JSON", "not the schema"]


class InvalidAnswer(Exception):
    """An answer cannot be used: the reason for people, and the kind of its failure."""

    def __init__(self, why: str, kind: Kind = "not the schema") -> None:
        super().__init__(why)
        self.kind: Kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid answer. `scores` has all of the filter's dimensions, in the filter's order."""

    scores: dict[str, int]
    content_type: str | None
    reasoning: str | None
    key_markers: list[str] | None


def read_answer(text: str, dimensions: Sequence[str], mask: Redactor = NOTHING_MASKED) -> Answer:
    """Return the answer in a model's text; what is kept of it for people is masked. Raises
    InvalidAnswer."""
    fields = _parsed(text)
    if not isinstance(fields, dict) or not isinstance(fields.get(SCORES), dict):
        raise InvalidAnswer(f"no object with an object `{SCORES}`")
    scores = {name: _score(fields[SCORES], name, mask) for name in dimensions}
    return Answer(
        scores=scores,
        content_type=_text(fields.get(CONTENT_TYPE), MAX_MARKER_CHARACTERS, mask),
        reasoning=_text(fields.get(REASONING), MAX_REASONING_CHARACTERS, mask),
        key_markers=_texts(fields.get(KEY_MARKERS), mask),
    )


def _score(scores: dict[str, Any], name: str, mask: Redactor) -> int:
    if name not in scores:
        raise InvalidAnswer(f"{name} is missing")
    value = whole(scores[name])  # to JSON Schema, 6.0 is an integer
    if type(value) is not int:  # true is an int to isinstance
        raise InvalidAnswer(f"{name}: {_quoted(value, mask)} is not a whole number")
    if not SCORE_MIN <= value <= SCORE_MAX:
        raise InvalidAnswer(f"{name}: {_quoted(value, mask)} is not from 0 to 10")
    return value


def _parsed(text: str) -> Any:
    """Return the JSON value, with at most one wrapping taken off. Raises InvalidAnswer."""
    try:
        return _json(_unwrapped(text))
    except json.JSONDecodeError as error:
        raise InvalidAnswer(f"not JSON at character {error.pos}", _kind_of(text)) from None
    except (ValueError, RecursionError):
        raise InvalidAnswer("not JSON: a number or a nesting beyond all bounds") from None


def _unwrapped(text: str) -> str:
    """Take off what models add unasked: a Markdown fence around the answer, or thoughts before
    it."""
    text = text.strip()
    if text.startswith(FENCE) and text.endswith(FENCE):
        language, _, rest = text.partition("\n")
        if language[len(FENCE) :].strip().isalnum() or language.strip() == FENCE:
            return rest[: -len(FENCE)]
    if text.startswith(THOUGHTS[0]):
        return text.partition(THOUGHTS[1])[2] or text
    return text


def _kind_of(text: str) -> Kind:
    start = text.lstrip()
    if start.startswith(FENCE):
        return "fenced"
    return "thoughts" if start.startswith(THOUGHTS[0]) else "not JSON"


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)


def _text(value: Any, limit: int, mask: Redactor) -> str | None:
    """Mask the text, then cut it, and put ? for lone surrogates, which have no UTF-8 form."""
    if not isinstance(value, str):
        return None
    return mask(value)[:limit].encode("utf-8", "replace").decode()


def _texts(value: Any, mask: Redactor) -> list[str] | None:
    if not isinstance(value, list):
        return None
    texts = (_text(item, MAX_MARKER_CHARACTERS, mask) for item in value[:MAX_MARKERS])
    return [text for text in texts if text is not None]


def _quoted(value: Any, mask: Redactor) -> str:
    return mask(json.dumps(value))[:QUOTED_CHARACTERS]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise InvalidAnswer("not JSON: a key stands twice in one object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidAnswer(f"not JSON: {name}")
