"""`/feeds/`: the articles of a filter, or of one of its tiers, for feed readers; and their list.

It does not know what an entry says, nor the formats.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

import newsieve
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredOutcome
from newsieve.web.article_query import Name, Score
from newsieve.web.conditional import Version, not_modified
from newsieve.web.feed_entries import EXCERPT_CHARACTERS, Feed, entry_of
from newsieve.web.feed_formats import ATOM, JSON_FEED, OPML, atom, json_feed, opml
from newsieve.web.problems import HttpError, ProblemRoute, usual_problems
from newsieve.web.site import Site

FRESH_SECONDS: Final = 60  # for which a reader need not ask again
MOST_ENTRIES: Final = 100
USUAL_ENTRIES: Final = 50
# What an excerpt is cut from: white space is joined, and other characters may need six.
READ_CHARACTERS: Final = 2 * EXCERPT_CHARACTERS
NAMESPACE: Final = uuid.UUID("1d0d7d2c-8a51-5c0e-9a47-5a7a34f3c1b2")

FilterName = Annotated[str, Path(alias="filter", description="A filter that is served.")]
TierName = Annotated[str, Path(description="A tier of the filter.")]


class FeedParameters(BaseModel):
    """Which articles a feed has, the newest first."""

    model_config = ConfigDict(extra="forbid")

    min_score: Score = Field(None, description="The least score, after gates and caps.")
    language: Name = Field(None, description="As the article's record has it.")
    limit: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] = Field(
        USUAL_ENTRIES, description="Articles of the feed."
    )

    def said(self) -> dict[str, object]:
        """Return the parameters that are not as they would be anyway."""
        return self.model_dump(exclude_defaults=True, exclude_none=True)


Parameters = Annotated[FeedParameters, Query()]


class Format(NamedTuple):
    """A format of feeds: its address's ending, its media type, and what writes it."""

    ending: str
    media_type: str
    write: Callable[[Feed], bytes]


SCHEMAS: Final = {JSON_FEED: "object"}
FORMATS: Final = (Format("atom", ATOM, atom), Format("json", JSON_FEED, json_feed))


class Wanted(NamedTuple):
    """A feed that is asked for; `tier` None is all tiers."""

    filter: str
    tier: str | None
    parameters: FeedParameters


def feeds_router(site: Site) -> APIRouter:
    """Return the routes of all feeds."""
    router = APIRouter(
        prefix="/feeds",
        tags=["feeds"],
        route_class=ProblemRoute,
        responses=usual_problems(401, 429),
    )

    @router.get(
        "/opml",
        operation_id="feeds",
        summary="The list of all feeds, as OPML",
        response_class=Response,
        responses=_documented(OPML),
    )
    def all_feeds(request: Request) -> Response:
        """Answers with a feed for each filter and for each of its tiers."""
        listed = {name: list(_feeds_of(site, request, name)) for name in site.filters}
        document = opml("newsieve", listed)
        etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
        return _answer(site, request, Version(etag, None), OPML, lambda: document)

    for format_ in FORMATS:
        _add_routes(router, site, format_)
    return router


def _add_routes(router: APIRouter, site: Site, format_: Format) -> None:
    responses = {**_documented(format_.media_type), **usual_problems(404, 422, 503)}
    name = format_.ending

    @router.get(
        f"/{{filter}}.{name}",
        operation_id=f"filter_{name}",
        summary=f"The articles of a filter, as {format_.media_type}",
        response_class=Response,
        responses=responses,
    )
    def filter_feed(request: Request, filter_: FilterName, parameters: Parameters) -> Response:
        """Answers with the newest articles of all tiers, copies of one story once."""
        return _feed(site, request, Wanted(filter_, None, parameters), format_)

    @router.get(
        f"/{{filter}}/{{tier}}.{name}",
        operation_id=f"tier_{name}",
        summary=f"The articles of a tier, as {format_.media_type}",
        response_class=Response,
        responses=responses,
    )
    def tier_feed(
        request: Request, filter_: FilterName, tier: TierName, parameters: Parameters
    ) -> Response:
        """Answers with the newest articles of one tier, copies of one story once."""
        return _feed(site, request, Wanted(filter_, tier, parameters), format_)


