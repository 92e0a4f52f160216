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
    """The scores in the order of the dimensions, the content rules that the text met, and the
    article's id if the line names it."""

    scores: list[float]
    rules: frozenset[str]
    id: str | None


def parse_score_object(
    line: bytes, filter_name: str, dimensions: Sequence[str], rules: Sequence[str]
) -> ScoreObject:
    """Read a line of scores; nothing is filled in or converted. Raises RecordError."""
    fields = read_object(line)
    _require_filter(fields, filter_name)
    scores = fields.get("scores", fields)
    if not isinstance(scores, dict):
        why = "scores is not an object"
        if fields.get("outcome") == "blocked":
            why = f"blocked by {fields.get('blocked_by')!r:.60}: it has no scores to decide from"
        raise InvalidScore(why)
    values = [_score(scores, name) for name in dimensions]
    return ScoreObject(values, _rules(fields, rules), _id(fields))


def _require_filter(fields: Mapping[str, Any], wanted: str) -> None:
    """Raise OtherFilter for a record of another filter than the one that decides. Any version of it
    will do, because scores are decided again after the filter has changed."""
    name = fields.get("filter")
    if isinstance(name, str) and name.partition("/")[0] != wanted:
        raise OtherFilter(f"a record of the filter {name!r:.80}, not of {wanted}")


def _id(fields: Mapping[str, Any]) -> str | None:
    """Return the row's own id, otherwise its article's."""
    article = fields.get("article")
    inner = article.get("id") if isinstance(article, dict) else None
    return id_text(fields.get("id", inner))


def _score(scores: Mapping[str, Any], name: str) -> float:
    if name not in scores:
        raise MissingDimension(f"{name} is missing")
    value = scores[name]
    if type(value) not in (int, float):  # a boolean is an int to isinstance
        raise InvalidScore(f"{name} is {value!r:.60}, not a number")
    if not SCORE_MIN <= value <= SCORE_MAX:  # nor is a NaN
        raise InvalidScore(f"{name} is {value!r:.60}, outside 0-10")
    return float(value)


def _rules(fields: Mapping[str, Any], known: Sequence[str]) -> frozenset[str]:
    met: set[str] = set()
    for field in RULE_FIELDS:
        names = fields.get(field)
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidContentRules(f"{field} is not a list of rule names")
        met.update(names)
    unknown = sorted(met - set(known))
    if unknown:
        raise InvalidContentRules(
            f"no content rule {unknown[0]!r:.60}; there are: {', '.join(known) or 'none'}"
        )
    return frozenset(met)
