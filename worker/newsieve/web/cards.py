"""An outcome as a card: what the list, the stream and an article's own page show of it.

A card is made once, and kept for as long as nothing about it changes. It knows no route.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson
from markupsafe import Markup
from pydantic import ValidationError

from newsieve.filters.registry import Filter
from newsieve.filters.rendering import rendered_title
from newsieve.store.excerpts import excerpts
from newsieve.store.reader import StoredLabel, StoredOutcome
from newsieve.store.rows import BLOCKED
from newsieve.web.articles_api import latest_labels
from newsieve.web.explanation import reasons, warnings
from newsieve.web.shown import clipped, shown_date, spoken_language, web_address
from newsieve.web.site import Site
from newsieve.web.templating import environment
from newsieve_schemas.oracle import OracleScore
from newsieve_schemas.scored import ScoredArticle

TITLE_CHARACTERS: Final = 240  # of a list; the whole is on the article's own page
NAME_CHARACTERS: Final = 80  # of a source or a language
MOST_COPIES: Final = 10  # in a list
EXCERPT_CHARACTERS: Final = 320
KEPT: Final = 2_000


class ScoreRow(NamedTuple):
    """A dimension's scores by the student and by the oracle; None where there is none."""

    name: str
    student: float | None
    oracle: int | None


class Copy(NamedTuple):
    """Another article of the same story."""

    id: int
    title: str
    source: str
    date: str


class Card(NamedTuple):
    """What a card shows. `address` is None for what is no address on the web; `record` is None for
    an outcome that is no ScoredArticle of this version."""

    id: int
    filter: str
    tier: str
    is_blocked: bool
    is_published: bool
    score: float | None
    title: str
    address: str | None
    source: str
    language: str
    speech: str | None  # the language, for screen readers
    date: str
    rows: list[ScoreRow]
    reasons: list[str]
    warnings: list[str]
    record: ScoredArticle | None
    label: OracleScore | None
    oracle: str
    copies: int
    copy_list: list[Copy]
    excerpt: str = ""


class CardMaker:
    """Makes cards of a site's outcomes; any thread may ask."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int, str, bytes], Markup] = OrderedDict()
        self._template = environment().get_template("card.html")

    def fragments(self, outcomes: Sequence[StoredOutcome]) -> list[Markup]:
        """Return the cards of a list, as markup."""
        labels = latest_labels(self._site, outcomes)
        texts = sorted({item.text_id for item in outcomes})
        beginnings = excerpts(self._site.reader, texts, EXCERPT_CHARACTERS) if texts else {}
        return [
            self._fragment(
                item, labels.get((item.text_id, item.filter)), beginnings.get(item.text_id, "")
            )
            for item in outcomes
        ]

    def event(self, outcome: StoredOutcome) -> bytes:
        """Return a card as a server-sent event."""
        (fragment,) = self.fragments([outcome])
        lines = b"".join(b"data: %b\n" % line.encode() for line in fragment.splitlines())
        return b"id: %d\n%b\n" % (outcome.id, lines)

    def card(
        self, outcome: StoredOutcome, label: StoredLabel | None, most_copies: int = MOST_COPIES
    ) -> Card:
        """Return what is shown of an outcome."""
        others = self._site.reader.copies(outcome, most_copies) if outcome.copies else []
        return make_card(outcome, label, self._site.filters.get(outcome.filter), others)

    def _fragment(self, outcome: StoredOutcome, label: StoredLabel | None, excerpt: str) -> Markup:
        key = (outcome.id, outcome.copies, excerpt, b"" if label is None else label.record)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return kept
        card = self.card(outcome, label)._replace(excerpt=" ".join(excerpt.split()))
        made = Markup(self._template.render(card=card))  # noqa: S704 - a template's
        with self._lock:
            self._kept[key] = made
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made


def make_card(
    outcome: StoredOutcome,
    label: StoredLabel | None,
    filter_: Filter | None,
    copies: Sequence[StoredOutcome] = (),
) -> Card:
    """Return what is shown of an outcome of a filter, which is None where it is not known here."""
    record = _record(outcome)
    oracle = _oracle_score(label)
    article = _article(outcome)
    language = clipped(article["language"], NAME_CHARACTERS)
    published = filter_.definition.published_tiers if filter_ is not None else ()
    return Card(
        id=outcome.id,
        filter=outcome.filter,
        tier=outcome.tier,
        is_blocked=outcome.tier == BLOCKED,
        is_published=outcome.tier in published,
        score=outcome.score,
        title=listed_title(article["title"]),
        address=web_address(article["url"]),
        source=clipped(article["source"], NAME_CHARACTERS),
        language=language,
        speech=spoken_language(language),
        date=shown_date(article["published_at"]),
        rows=score_rows(record, oracle),
        reasons=reasons(record, filter_) if record is not None else [],
        warnings=warnings(record) if record is not None else [],
        record=record,
        label=oracle,
        oracle=label.oracle if label is not None else "",
        copies=outcome.copies,
        copy_list=[_copy(item) for item in copies],
    )


def score_rows(record: ScoredArticle | None, label: OracleScore | None) -> list[ScoreRow]:
    """Return the scores of each dimension, in the record's order."""
    student = (record.scores if record is not None else None) or {}
    oracle = (label.oracle_scores if label is not None else None) or {}
    return [ScoreRow(name, student.get(name), oracle.get(name)) for name in {**student, **oracle}]


def _article(outcome: StoredOutcome) -> Mapping[str, str]:
    """Return an article's fields as text; the store has made sure that there are any."""
    article = orjson.loads(outcome.record)["article"]
    names = ("title", "url", "source", "language", "published_at")
    values = {name: article.get(name) for name in names}
    return {name: value if isinstance(value, str) else "" for name, value in values.items()}


def _record(outcome: StoredOutcome) -> ScoredArticle | None:
    try:
        return ScoredArticle.model_validate_json(outcome.record)
    except ValidationError:
        return None


def _oracle_score(label: StoredLabel | None) -> OracleScore | None:
    try:
        return OracleScore.model_validate_json(label.record) if label is not None else None
    except ValidationError:
        return None


def _copy(outcome: StoredOutcome) -> Copy:
    article = _article(outcome)
    source = clipped(article["source"], NAME_CHARACTERS)
    title = listed_title(article["title"])
    return Copy(outcome.id, title, source, shown_date(article["published_at"]))


def listed_title(title: str) -> str:
    """Return a title in one line, the beginning of a long one."""
    shown = " ".join(rendered_title(title).split())
    return clipped(shown, TITLE_CHARACTERS) or "(no title)"
