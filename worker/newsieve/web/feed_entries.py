"""What a feed says: a heading, and an entry for each outcome with its score and the reasons.

Texts of articles are others' property: a feed has an excerpt. What others wrote is escaped for
people to see, so that it has no character that a format forbids. It knows no format.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from markupsafe import escape
from pydantic import ValidationError

from newsieve.filters.rendering import rendered_title
from newsieve.printable import one_line
from newsieve.store.reader import StoredOutcome
from newsieve_schemas.scored import ScoredArticle

TITLE_CHARACTERS: Final = 300
EXCERPT_CHARACTERS: Final = 300
NAME_CHARACTERS: Final = 100
HIGHEST: Final = 3  # dimensions that a summary names
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,8}")  # as BCP 47 has them
NOT_IN_ADDRESSES: Final = frozenset(' "<>\\^`{|}')


@dataclass(frozen=True, slots=True)
class Entry:
    """An outcome as a feed has it; times are in milliseconds since 1970. `id` is the same for ever,
    `url` the original's address where that is one on the web, `story` the id of the story's first
    article."""

    id: str
    title: str
    url: str | None
    source: str | None
    language: str | None
    published_ms: int
    updated_ms: int
    summary: str
    excerpt: str
    filter: str
    tier: str
    story: str
    outcome: ScoredArticle

    @property
    def html(self) -> str:
        """What there is to read, as HTML."""
        excerpt = f"<blockquote>{escape(self.excerpt)}</blockquote>" if self.excerpt else ""
        return f"<p>{escape(self.summary)}</p>{excerpt}"


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed. `url` is its own address, `home` that of the page with the same articles."""

    id: str
    title: str
    subtitle: str
    url: str
    home: str
    entries: Sequence[Entry]

    @property
    def updated_ms(self) -> int:
        """When its newest entry was scored; 1970 where there is none."""
        return max((entry.updated_ms for entry in self.entries), default=0)


def entry_of(stored: StoredOutcome, content: str | None) -> Entry | None:
    """Return the entry of an outcome with the beginning of its article's content; None where the
    record is none of newsieve's."""
    try:
        outcome = ScoredArticle.model_validate_json(stored.record)
    except ValidationError:
        return None
    article = outcome.article
    return Entry(
        id=uuid.UUID(bytes=stored.fact).urn,
        title=one_line(rendered_title(article.title), TITLE_CHARACTERS) or "(no title)",
        url=web_address(article.url),
        source=one_line(article.source or "", NAME_CHARACTERS) or None,
        language=article.language if LANGUAGE.fullmatch(article.language or "") else None,
        published_ms=min(stored.dated_ms, stored.scored_ms),  # nothing is from the future
        updated_ms=stored.scored_ms,
        summary=" ".join(_reasons(outcome, stored.copies)),
        excerpt=one_line(content or "", EXCERPT_CHARACTERS),
        filter=one_line(stored.filter, NAME_CHARACTERS),
        tier=one_line(stored.tier, NAME_CHARACTERS),
        story=stored.first_article,
        outcome=outcome,
    )


def moment(milliseconds: int) -> str:
    """Return a time as RFC 3339 has it, in whole seconds of UTC."""
    since_1970 = dt.timedelta(milliseconds=milliseconds)
    whole = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + since_1970
    return whole.isoformat(timespec="seconds").replace("+00:00", "Z")


def web_address(text: str | None) -> str | None:
    """Return an address on the web, with characters that none may have as percent signs; None for
    any other text."""
    if text is None or not text.lower().startswith(("https://", "http://")):
        return None
    return "".join(
        character
        if character.isprintable() and character not in NOT_IN_ADDRESSES
        else quote(character, errors="replace")
        for character in text
    )


def _reasons(outcome: ScoredArticle, copies: int) -> Iterator[str]:
    """Yield sentences that say how the outcome came about."""
    score = f": {outcome.score:.1f} of 10" if outcome.score is not None else ""
    confidence = outcome.tier_confidence
    sure = f", confidence {confidence * 100:.0f} %" if confidence is not None else ""
    said = f"{outcome.tier} of {outcome.filter} v{outcome.filter_version}{score}{sure}."
    yield one_line(said)
    if outcome.scores:
        yield f"Highest: {_listed(_highest(outcome.scores))}."
    if (outcome.gates or outcome.caps) and outcome.weighted_average is not None:
        limits = [*(f"gate {name}" for name in outcome.gates), *(f"cap {n}" for n in outcome.caps)]
        yield f"Limited by {_listed(limits)}; without, {outcome.weighted_average:.1f}."
    if outcome.content_rules:
        yield f"Content rules: {_listed(outcome.content_rules)}."
    if outcome.truncated:
        yield f"Only the first {outcome.tokens or 0:,} tokens were read."
    if outcome.suspect:
        yield f"The text speaks to a model: {_listed(outcome.suspect)}."
    if copies:
        yield f"Other articles of the same story: {copies:,}."


def _highest(scores: Mapping[str, float]) -> list[str]:
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return [f"{name} {score:.1f}" for name, score in ordered[:HIGHEST]]


def _listed(names: Sequence[str]) -> str:
    return one_line(", ".join(names))
