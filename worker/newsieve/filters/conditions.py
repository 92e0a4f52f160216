"""The closed grammar of conditions in filter.toml, parsed to a tree and evaluated on arrays.

    condition  := conjunction ("or" conjunction)*
    conjunction:= factor ("and" factor)*
    factor     := "not" factor | "(" condition ")" | comparison
    comparison := NAME ("<" | "<=" | ">" | ">=") NUMBER

Nothing is evaluated as code. Which names there are, and whether dimensions are compared rounded,
the caller decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Values = Mapping[str, npt.NDArray[np.float64]]
Mask = npt.NDArray[np.bool_]

# A binary sum misses an exact 4 or 7 in 16 % of integer score vectors; this is far above its
# error and far below the 1e-7 by which sums of 4-decimal scores can differ.
AVERAGE_TOLERANCE: Final = 1e-9
MAX_NESTING: Final = 50  # parentheses and nots; keeps the parser's recursion small

_TOKEN = re.compile(r"\s*(?:[a-z_][a-z0-9_]*|\d+(?:\.\d+)?|<=|>=|<|>|\(|\))")
KEYWORDS: Final = frozenset({"and", "or", "not"})
_COMPARISONS: Final[Mapping[str, Callable[[npt.NDArray[np.float64], float], Mask]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
AVERAGES: Final = frozenset({"average", "score"})


class ConditionError(ValueError):
    """A condition is not in the grammar. The message says where."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares one value with a limit: an average within AVERAGE_TOLERANCE, a dimension exactly."""

    name: str
    op: str
    limit: float

    def holds(self, values: Values) -> Mask:
        """Return for which articles the condition holds."""
        limit = self.limit
        if self.name in AVERAGES:
            limit += -AVERAGE_TOLERANCE if self.op in (">=", "<") else AVERAGE_TOLERANCE
        return _COMPARISONS[self.op](values[self.name], limit)

    def names(self) -> Iterator[str]:
        """Yield the names that the condition reads."""
        yield self.name

    def __str__(self) -> str:
        return f"{self.name} {self.op} {self.limit!r}"


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: Condition

    def holds(self, values: Values) -> Mask:
        return ~self.part.holds(values)

    def names(self) -> Iterator[str]:
        yield from self.part.names()

    def __str__(self) -> str:
        return f"not ({self.part})"


@dataclass(frozen=True, slots=True)
class And:
    """Holds where all of its parts hold."""

    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> Mask:
        holds: Mask = np.logical_and.reduce([part.holds(values) for part in self.parts])
        return holds

    def names(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.names()

    def __str__(self) -> str:
        return " and ".join(f"({part})" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Holds where one of its parts holds."""

    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> Mask:
        holds: Mask = np.logical_or.reduce([part.holds(values) for part in self.parts])
        return holds

    def names(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.names()

    def __str__(self) -> str:
        return " or ".join(f"({part})" for part in self.parts)


Condition = Comparison | Not | And | Or


def parse_condition(text: str) -> Condition:
    """Return the tree of a condition. Raises ConditionError."""
    if text.count("(") + text.count("not") > MAX_NESTING:
        raise ConditionError(f"in condition {text[:60]!r}…: nested more than {MAX_NESTING} deep")
    parser = _Parser(text)
    condition = parser.condition()
    parser.expect_end()
    return condition


class _Parser:
    """Parses the tokens of one condition by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def condition(self) -> Condition:
        parts = [self._conjunction()]
        while self._accept("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def expect_end(self) -> None:
        if self._next < len(self._tokens):
            raise self._error("the end")

    def _conjunction(self) -> Condition:
        parts = [self._factor()]
        while self._accept("and"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _factor(self) -> Condition:
        if self._accept("not"):
            return Not(self._factor())
        if self._accept("("):
            inner = self.condition()
            if not self._accept(")"):
                raise self._error("')'")
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        name = self._take(lambda token: token.isidentifier() and token not in KEYWORDS, "a name")
        op = self._take(lambda token: token in _COMPARISONS, "one of < <= > >=")
        number = self._take(lambda token: token[0].isdigit(), "a number")
        return Comparison(name, op, float(number))

    def _accept(self, token: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == token:
            self._next += 1
            return True
        return False

    def _take(self, fits: Callable[[str], bool], wanted: str) -> str:
        if self._next >= len(self._tokens) or not fits(self._tokens[self._next]):
            raise self._error(wanted)
        self._next += 1
        return self._tokens[self._next - 1]

    def _error(self, wanted: str) -> ConditionError:
        found = repr(self._tokens[self._next]) if self._next < len(self._tokens) else "the end"
        return ConditionError(f"in condition {self._text!r}: expected {wanted}, found {found}")


def _tokens(text: str) -> Iterator[str]:
    start = 0
    stripped = text.rstrip()
    while start < len(stripped):
        match = _TOKEN.match(stripped, start)
        if match is None:
            raise ConditionError(f"in condition {text!r}: cannot read {stripped[start:].strip()!r}")
        yield match[0].strip()
        start = match.end()
