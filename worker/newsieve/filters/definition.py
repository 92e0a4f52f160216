"""A filter as data: the models behind filter.toml, their checks and their two hashes.

`filter_hash` covers all that changes a decision; `label_hash` covers what a label means. A
description, a comment or the order of keys in the file changes neither. Where filters lie this
module does not know.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from newsieve.filters.conditions import AVERAGES, KEYWORDS, Condition, parse_condition
from newsieve.filters.folding import FOLDING
from newsieve.filters.rendering import RENDERING

SCORE_MIN: Final = 0.0
SCORE_MAX: Final = 10.0
WEIGHT_SUM_TOLERANCE: Final = 1e-9
# Conditions read some of these, score objects have the others beside their dimensions.
RESERVED: Final = KEYWORDS | AVERAGES | {"scores", "content_rules", "caps", "id", "filter"}

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Limit = Annotated[float, Field(ge=SCORE_MIN, le=SCORE_MAX)]


def _parse(text: Any) -> Any:
    if isinstance(text, dict | list):  # or a table that looks like a condition's tree would pass
        raise ValueError("a condition is a string")
    return parse_condition(text) if isinstance(text, str) else text


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} cannot name a dimension: it means something else beside scores")
    return name


# Serialised in one canonical form, so that the hash sees what it says and not how it is spaced.
When = Annotated[
    Condition,
    BeforeValidator(_parse),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "type": "string",
            "description": "A condition, such as: reach < 5 and not (substance >= 7 or score > 4)",
        }
    ),
]


class Inconsistent(ValueError):
    """A part of a filter contradicts another; `key` is the place of filter.toml to correct."""

    def __init__(self, message: str, key: tuple[int | str, ...]) -> None:
        super().__init__(message)
        self.key = key


class Part(BaseModel):
    """A part of filter.toml; it is closed, so a misspelt key is an error, and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Dimension(Part):
    """One scored quality and its weight in the average."""

    name: Annotated[Name, AfterValidator(_not_reserved)]
    weight: float = Field(ge=0, le=1)
    measures: str = Field(description="What it measures, for people.")
    scale: list[str] = Field(
        default=[], description="What 0-2, 3-4, 5-6, 7-8 and 9-10 mean, for people."
    )


class Rule(Part):
    """A content rule: an article meets it when a domain or a pattern fits and no `unless` pattern
    does."""

    name: Name
    blocks: bool = False
    field: Literal["text", "title"] = Field(
        default="text", description="What patterns read: title and content, or the title alone."
    )
    domains: list[str] = Field(default=[], description="Hosts, matched on a dot boundary.")
    patterns: list[str] = Field(default=[], description="RE2, case-insensitive.")
    unless: list[str] = Field(default=[], description="RE2: patterns that excuse the text.")
    description: str

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if not self.domains and not self.patterns:
            raise ValueError(f"rule {self.name} has neither domains nor patterns")
        return self


class Gate(Part):
    """Limits the average where its condition holds."""

    name: Name
    when: When
    limit: Limit


class Cap(Part):
    """Limits the average of articles that met a content rule, whose name is also the cap's."""

    rule: Name
    when: When | None = None
    limit: Limit


class Tier(Part):
    """A tier: an article gets the first one whose condition holds, and the last one has none."""

    name: Name
    when: When | None = None
    published: bool = False
    zero: bool = Field(default=False, description="The average and score of this tier are 0.")


