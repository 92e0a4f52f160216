"""Finds the content rules, of all filters together, that an article meets, in one pass over its
text.

All patterns of all filters are one RE2 set, so the cost is linear in the text whatever the
patterns and however hostile the text. Texts are compared folded, addresses by their host. Knows
nothing of what a met rule leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import re2

from newsieve.errors import FilterInvalid
from newsieve.filters.address import host_of
from newsieve.filters.definition import Rule
from newsieve.filters.folding import HIDDEN_TEXT, TO_FOLD, fold, partly_folded
from newsieve.filters.rendering import rendered_title

# A budget for the automaton's lazily built states, not an allocation. Too small a one makes the
# set forget states and slow down; our three filters together use a few MiB of it.
AUTOMATON_BYTES: Final = 256 * 1024 * 1024


# A pattern of a few characters can stand for a million instructions, each of which may run at each
# character of an article. All of a shipped filter's together compile within 256 KiB.
PROGRAM_BYTES: Final = 4 * 1024 * 1024


class PatternError(FilterInvalid):
    """Patterns or domains cannot be met. `rule` names their rule, or is None where only all
    patterns together cannot be compiled."""

    def __init__(self, message: str, rule: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class RulesMet:
    """The rules of one filter that one article meets, and the first of them that blocks it."""

    names: tuple[str, ...]
    blocked_by: str | None


class Ruled(Protocol):
    """Anything that has rules, such as a filter."""

    @property
    def rules(self) -> Sequence[Rule]: ...


HOSTS_KEPT: Final = 10_000  # far more than a stream has sources; some MiB
COMBINATIONS_KEPT: Final = 10_000  # of rules met at once; texts can be written to meet any
NO_HITS: Final[frozenset[int]] = frozenset()


class ContentRules:
    """The rules of several filters, compiled together. Immutable; use from any thread."""

    def __init__(self, filters: Sequence[Ruled]) -> None:
        for item in filters:
            _require_small(item)
        self._rules = [
            (position, rule) for position, item in enumerate(filters) for rule in item.rules
        ]
        self._filter_count = len(filters)
        # Few of the combinations that could occur do, and the same ones again and again.
        self._by_hits: dict[frozenset[int], tuple[RulesMet, ...]] = {}
        self._by_host: dict[str, frozenset[int]] = {}
        self._text = _PatternSet(enumerate(rule for _, rule in self._rules), "text")
        self._title = _PatternSet(enumerate(rule for _, rule in self._rules), "title")
        self._domains = _rules_by_domain(enumerate(rule for _, rule in self._rules))

    def match(self, text: str, title: str | None, url: str | None) -> tuple[RulesMet, ...]:
        """Return for each filter the rules that this article meets, in the filter's order.

        `text` is the rendered article, `title` as it came. Without a url no domain rule fires.
        """
        hits = self._text.match(text)
        if title and self._title.size:
            hits |= self._title.match(rendered_title(title))
        if url:
            hits |= self._met_by_domain(url)
        known = self._by_hits.get(hits)
        if known is None:
            if len(self._by_hits) >= COMBINATIONS_KEPT:
                self._by_hits = {}
            known = self._by_hits[hits] = self._by_filter(hits)
        return known

    def _met_by_domain(self, url: str) -> frozenset[int]:
        host = host_of(url)
        known = self._by_host.get(host)
        if known is None:
            if len(self._by_host) >= HOSTS_KEPT:
                self._by_host = {}
            known = self._by_host[host] = self._met_by_host(host)
        return known

    def _met_by_host(self, host: str) -> frozenset[int]:
        while host:
            rules = self._domains.get(host)
            if rules is not None:
                return rules
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
    """The patterns of the rules that read one field, with what each match means.

    One more pattern shows whether the text has anything left to fold: only such a text is folded as
    a whole and matched twice. HIDDEN_TEXT is matched before that, since folding removes it.
    """

    def __init__(self, rules: Iterable[tuple[int, Rule]], field: str) -> None:
        self._set = re2.Set.SearchSet(_options())
        self._meaning: list[tuple[int, bool]] = []  # per pattern: rule index, whether it excuses
        self._before_folding: set[int] = set()  # patterns that are met then
        for index, rule in rules:
            if rule.field == field:
                for pattern in rule.patterns:
                    self._add(pattern, index, rule, excuses=False)
                for pattern in rule.unless:
                    self._add(pattern, index, rule, excuses=True)
        self.size = len(self._meaning)
        if self.size:
            self._set.Add(f"(?-i:{TO_FOLD})")
            self._compile(field)

    def match(self, text: str) -> frozenset[int]:
        """Return the numbers of the rules that the text meets."""
        matches = self._set.Match(partly_folded(text).encode()) if self.size else None
        if not matches:
            return NO_HITS
        if self.size in matches:
            folded = self._set.Match(fold(text)) or ()
            met_before = [match for match in matches if match in self._before_folding]
            matches = met_before + [match for match in folded if match != self.size]
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
        if fold(pattern) != pattern:
            raise PatternError(
                f"rule {rule.name}: pattern {pattern!r} would not match what it says, because "
                "rules read text with plain quotes, hyphens and single blanks, in Unicode's NFKC "
                f"form. Write {fold(pattern)!r} if that is what you mean",
                rule.name,
            )
        try:
            self._set.Add(pattern)
        except re2.error as error:
            raise PatternError(
                f"rule {rule.name}: pattern {pattern!r}: {error}", rule.name
            ) from None
        if pattern == HIDDEN_TEXT:
            self._before_folding.add(len(self._meaning))
        self._meaning.append((index, excuses))


def _rules_by_domain(rules: Iterable[tuple[int, Rule]]) -> dict[str, frozenset[int]]:
    """Return each listed domain's rules, including those of the domains above it."""
    listed: dict[str, set[int]] = {}
    for index, rule in rules:
        for domain in rule.domains:
            host = host_of(domain)
            if not host:
                raise PatternError(
                    f"rule {rule.name}: {domain!r} is no domain as example.org is", rule.name
                )
            listed.setdefault(host, set()).add(index)
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


def _require_small(ruled: Ruled) -> None:
    """Raise PatternError if one filter's patterns are a large program together. Any other fault of
    a single pattern is reported where the pattern is added."""
    patterns = [pattern for rule in ruled.rules for pattern in (*rule.patterns, *rule.unless)]
    options = _options()
    options.max_mem = PROGRAM_BYTES
    try:
        for pattern in patterns:
            re2.compile(pattern, options)
        re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), options)
    except re2.error as error:
        if b"too large" not in error.args[0]:
            return
        raise PatternError(
            f"the {len(patterns)} patterns are too large together: RE2 would need more than "
            f"{PROGRAM_BYTES:,} bytes. Repeat less: \\pL{{100}} is a program of its own"
        ) from None