def _feed(site: Site, request: Request, wanted: Wanted, format_: Format) -> Response:
    """Answer with a feed. Raises HttpError."""
    _check(site, wanted)
    parameters = wanted.parameters
    query = ArticleQuery(
        filter=wanted.filter,
        tier=wanted.tier,
        language=parameters.language,
        min_score=parameters.min_score or 0.0,  # and not the blocked ones, which have none
        limit=parameters.limit,
    )
    outcomes = site.reader.articles(query).outcomes
    texts = [site.reader.content(item.text_id, READ_CHARACTERS) for item in outcomes]
    empty = _described(site, request, wanted, format_)

    def document() -> bytes:
        entries = map(entry_of, outcomes, texts)
        feed = Feed(
            id=empty.id,
            title=empty.title,
            subtitle=empty.subtitle,
            url=empty.url,
            home=empty.home,
            entries=[entry for entry in entries if entry is not None],
        )
        return format_.write(feed)

    version = _version_of(empty, outcomes, texts)
    return _answer(site, request, version, format_.media_type, document)


def _check(site: Site, wanted: Wanted) -> None:
    """Raise HttpError where there is no such filter, or tier of it."""
    filter_ = site.filters.get(wanted.filter)
    if filter_ is None:
        names = list(site.filters)
        raise HttpError(
            404,
            f"no filter {wanted.filter!r:.100} is served; there are {', '.join(names)}",
            filters=names,
        )
    tiers = _tiers_of(site, wanted.filter)
    if wanted.tier is not None and wanted.tier not in tiers:
        raise HttpError(
            404,
            f"{wanted.filter} has no feed of a tier {wanted.tier!r:.100}; there are "
            f"{', '.join(tiers)}",
            tiers=tiers,
        )


def _tiers_of(site: Site, filter_name: str) -> list[str]:
    definition = site.filters[filter_name].definition
    return list(dict.fromkeys(tier.name for tier in definition.tiers))


def _feeds_of(site: Site, request: Request, filter_name: str) -> Sequence[Feed]:
    usual = FeedParameters()
    return [
        _described(site, request, Wanted(filter_name, tier, usual), FORMATS[0])
        for tier in (None, *_tiers_of(site, filter_name))
    ]


def _described(site: Site, request: Request, wanted: Wanted, format_: Format) -> Feed:
    """Return a feed without its entries."""
    base = (site.settings.serve.url or str(request.base_url)).rstrip("/")
    name = wanted.filter if wanted.tier is None else f"{wanted.filter}/{wanted.tier}"
    said = urlencode(wanted.parameters.said())
    of_page = {"filter": wanted.filter} | ({} if wanted.tier is None else {"tier": wanted.tier})
    prefix = site.settings.kafka.topic_prefix
    owner = site.settings.serve.url or prefix
    whose = site.filters[wanted.filter]
    return Feed(
        id=uuid.uuid5(NAMESPACE, f"{owner}\n{name}\n{said}").urn,
        title=name if wanted.tier is None else f"{wanted.filter}: {wanted.tier}",
        subtitle=" ".join(whose.definition.description.split()),
        url=f"{base}/feeds/{name}.{format_.ending}" + (f"?{said}" if said else ""),
        home=f"{base}/articles?{urlencode(of_page)}",
        entries=(),
    )


def _version_of(
    feed: Feed, outcomes: Sequence[StoredOutcome], texts: Sequence[str | None]
) -> Version:
    """Return the version of a feed: it is another one when anything that it is made of is."""
    hasher = hashlib.sha256(f"{newsieve.__version__}\n{feed}".encode())
    for outcome, text in zip(outcomes, texts, strict=True):
        said = f"{outcome.id} {outcome.copies} {len(outcome.record)} {text!r}\n"
        hasher.update(said.encode())
        hasher.update(outcome.record)
    newest = max((item.scored_ms for item in outcomes), default=0) // 1_000
    return Version(f'"{hasher.hexdigest()[:32]}"', min(newest, int(time.time())))


def _answer(
    site: Site,
    request: Request,
    version: Version,
    media_type: str,
    document: Callable[[], bytes],
) -> Response:
    """Answer with a document, or that the client has it."""
    shared = "public" if site.access.is_open else "private"
    headers: Mapping[str, str] = {
        **version.headers(),
        "cache-control": f"{shared}, max-age={FRESH_SECONDS}",
    }
    if version.is_known(request.headers):
        return not_modified(headers)
    return Response(document(), headers=dict(headers), media_type=media_type)


def _documented(media_type: str) -> dict[int | str, dict[str, object]]:
    """Return what OpenAPI says of a document of a media type."""
    return {
        200: {
            "description": "The document.",
            "content": {media_type: {"schema": {"type": SCHEMAS.get(media_type, "string")}}},
        },
        304: {"description": "The client has it: `If-None-Match`, `If-Modified-Since`."},
    }
