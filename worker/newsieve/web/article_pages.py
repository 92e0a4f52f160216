"""Articles as pages: the list by filter and tier, what comes meanwhile, and one article whole.

It knows no SQL and no markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from newsieve.filters.rendering import rendered_title
from newsieve.store.counts import Total, recent_values, totals
from newsieve.store.queries import MOST_ROWS, ArticleQuery
from newsieve.store.reader import StoredLabel, StoredOutcome
from newsieve.store.rows import BLOCKED
from newsieve.web.article_query import ArticleParameters
from newsieve.web.articles_api import LastEventId, StreamParameters
from newsieve.web.cards import CardMaker
from newsieve.web.layout import Layout
from newsieve.web.problems import HttpError
from newsieve.web.refreshed import Refreshed
from newsieve.web.shown import MOST_CONTENT_CHARACTERS
from newsieve.web.site import Site

TOTALS_SECONDS: Final = 5.0  # how old the counts at the tabs may be
VALUES_SECONDS: Final = 30.0  # and the sources and languages that are proposed
MOST_COPIES: Final = 100
# What a stream is chosen by; a list that is chosen by more is not told of news.
STREAMED: Final = frozenset({"filter", "tier", "source", "language", "min_score"})
FEEDS: Final = {"atom": "application/atom+xml", "json": "application/feed+json"}


class PageParameters(ArticleParameters):
    """Which articles a page lists."""

    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 30


class Tab(NamedTuple):
    """A filter, or a tier, to choose."""

    label: str
    address: str
    is_chosen: bool
    outcomes: int


class FeedLink(NamedTuple):
    """A feed of what a page lists."""

    title: str
    media_type: str
    address: str


def article_pages(site: Site, layout: Layout) -> APIRouter:
    """Return the routes of lists and articles."""
    router = APIRouter(include_in_schema=False)
    cards = CardMaker(site)
    _add_lists(router, site, layout, cards)
    _add_articles(router, site, layout, cards)
    return router


def _add_lists(router: APIRouter, site: Site, layout: Layout, cards: CardMaker) -> None:
    """Add the routes of lists, and of what comes to them."""
    listed = _Listed(site)
    reader = site.reader

    @router.get("/")
    def first() -> Response:
        """Lead to the first filter's articles."""
        name = next(iter(site.filters), None)
        return RedirectResponse(_address("/articles", {"filter": name}), 307)

    @router.get("/articles")
    def articles(request: Request, wanted: Annotated[PageParameters, Query()]) -> Response:
        """List articles, the newest first."""
        last = reader.last_outcome()  # before the page is read, so that nothing is missed
        page = reader.articles(wanted.query())
        return layout.page(
            request,
            "articles.html",
            cards=cards.fragments(page.outcomes),
            ids=[item.id for item in page.outcomes],
            older=_link(wanted, before=page.next) if page.next is not None else None,
            newest=_link(wanted) if wanted.before is not None else None,
            stream=_stream(wanted, last),
            wanted=wanted,
            **listed.choices(wanted),
        )

    @router.get("/stream", response_class=StreamingResponse)
    async def stream(
        wanted: Annotated[StreamParameters, Query()],
        last_event_id: LastEventId = "",
    ) -> Response:
        """Send cards as they come, and those that came meanwhile."""
        query = ArticleQuery(**wanted.model_dump(exclude={"since_id"}))
        return site.streams.open(query, wanted.cursor(last_event_id), cards.event)


def _add_articles(router: APIRouter, site: Site, layout: Layout, cards: CardMaker) -> None:
    """Add the routes of single articles."""
    reader = site.reader

    @router.get("/articles/by-id/{article_id:path}")
    def by_id(article_id: str) -> Response:
        """Lead to the newest outcome of an article."""
        outcomes = reader.outcomes_of_article(article_id)
        if not outcomes:
            raise HttpError(404, f"No article {article_id!r:.200} is in the store.")
        return RedirectResponse(f"/articles/{outcomes[0].id}", 307)

    @router.get("/articles/{outcome_id}")
    def article(request: Request, outcome_id: int) -> Response:
        """Show one article with all that is known of it."""
        outcome = _outcome(site, outcome_id)
        outcomes = reader.outcomes_of_text(outcome.text_id)
        labels = reader.labels([outcome.text_id])
        content = reader.content(outcome.text_id) or ""
        others = sorted(outcomes, key=lambda item: item.id != outcome.id)
        return layout.page(
            request,
            "article.html",
            cards=[cards.card(item, _label_of(item, labels), MOST_COPIES) for item in others],
            title=_title(outcome),
            content=content[:MOST_CONTENT_CHARACTERS],
            left_out=max(len(content) - MOST_CONTENT_CHARACTERS, 0),
            records=[(item.filter, _indented(item.record)) for item in others],
            labels=[(item.filter, item.oracle, _indented(item.record)) for item in labels],
        )

    @router.get("/articles/{outcome_id}/text")
    def text(outcome_id: int) -> Response:
        """Send an article's text as a file."""
        content = reader.content(_outcome(site, outcome_id).text_id) or ""
        headers = {"content-disposition": f'attachment; filename="article-{outcome_id}.txt"'}
        body = content.encode(errors="replace")
        return Response(body, media_type="text/plain; charset=utf-8", headers=headers)