class FilterDefinition(Part):
    """The content of a valid filter.toml."""

    name: Name
    version: int = Field(ge=1)
    description: str
    threshold_scale: Literal["integer", "exact"] = Field(
        description="integer: conditions on a dimension compare ⌊score + 0.5⌋."
    )
    dimensions: list[Dimension] = Field(min_length=1)
    rules: list[Rule] = []
    gates: list[Gate] = []
    caps: list[Cap] = []
    tiers: list[Tier] = Field(min_length=1)

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """The names of the dimensions, in their order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def published_tiers(self) -> tuple[str, ...]:
        """The names of the tiers that have a topic, each once."""
        return tuple(dict.fromkeys(tier.name for tier in self.tiers if tier.published))

    @property
    def blocking_rules(self) -> frozenset[str]:
        """The names of the content rules that block an article."""
        return frozenset(rule.name for rule in self.rules if rule.blocks)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The names of the content rules, in their order."""
        return tuple(rule.name for rule in self.rules)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_unique("dimension", self.dimension_names)
        _require_unique("rule", self.rule_names)
        _require_unique("cap", [cap.rule for cap in self.caps])
        _require_unique("gate", [gate.name for gate in self.gates])
        self._check_tiers_are_alike()
        total = sum(dimension.weight for dimension in self.dimensions)
        if abs(total - 1) > WEIGHT_SUM_TOLERANCE:
            raise Inconsistent(f"the weights sum to {total:.6g}, not 1", ("dimensions",))
        self._check_rules_are_used()
        self._check_conditions()
        return self

    def _check_tiers_are_alike(self) -> None:
        """A tier of several conditions is published, or zero, in all of them or in none."""
        first: dict[str, Tier] = {}
        for index, tier in enumerate(self.tiers):
            other = first.setdefault(tier.name, tier)
            if (other.published, other.zero) != (tier.published, tier.zero):
                raise Inconsistent(
                    f"tier {tier.name} is defined twice, with another published or zero",
                    ("tiers", index),
                )

    def _check_rules_are_used(self) -> None:
        capped = {cap.rule for cap in self.caps}
        for index, cap in enumerate(self.caps):
            if cap.rule not in self.rule_names:
                raise Inconsistent(
                    f"a cap names the rule {cap.rule}, which does not exist",
                    ("caps", index, "rule"),
                )
        for index, rule in enumerate(self.rules):
            if rule.blocks == (rule.name in capped):
                raise Inconsistent(
                    f"rule {rule.name} must either block or be named by a cap", ("rules", index)
                )

    def _check_conditions(self) -> None:
        before = {*self.dimension_names, "average"}
        for index, gate in enumerate(self.gates):
            _require_names(f"gate {gate.name}", gate.when, before, ("gates", index, "when"))
        for index, cap in enumerate(self.caps):
            _require_names(f"cap {cap.rule}", cap.when, before, ("caps", index, "when"))
        *conditional, last = self.tiers
        for index, tier in enumerate(conditional):
            key = ("tiers", index, "when")
            if tier.when is None:
                raise Inconsistent(f"tier {tier.name} has no condition, but is not the last", key)
            _require_names(f"tier {tier.name}", tier.when, {*before, "score"}, key)
        if last.when is not None:
            raise Inconsistent(
                f"the last tier, {last.name}, is for all the rest: no condition",
                ("tiers", len(conditional), "when"),
            )


PARTS: Final = (FilterDefinition, Dimension, Rule, Gate, Cap, Tier)


def filter_hash(definition: FilterDefinition) -> str:
    """Return the hash of all that changes a decision, which with rules includes how their text is
    folded."""
    fields = definition.model_dump(
        mode="json",
        exclude={
            "description": True,
            "dimensions": {"__all__": {"measures", "scale"}},
            "rules": {"__all__": {"description"}},
        },
    )
    return _hash({**fields, "folding": FOLDING} if definition.rules else fields)


def label_hash(definition: FilterDefinition, prompt: str, rendering: str = RENDERING) -> str:
    """Return the hash of what a label means: the dimensions in order, the prompt, the rendering."""
    fields = {
        "dimensions": definition.dimension_names,
        "prompt": prompt.strip().replace("\r\n", "\n"),
        "rendering": rendering,
    }
    return _hash(fields)


def _hash(fields: Any) -> str:
    canonical = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _require_unique(what: str, names: Sequence[str]) -> None:
    """Raise Inconsistent at the second part of the same name."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Inconsistent(f"{what} {name} is defined twice", (f"{what}s", index))


def _require_names(
    where: str, condition: Condition | None, known: set[str], key: tuple[int | str, ...]
) -> None:
    if condition is None:
        return
    for name in condition.names():
        if name not in known:
            raise Inconsistent(f"{where} names {name}; known are {', '.join(sorted(known))}", key)
