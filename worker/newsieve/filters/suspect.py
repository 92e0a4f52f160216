"""Articles that speak to a model: a mark, cheaply found, that decides nothing about a tier.

The kinds of it are content rules of a sort: they are met in the same linear pass over the same
folded text as a filter's own. What is known is found, and what is rephrased is not: a mark keeps
an article out of training and of the drift monitor's statistics, and its absence proves nothing.
Knows no prompt but the names of its dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from newsieve.filters.content_rules import ContentRules
from newsieve.filters.definition import Rule
from newsieve.filters.folding import HIDDEN_TEXT
from newsieve.filters.suspect_phrases import ANSWERS, INSTRUCTIONS, ROLE_MARKERS

KINDS: Final = ("instruction", "scores", "role_marker", "answer", "hidden_text")

_QUOTES: Final = r"[\"'`*\\]{0,3}"
_NUMBER: Final = r"(?:10|[0-9])(?:\.0)?"
_ASSIGNED: Final = r" ?(?:[:=]|-|is|to|of)? ?"


@dataclass(frozen=True, slots=True)
class SuspectRules:
    """A rule for each kind, named by it: to be compiled with filters' own."""

    rules: tuple[Rule, ...]


def suspect_rules(dimensions: Iterable[str]) -> SuspectRules:
    """`dimensions` are those of the filters at work, whose names beside numbers are a mark."""
    patterns = (INSTRUCTIONS, _scores(dimensions), ROLE_MARKERS, ANSWERS, (HIDDEN_TEXT,))
    return SuspectRules(
        tuple(
            Rule(name=kind, patterns=list(found), description="Speaks to a model.")
            for kind, found in zip(KINDS, patterns, strict=True)
        )
    )


class Detector:
    """The same where no content rules are met: label files, and data sets for training."""

    def __init__(self, dimensions: Iterable[str]) -> None:
        self._rules = ContentRules([suspect_rules(dimensions)])

    def kinds(self, text: str) -> list[str]:
        """Of a rendered article, in the order of KINDS; empty for most."""
        return list(self._rules.match(text, None, None)[0].names)


def _scores(dimensions: Iterable[str]) -> tuple[str, ...]:
    """A dimension with its score as an answer has it, or two of them in a row however written.

    One alone in a sentence is none: "the agency: 10 people were hurt".
    """
    names = "|".join(sorted({re.escape(name).replace("_", "[ _-]") for name in dimensions}))
    one = f"\\b(?:{names}){_QUOTES}"
    in_words = f"{one}{_ASSIGNED}{_NUMBER}(?:/10)?"
    number_first = f"\\b(?:10|[0-9]|ten) (?:for|on|in) (?:{names})"
    return (
        f"{number_first}[^a-z0-9]{{1,4}}(?:and )?{number_first}",
        f"{one} ?[:=] ?{_QUOTES}{_NUMBER}(?:/10|[\"',;)}}\\]\\\\]|\\. |\\.?$)",
        f"{in_words}[^a-z0-9]{{1,4}}(?:and )?{_QUOTES}{in_words}",
    )