class _Listed:
    """What a list offers to choose from."""

    def __init__(self, site: Site) -> None:
        self._site = site
        reader = site.reader
        self._totals = Refreshed(lambda: totals(reader), TOTALS_SECONDS)
        self._sources = Refreshed(lambda: recent_values(reader, "source"), VALUES_SECONDS)
        self._languages = Refreshed(lambda: recent_values(reader, "language"), VALUES_SECONDS)

    def choices(self, wanted: PageParameters) -> dict[str, Any]:
        """Return the tabs, feeds and proposals beside a list."""
        known = self._totals.get() or []
        return {
            "filters": list(self._filters(wanted, known)),
            "tiers": self._tiers(wanted, known) if wanted.filter is not None else [],
            "feeds": self._feeds(wanted),
            "sources": self._sources.get() or [],
            "languages": self._languages.get() or [],
            "outcomes": sum(item.outcomes for item in known),
        }

    def _filters(self, wanted: PageParameters, known: Sequence[Total]) -> list[Tab]:
        names = dict.fromkeys([*self._site.filters, *sorted(item.filter for item in known)])
        tabs = [
            Tab(
                name,
                _link(wanted, filter=name, tier=None),
                wanted.filter == name,
                sum(item.outcomes for item in known if item.filter == name),
            )
            for name in names
        ]
        total = sum(tab.outcomes for tab in tabs)
        every = _link(wanted, filter=None, tier=None)
        return [*tabs, Tab("all filters", every, wanted.filter is None, total)]

    def _tiers(self, wanted: PageParameters, known: Sequence[Total]) -> list[Tab]:
        counts = {item.tier: item.outcomes for item in known if item.filter == wanted.filter}
        filter_ = self._site.filters.get(wanted.filter or "")
        defined = []
        if filter_ is not None:
            defined = [*filter_.definition.published_tiers, *filter_.tiering.tier_names]
        names = list(dict.fromkeys([*defined, *sorted(counts)]))
        if BLOCKED in names:  # the last one, whatever it sorts by
            names.remove(BLOCKED)
            names.append(BLOCKED)
        every = Tab("all", _link(wanted, tier=None), wanted.tier is None, sum(counts.values()))
        return [
            every,
            *(
                Tab(name, _link(wanted, tier=name), wanted.tier == name, counts.get(name, 0))
                for name in names
            ),
        ]

    def _feeds(self, wanted: PageParameters) -> list[FeedLink]:
        filter_ = self._site.filters.get(wanted.filter or "")
        if filter_ is None:
            return []
        published = filter_.definition.published_tiers
        tiers = published if wanted.tier is None else [wanted.tier] * (wanted.tier in published)
        chosen = {"language": wanted.language, "min_score": wanted.min_score}
        return [
            FeedLink(
                f"{filter_.name}: {tier}".replace("_", " "),
                media_type,
                _address(f"/feeds/{quote(filter_.name)}/{quote(tier)}.{kind}", chosen),
            )
            for tier in tiers
            for kind, media_type in FEEDS.items()
        ]


def _outcome(site: Site, outcome_id: int) -> StoredOutcome:
    outcome = site.reader.outcome(outcome_id) if 0 <= outcome_id < 2**62 else None
    if outcome is None:
        raise HttpError(404, "This article is not in the store, or not any more.")
    return outcome


def _stream(wanted: PageParameters, last: int) -> str | None:
    """Return the address of the news of a list; None where it has none."""
    given = wanted.model_dump(exclude_none=True, exclude={"limit"})
    if not STREAMED.issuperset(given):
        return None
    return _address("/stream", given | {"since_id": last})


def _link(wanted: PageParameters, **changes: str | None) -> str:
    """Return the address of a list; without `before` it begins with the newest."""
    given = wanted.model_dump(mode="json", exclude_defaults=True, exclude={"before"})
    return _address("/articles", given | changes)


def _address(path: str, parameters: Mapping[str, Any]) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _label_of(outcome: StoredOutcome, labels: Sequence[StoredLabel]) -> StoredLabel | None:
    return next((item for item in labels if item.filter == outcome.filter), None)


def _title(outcome: StoredOutcome) -> str:
    title = orjson.loads(outcome.record)["article"].get("title")
    shown = rendered_title(title) if isinstance(title, str) else ""
    return " ".join(shown.split()) or "(no title)"


def _indented(record: bytes) -> str:
    return orjson.dumps(orjson.loads(record), option=orjson.OPT_INDENT_2).decode()
