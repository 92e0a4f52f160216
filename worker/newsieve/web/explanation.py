"""Why an article has its tier, in sentences: rules, gates, caps, thresholds, confidence, tokens.

The conditions are those of the filter's definition on this machine, if it is the one that decided.
It knows neither pages nor markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from newsieve.filters.definition import FilterDefinition
from newsieve.filters.registry import Filter
from newsieve_schemas.scored import ScoredArticle

SUSPECT_KINDS: Final = {
    "instruction": "tells a model what to do",
    "scores": "names scores that it should get",
    "role_marker": "has marks of a model's roles",
    "answer": "has an answer in a model's place",
    "hidden_text": "has text that people do not see",
}


def reasons(record: ScoredArticle, filter_: Filter | None) -> list[str]:
    """Return what decided, in the order in which it did. `filter_` is the filter of that name on
    this machine, if there is one."""
    is_same = filter_ is not None and filter_.filter_hash == record.filter_hash
    definition = filter_.definition if filter_ is not None and is_same else None
    found = list(_rules(record, definition))
    if record.outcome == "scored":
        found += [*_limits(record, definition), *_tier(record, definition)]
    found += _reading(record)
    if not is_same:
        found.append(
            f"It was decided by another definition of {record.filter} than this machine has: its "
            "conditions are not known here."
        )
    return found


def warnings(record: ScoredArticle) -> list[str]:
    """Return in a few words each what a reader of the tier alone would miss."""
    found = []
    if record.gates or record.caps:
        found.append("limited")
    if record.truncated:
        found.append("read in part")
    if record.suspect:
        found.append("suspect")
    return found


def _rules(record: ScoredArticle, definition: FilterDefinition | None) -> Iterator[str]:
    rules = {rule.name: rule for rule in definition.rules} if definition is not None else {}
    for name in record.content_rules:
        said = f": {rules[name].description}" if name in rules else "."
        verb = "Blocked by" if name == record.blocked_by else "Met"
        yield f"{verb} the content rule `{name}`{said}"
    if record.blocked_by is not None and record.blocked_by not in record.content_rules:
        yield f"Blocked by the content rule `{record.blocked_by}`."


def _limits(record: ScoredArticle, definition: FilterDefinition | None) -> Iterator[str]:
    gates = {gate.name: gate for gate in definition.gates} if definition is not None else {}
    caps = {cap.rule: cap for cap in definition.caps} if definition is not None else {}
    for name in record.gates:
        if name in gates:
            gate = gates[name]
            yield f"The gate `{name}` limits the score to {gate.limit:g}, since `{gate.when}`."
        else:
            yield f"The gate `{name}` limits the score."
    for name in record.caps:
        if name in caps:
            cap = caps[name]
            since = f", since `{cap.when}`" if cap.when is not None else ""
            yield f"The cap of the rule `{name}` limits the score to {cap.limit:g}{since}."
        else:
            yield f"The cap of the rule `{name}` limits the score."


def _tier(record: ScoredArticle, definition: FilterDefinition | None) -> Iterator[str]:
    if record.weighted_average is not None and record.score is not None:
        average, score = record.weighted_average, record.score
        limited = f", limited to {score:.2f}" if abs(average - score) > 0.005 else ""  # noqa: PLR2004 - as it is shown
        yield f"The weighted average is {average:.2f}{limited}."
    if definition is not None and record.tier is not None:
        yield from _thresholds(record.tier, definition)
    if record.tier_confidence is not None:
        yield f"The tier is right with a probability of {record.tier_confidence:.0%}."


def _thresholds(tier: str, definition: FilterDefinition) -> Iterator[str]:
    """Yield the conditions of the tiers up to this one: the first that holds decides."""
    for item in definition.tiers:
        if item.name == tier and item.when is None:
            yield f"`{tier}` is for all the rest."
        elif item.name == tier:
            yield f"`{tier}` needs `{item.when}`."
        else:
            yield f"Not `{item.name}`, which needs `{item.when}`."
            continue
        if item.zero:
            yield "The average and the score of this tier count as 0."
        return


def _reading(record: ScoredArticle) -> Iterator[str]:
    if record.tokens is not None:
        cut = ", and no more: the text is longer" if record.truncated else ", the whole text"
        yield f"The student read {record.tokens:,} tokens{cut}."
    for kind in record.suspect:
        said = SUSPECT_KINDS.get(kind, f"speaks to a model ({kind})")
        yield f"Suspect: the text {said}. That decides nothing about the tier."
