"""Score objects for `newsieve tier`: `{"agency": 6.1, …}`, or `scores` with `content_rules`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from worker.codec.json_text import MAX_RECORD_BYTES, parse
from worker.errors import InvalidContentRules, InvalidScore, MissingDimension, NotAnObject
from worker.rules.definition import SCORE_MAX, SCORE_MIN

RULE_FIELDS: Final = ("content_rules", "caps")


class ScoreObject(NamedTuple):
    """Scores in dimension order, and the content rules the text met."""

    scores: list[float]
    rules: frozenset[str]


def parse_score_object(line: bytes, dimensions: Sequence[str], rules: Sequence[str]) -> ScoreObject:
    """Raises RecordError: nothing is filled in, nothing is converted."""
    facts = parse(line, MAX_RECORD_BYTES)
    if not isinstance(facts, dict):
        raise NotAnObject("not a JSON object")
    scores = facts.get("scores", facts)
    if not isinstance(scores, dict):
        raise InvalidScore("scores is not an object")
    return ScoreObject([_score(scores, name) for name in dimensions], _rules(facts, rules))


def _score(scores: Mapping[str, Any], name: str) -> float:
    if name not in scores:
        raise MissingDimension(f"{name} is missing")
    value = scores[name]
    if type(value) not in (int, float):  # a boolean is an int to isinstance
        raise InvalidScore(f"{name} is {value!r:.60}, not a number")
    if not SCORE_MIN <= value <= SCORE_MAX:  # nor is a NaN
        raise InvalidScore(f"{name} is {value!r:.60}, outside 0-10")
    return float(value)


def _rules(facts: Mapping[str, Any], known: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for field in RULE_FIELDS:
        names = facts.get(field)
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidContentRules(f"{field} is not a list of rule names")
        found.update(names)
    unknown = sorted(found - set(known))
    if unknown:
        raise InvalidContentRules(
            f"no content rule {unknown[0]!r:.60}; there are: {', '.join(known) or 'none'}"
        )
    return frozenset(found)
