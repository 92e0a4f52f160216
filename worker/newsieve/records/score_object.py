"""Reads score objects for `newsieve tier`: `{"agency": 6.1, …}`, or `scores` with `content_rules`.

A ScoredArticle is one, too, if its filter is the one that decides: dimensions and rules of two
filters may have the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from newsieve.errors import InvalidContentRules, InvalidScore, MissingDimension, OtherFilter
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.records.json_lines import read_object
from newsieve_schemas.base import id_text

RULE_FIELDS: Final = ("content_rules", "caps")


class ScoreObject(NamedTuple):
    """Scores in the order of dimensions, the content rules that the text met, and the article's id
    if the line names it."""

    scores: list[float]
    rules: frozenset[str]
    id: str | None


def parse_score_object(
    line: bytes, filter_name: str, dimensions: Sequence[str], rules: Sequence[str]
) -> ScoreObject:
    """Read a line. Nothing is filled in or converted. Raises RecordError."""
    facts = read_object(line)
    _require_filter(facts, filter_name)
    scores = facts.get("scores", facts)
    if not isinstance(scores, dict):
        why = "scores is not an object"
        if facts.get("outcome") == "blocked":
            why = f"blocked by {facts.get('blocked_by')!r:.60}: it has no scores to decide from"
        raise InvalidScore(why)
    values = [_score(scores, name) for name in dimensions]
    return ScoreObject(values, _rules(facts, rules), _id(facts))


def _require_filter(facts: Mapping[str, Any], wanted: str) -> None:
    """Require that the record is of the filter that decides, in any version: scores are decided
    again because it has changed."""
    name = facts.get("filter")
    if isinstance(name, str) and name.partition("/")[0] != wanted:
        raise OtherFilter(f"a record of the filter {name!r:.80}, not of {wanted}")


def _id(facts: Mapping[str, Any]) -> str | None:
    """The row's own id, otherwise its article's."""
    article = facts.get("article")
    inner = article.get("id") if isinstance(article, dict) else None
    return id_text(facts.get("id", inner))


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
