"""`POST /v1/score`: what `newsieve score` does with lines, for bodies of HTTP requests.

An article's own bytes are decoded, not what a JSON parser would make of them, so that the answer is
the same as the command's. It knows not how articles are scored.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from newsieve.errors import RecordError
from newsieve.filters.registry import Filter
from newsieve.records.dead_letter import MAX_MESSAGE_CHARACTERS
from newsieve.records.json_array import elements_of, is_array
from newsieve.records.json_lines import lines_of
from newsieve.web.article_schemas import JSON, JSON_LINES
from newsieve.web.problems import HttpError, ProblemRoute, problem_responses
from newsieve.web.request_body import media_type_of
from newsieve.web.score_request import answer, timeout_parameter
from newsieve.web.score_schemas import RETRY_AFTER, request_body, success
from newsieve.web.score_service import Article, ScoreService
from newsieve_schemas.dead_letter import DeadLetterLine
from newsieve_schemas.scored import ScoredArticle

REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.NOT_FOUND: "The filter is not served. `filters` has those that are.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body has too many bytes or articles.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is neither JSON nor JSON Lines.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A parameter is not valid; or the body is one article that "
    "cannot be scored, and `stage`, `error` and `message` are its dead letter's.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many articles wait to be scored.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The device failed, or the server stops.",
    HTTPStatus.GATEWAY_TIMEOUT: "The articles were not scored in time.",
}


class Body(NamedTuple):
    """The articles of a body; `is_array` where they stood in a JSON array."""

    articles: Sequence[Article]
    is_array: bool


def score_router(service: ScoreService) -> APIRouter:
    """Return the router of `POST /v1/score`."""
    router = APIRouter(route_class=ProblemRoute, tags=["score"])
    names = [name for item in service.filters for name in (item.name, item.reference)]
    reference = Query(
        alias="filter",
        description="A filter that is served, as `name` or `name/vN`.",
        json_schema_extra={"enum": names},
    )
    timeout = timeout_parameter(service.limits)

    @router.post(
        "/v1/score",
        operation_id="score",
        summary="Score one article, or many",
        response_model=ScoredArticle | list[ScoredArticle | DeadLetterLine],
        responses=_responses(),
        openapi_extra={"requestBody": request_body(service.limits)},
    )
    async def score(
        request: Request,
        filter_: str = reference,
        timeout_seconds: float = timeout,
    ) -> Any:
        """Answers an article by its record, an array by the array of its articles' records, and
        JSON Lines by lines. Where one of many cannot be scored, a DeadLetterLine has its place."""
        chosen = service.filter_of(filter_)
        media_type = media_type_of(request)
        if media_type != JSON and media_type not in JSON_LINES:
            raise HttpError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the Content-Type is {media_type[:100]!r}; send {JSON} or {JSON_LINES[0]}",
            )

        async def work(body: bytes) -> Response:
            return await _score(service, chosen, body, media_type)

        return await answer(request, service, timeout_seconds, work)

    return router


def _responses() -> dict[int | str, dict[str, Any]]:
    responses = {200: success(), **problem_responses(REFUSALS)}
    responses[HTTPStatus.TOO_MANY_REQUESTS]["headers"] = RETRY_AFTER
    return responses


async def _score(service: ScoreService, filter_: Filter, body: bytes, media_type: str) -> Response:
    """Score the articles of a body. Raises HttpError."""
    if media_type in JSON_LINES:
        articles = await service.in_thread(lambda: _lines(body, service.limits.articles))
        lines = await service.score(filter_, articles)
        return Response(b"".join(b"%b\n" % line.value for line in lines), media_type=media_type)
    if is_array(body):
        articles = await service.in_thread(lambda: _elements(body, service.limits.articles))
        lines = await service.score(filter_, articles)
        return Response(b"[%b]" % b",".join(line.value for line in lines), media_type=JSON)
    (line,) = await service.score(filter_, [Article(0, body)])
    if line.error is not None:
        raise _unprocessable(line.error)
    return Response(line.value, media_type=JSON)


def _elements(body: bytes, most: int) -> list[Article]:
    try:
        return [Article(*item) for item in enumerate(elements_of(body, most))]
    except RecordError as error:
        raise _unprocessable(error) from None


def _lines(body: bytes, most: int) -> list[Article]:
    articles = []
    for number, line in lines_of(io.BytesIO(body)):
        articles.append(Article(number, line))
        if len(articles) > most:
            break
    return articles


def _unprocessable(error: RecordError) -> HttpError:
    message = str(error)[:MAX_MESSAGE_CHARACTERS]
    return HttpError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        message,
        stage=error.stage,
        error=error.name,
        message=message,
    )
