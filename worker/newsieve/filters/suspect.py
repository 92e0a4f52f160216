"""Marks articles that speak to a model. A mark decides nothing about a tier.

Each kind of mark is a content rule: it is met in the same linear pass over the same folded text as
the rules of filters. Known phrases are found, and rephrased ones are not: a mark keeps an article
out of training and out of the drift monitor's statistics, and its absence proves nothing. Of
prompts this module knows only the names of dimensions.
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
    """A rule for each kind, with the kind's name, to be compiled together with filters' rules."""

    rules: tuple[Rule, ...]


def suspect_rules(dimensions: Iterable[str]) -> SuspectRules:
    """Return the rules. `dimensions` are those of the loaded filters: their names beside numbers
    are a mark."""
    patterns = (INSTRUCTIONS, _scores(dimensions), ROLE_MARKERS, ANSWERS, (HIDDEN_TEXT,))
    return SuspectRules(
        tuple(
            Rule(name=kind, patterns=list(texts), description="Speaks to a model.")
            for kind, texts in zip(KINDS, patterns, strict=True)
        )
    )


class Detector:
    """Finds marks in texts whose content rules nobody needs, as in label files and data sets."""

    def __init__(self, dimensions: Iterable[str]) -> None:
        self._rules = ContentRules([suspect_rules(dimensions)])

    def kinds(self, text: str) -> list[str]:
        """Return the kinds of mark in a rendered article, in the order of KINDS; none for most."""
        return list(self._rules.match(text, None, None)[0].names)


def _scores(dimensions: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of a dimension with its score as in an answer, or of two in a row in any
    form.

    One alone in a sentence is no mark: "the agency: 10 people were hurt".
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
