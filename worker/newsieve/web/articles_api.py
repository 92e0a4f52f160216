"""`/v1/articles` and `/v1/stream`: outcomes as JSON, a page of them or as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredLabel, StoredOutcome
from newsieve.web.article_query import ArticlesWanted, Name, Score
from newsieve.web.problems import HttpError, ProblemRoute, usual_problems
from newsieve.web.site import Site
from newsieve_schemas.oracle import OracleScore
from newsieve_schemas.scored import ScoredArticle

JSON: Final = "application/json"
EVENTS: Final[dict[str, Any]] = {
    "description": "Server-sent events: `id` is the outcome's, `data` its record, with `story` "
    "as a list has it.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
LastEventId = Annotated[str, Header(pattern=r"^[0-9]{1,18}$")]


class ListedArticle(BaseModel):
    """An outcome with what the store knows beside its record."""

    id: int = Field(description="Grows with time; `Last-Event-ID` and `before` take it.")
    copies: int = Field(
        ge=0, description="Other articles of the same story, filter and tier, which are not listed."
    )
    story: str = Field(
        description="The id of the story's first article in the store: copies have the same."
    )
    record: ScoredArticle
    label: OracleScore | None = Field(description="The oracle's latest label, where it has one.")


class ArticleList(BaseModel):
    """A page of articles, the newest first."""

    articles: list[ListedArticle]
    next: str | None = Field(description="`before` of the next page; null at the end.")


class StreamParameters(BaseModel):
    """Which outcomes a stream has."""

    model_config = ConfigDict(extra="forbid")

    filter: Name = Field(None, description="A filter's name.")
    tier: Name = Field(None, description="A tier of it, or `blocked`.")
    source: Name = None
    language: Name = None
    min_score: Score = None
    since_id: Annotated[int | None, Field(ge=0, le=2**62)] = Field(
        None, description="Begin behind this id, as with `Last-Event-ID`."
    )

    def cursor(self, last_event_id: str) -> int | None:
        """Return the id that a stream begins behind; None: with what comes from now on."""
        return int(last_event_id) if last_event_id else self.since_id


def articles_router(site: Site) -> APIRouter:
    """Return the routes of lists and streams of articles."""
    router = APIRouter(prefix="/v1", tags=["articles"], route_class=ProblemRoute)

    @router.get(
        "/articles",
        operation_id="articles",
        summary="Articles that were scored, the newest first",
        response_model=ArticleList,
        responses=usual_problems(422, 503),
    )
    def articles(wanted: ArticlesWanted) -> Response:
        """List articles, the newest first, copies of one story once."""
        page = site.reader.articles(wanted.query())
        return _list(site, page.outcomes, page.next)

    @router.get(
        "/articles/by-id/{article_id:path}",
        operation_id="article",
        summary="One article's outcomes, by its id",
        response_model=ArticleList,
        responses=usual_problems(404, 422, 503),
    )
    def article(article_id: str) -> Response:
        """Return all outcomes of one article, the newest first."""
        outcomes = site.reader.outcomes_of_article(article_id)
        if not outcomes:
            raise HttpError(404, f"no article {article_id!r:.200} is in the store")
        return _list(site, outcomes)

    @router.get(
        "/stream",
        operation_id="stream",
        summary="Articles as they come, as server-sent events",
        response_class=StreamingResponse,
        responses={200: EVENTS, **usual_problems(422, 503)},
    )
    async def stream(
        wanted: Annotated[StreamParameters, Query()],
        last_event_id: LastEventId = "",
    ) -> Response:
        """Send outcomes as they come, and with `Last-Event-ID` those that came meanwhile."""
        query = ArticleQuery(**wanted.model_dump(exclude={"since_id"}))
        return site.streams.open(query, wanted.cursor(last_event_id), _record_event)

    return router


def latest_labels(
    site: Site, outcomes: Sequence[StoredOutcome]
) -> Mapping[tuple[int, str], StoredLabel]:
    """Return the latest label of each outcome's text, by text and filter."""
    if not outcomes:
        return {}
    found: dict[tuple[int, str], StoredLabel] = {}
    for label in site.reader.labels(sorted({item.text_id for item in outcomes})):
        found.setdefault((label.text_id, label.filter), label)
    return found


def _list(site: Site, outcomes: Sequence[StoredOutcome], next_page: str | None = None) -> Response:
    """Return the answer with these outcomes: an ArticleList, of bytes that are there already."""
    labels = latest_labels(site, outcomes)
    listed = b",".join(_listed(item, labels) for item in outcomes)
    body = b'{"articles":[' + listed + b'],"next":' + orjson.dumps(next_page) + b"}"
    return Response(body, media_type=JSON)


def _listed(outcome: StoredOutcome, labels: Mapping[tuple[int, str], StoredLabel]) -> bytes:
    label = labels.get((outcome.text_id, outcome.filter))
    return (
        b'{"id":%d,"copies":%d,"story":' % (outcome.id, outcome.copies)
        + orjson.dumps(outcome.first_article)
        + b',"record":'
        + outcome.record
        + b',"label":'
        + (label.record if label is not None else b"null")
        + b"}"
    )


def _record_event(outcome: StoredOutcome) -> bytes:
    """Return an outcome as an event, its record with the story as one line of JSON: line ends
    between JSON's words mean nothing there, and would end the event."""
    record = outcome.record.translate(None, b"\r\n").rstrip().removesuffix(b"}")
    story = orjson.dumps(outcome.first_article)
    return b'id: %d\ndata: %b,"story":%b}\n\n' % (outcome.id, record, story)
