"""Content rules: which of all filters' rules an article meets, in one pass over its text.

All patterns of all filters are one RE2 set, so the cost is linear in the text whatever the
patterns and however hostile the text. Knows nothing of what a met rule leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import re2

from worker.errors import FilterInvalid
from worker.rules.definition import FilterDefinition, Rule

# A budget for the automaton's lazily built states, not an allocation. Too small a one makes the
# set forget states and slow down; our three filters together use a few MiB of it.
AUTOMATON_BYTES: Final = 256 * 1024 * 1024


class PatternError(FilterInvalid):
    """Patterns that RE2 does not accept."""


@dataclass(frozen=True, slots=True)
class RulesMet:
    """What one filter's rules say of one article."""

    names: tuple[str, ...]
    blocked_by: str | None


# After a scheme and a user, up to a port or the path; an IPv6 address keeps its colons.
_HOST: Final = re.compile(r"\s*(?:[^/?#\\]*?://|//)?(?:[^/?#\\]*@)?(\[[^\]]*\]|[^/?#\\:\s]*)")

NO_HITS: Final[frozenset[int]] = frozenset()


class ContentRules:
    """The rules of several filters, compiled together. Immutable; use from any thread."""

    def __init__(self, filters: Sequence[FilterDefinition]) -> None:
        self._rules = [
            (position, rule) for position, item in enumerate(filters) for rule in item.rules
        ]
        self._filter_count = len(filters)
        # Few of the combinations that could occur do, and the same ones again and again.
        self._by_hits: dict[frozenset[int], tuple[RulesMet, ...]] = {}
        self._text = _PatternSet(enumerate(rule for _, rule in self._rules), "text")
        self._title = _PatternSet(enumerate(rule for _, rule in self._rules), "title")
        self._domains = _rules_by_domain(enumerate(rule for _, rule in self._rules))

    def met(self, text: str, title: str | None, url: str | None) -> tuple[RulesMet, ...]:
        """For each filter, the rules that this article meets, in the filter's order.

        `text` is the rendered article. Without a url no domain rule fires.
        """
        hits = self._text.met(text)
        if title and self._title.size:
            hits |= self._title.met(title)
        if url:
            hits |= self._met_by_domain(url)
        known = self._by_hits.get(hits)
        if known is None:
            known = self._by_hits[hits] = self._by_filter(hits)
        return known

    def _met_by_domain(self, url: str) -> frozenset[int]:
        host = host_of(url)
        while host:
            found = self._domains.get(host)
            if found is not None:
                return found
            host = host.partition(".")[2]
        return NO_HITS

    def _by_filter(self, hits: Iterable[int]) -> tuple[RulesMet, ...]:
        names: list[list[str]] = [[] for _ in range(self._filter_count)]
        blocked_by: list[str | None] = [None] * self._filter_count
        for index in sorted(hits):
            position, rule = self._rules[index]
            names[position].append(rule.name)
            if rule.blocks and blocked_by[position] is None:
                blocked_by[position] = rule.name
        return tuple(map(RulesMet, map(tuple, names), blocked_by))


class _PatternSet:
    """The patterns of those rules that read one field, and what each match means."""

    def __init__(self, rules: Iterable[tuple[int, Rule]], field: str) -> None:
        self._set = re2.Set.SearchSet(_options())
        self._meaning: list[tuple[int, bool]] = []  # per pattern: rule index, whether it excuses
        for index, rule in rules:
            if rule.field == field:
                for pattern in rule.patterns:
                    self._add(pattern, index, rule, excuses=False)
                for pattern in rule.unless:
                    self._add(pattern, index, rule, excuses=True)
        self.size = len(self._meaning)
        if self.size:
            self._compile(field)

    def met(self, text: str) -> frozenset[int]:
        matches = self._set.Match(text) if self.size else None
        if not matches:
            return NO_HITS
        meanings = [self._meaning[match] for match in matches]
        excused = {index for index, excuses in meanings if excuses}
        return frozenset(index for index, excuses in meanings if not excuses) - excused

    def _compile(self, field: str) -> None:
        try:
            self._set.Compile()
        except re2.error:
            raise PatternError(
                f"the {self.size} patterns of {field} rules are too large together: RE2 would need "
                f"more than {AUTOMATON_BYTES:,} bytes"
            ) from None

    def _add(self, pattern: str, index: int, rule: Rule, *, excuses: bool) -> None:
        try:
            self._set.Add(pattern)
        except re2.error as error:
            raise PatternError(f"rule {rule.name}: pattern {pattern!r}: {error}") from None
        self._meaning.append((index, excuses))


def _rules_by_domain(rules: Iterable[tuple[int, Rule]]) -> dict[str, frozenset[int]]:
    """Each listed domain's rules, including those of the domains above it."""
    listed: dict[str, set[int]] = {}
    for index, rule in rules:
        for domain in rule.domains:
            listed.setdefault(domain.lower(), set()).add(index)
    return {
        domain: frozenset().union(
            *(listed[above] for above in listed if f".{domain}".endswith(f".{above}"))
        )
        for domain in listed
    }


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = AUTOMATON_BYTES
    options.log_errors = False
    return options


def host_of(url: str) -> str:
    """The host of a url, lower case, without user, port or trailing dot; "" if there is none."""
    found = _HOST.match(url)
    return found[1].rstrip(".").lower() if found else ""
