"""The Open Inference Protocol, version 2 (KServe, Triton, MLServer): each filter is a model.

Its input `articles` has the JSON text of a raw article in each element, its outputs have a row for
each article, in order. Numbers of the protocol cannot say that there is none: an article that was
not scored has −1 for each score, which is outside of the scale, an empty tier, and `outcome` says
why. The binary extension of tensors is not spoken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from newsieve.filters.registry import Filter
from newsieve.web.article_schemas import JSON
from newsieve.web.infer_models import (
    ANY_NUMBER,
    INPUT,
    InferenceError,
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    ModelReady,
    OutputName,
    OutputTensor,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from newsieve.web.problems import MOST_CHARACTERS, Handler, HttpError, answering, messages_of
from newsieve.web.request_body import media_type_of
from newsieve.web.score_request import answer, timeout_parameter
from newsieve.web.score_schemas import RETRY_AFTER, inlined
from newsieve.web.score_service import Article, Line, ScoreService

NOT_SCORED: Final = -1.0
PLATFORM: Final = "newsieve_student"
BINARY_HEADER: Final = "inference-header-content-length"
UNKNOWN: Final[Mapping[int, str]] = {
    HTTPStatus.NOT_FOUND: "The filter, or its version, is not served."
}
REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "The request is not one of this model.",
    **UNKNOWN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body has too many bytes or articles.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many articles wait to be scored.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The device failed, or the server stops.",
    HTTPStatus.GATEWAY_TIMEOUT: "The articles were not scored in time.",
}


class InferenceRoute(APIRoute):
    """A route whose refusals have the protocol's form."""

    def get_route_handler(self) -> Handler:
        """Return the route's handler, which answers instead of raising a refusal."""
        return answering(super().get_route_handler(), _error_response, HTTPStatus.BAD_REQUEST)


def _error_response(error: HttpError) -> Response:
    body = InferenceError(error=str(error)[:MOST_CHARACTERS]).model_dump_json()
    return Response(body, error.status, error.headers, JSON)


def open_inference_router(service: ScoreService) -> APIRouter:
    """Return the router of all endpoints below `/v2`."""
    router = APIRouter(prefix="/v2", route_class=InferenceRoute, tags=["open inference protocol"])
    names = [item.name for item in service.filters]
    versions = sorted({item.version for item in service.filters})
    model_name = Path(description="A filter's name.", json_schema_extra={"enum": names})
    model_version = Path(description="Its version.", json_schema_extra={"enum": versions})

    async def by_name(model: str = model_name) -> Filter:
        return _served(service, model)

    async def by_version(model: str = model_name, model_version: str = model_version) -> Filter:
        return _served(service, model, model_version)

    _add_server(router, service)
    _add_model(router, service, "/models/{model}", by_name, "model")
    _add_model(
        router, service, "/models/{model}/versions/{model_version}", by_version, "model_version"
    )
    return router


def _add_server(router: APIRouter, service: ScoreService) -> None:
    @router.get("", operation_id="server_metadata", summary="What the server is")
    async def server() -> ServerMetadata:
        return ServerMetadata(name="newsieve", version=version("newsieve"), extensions=[])

    @router.get("/health/live", operation_id="server_live", summary="Whether the server answers")
    async def live() -> ServerLive:
        return ServerLive(live=True)

    @router.get(
        "/health/ready",
        operation_id="server_ready",
        summary="Whether articles can be scored",
        responses={503: {"model": ServerReady, "description": "They cannot."}},
    )
    async def ready(response: Response) -> ServerReady:
        response.status_code = _ready_status(service)
        return ServerReady(ready=service.is_ready)


def _add_model(
    router: APIRouter,
    service: ScoreService,
    path: str,
    served: Callable[..., Awaitable[Filter]],
    operation: str,
) -> None:
    """Add the endpoints of a model below a path; `served` gives the filter that the path names."""
    chosen, timeout = Depends(served), timeout_parameter(service.limits)
    refusals = _refusals(REFUSALS)
    refusals[HTTPStatus.TOO_MANY_REQUESTS]["headers"] = RETRY_AFTER

    @router.get(
        path,
        operation_id=f"{operation}_metadata",
        summary="What a model takes and gives",
        responses=_refusals(UNKNOWN),
    )
    async def metadata(filter_: Filter = chosen) -> ModelMetadata:
        return _metadata(filter_)

    @router.get(
        f"{path}/ready",
        operation_id=f"{operation}_ready",
        summary="Whether articles can be scored by a model",
        responses={
            **_refusals(UNKNOWN),
            503: {"model": ModelReady, "description": "They cannot."},
        },
    )
    async def ready(response: Response, filter_: Filter = chosen) -> ModelReady:
        response.status_code = _ready_status(service)
        return ModelReady(name=filter_.name, ready=service.is_ready)

    @router.post(
        f"{path}/infer",
        operation_id=f"{operation}_infer",
        summary="Score articles",
        response_model=InferenceResponse,
        response_model_exclude_none=True,
        responses=refusals,
        openapi_extra={"requestBody": _request_body()},
    )
    async def infer(
        request: Request,
        filter_: Filter = chosen,
        timeout_seconds: float = timeout,
    ) -> Any:
        _require_json(request)

        async def work(body: bytes) -> Response:
            return await _infer(service, filter_, body)

        return await answer(request, service, timeout_seconds, work)


def _refusals(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of refusals with these statuses, and of any other."""
    named: dict[int | str, str] = {"default": "The request is refused."}
    named.update(descriptions.items())
    return {
        status: {"model": InferenceError, "description": text} for status, text in named.items()
    }


def _request_body() -> dict[str, Any]:
    schema = inlined(InferenceRequest.model_json_schema())
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _served(service: ScoreService, name: str, version: str | None = None) -> Filter:
    """Return the filter that is this model. Raises HttpError."""
    for item in service.filters:
        if item.name == name and version in (None, item.version):
            return item
    served = ", ".join(f"{item.name}/versions/{item.version}" for item in service.filters)
    raise HttpError(
        HTTPStatus.NOT_FOUND, f"this model, or its version, is not served; there are: {served}"
    )


def _ready_status(service: ScoreService) -> int:
    return HTTPStatus.OK if service.is_ready else HTTPStatus.SERVICE_UNAVAILABLE


def _metadata(filter_: Filter) -> ModelMetadata:
    return ModelMetadata(
        name=filter_.name,
        versions=[filter_.version],
        platform=PLATFORM,
        inputs=[TensorMetadata(name=INPUT, datatype="BYTES", shape=[ANY_NUMBER])],
        outputs=[
            TensorMetadata(name=item.name, datatype=item.datatype, shape=[ANY_NUMBER, *item.shape])
            for item in model_outputs(filter_, [])
        ],
    )


def _require_json(request: Request) -> None:
    """Raise HttpError for a body in another form."""
    if BINARY_HEADER in request.headers:
        raise HttpError(
            HTTPStatus.BAD_REQUEST,
            "tensors in binary form are not read (tritonclient: set binary_data=False)",
        )
    if media_type_of(request) not in {JSON, ""}:  # tritonclient does not say what it sends
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {JSON}")


async def _infer(service: ScoreService, filter_: Filter, body: bytes) -> Response:
    """Answer a request for inference. Raises HttpError."""
    asked, articles = await service.in_thread(lambda: _read(body))
    lines = await service.score(filter_, articles)
    return await service.in_thread(lambda: _response(filter_, asked, lines))


def _read(body: bytes) -> tuple[InferenceRequest, list[Article]]:
    """Read a request and its articles. Raises HttpError."""
    try:
        asked = InferenceRequest.model_validate_json(body)
    except ValidationError as error:
        raise HttpError(
            HTTPStatus.BAD_REQUEST, messages_of(error.errors(include_input=False))
        ) from None
    rows = asked.inputs[0].data
    texts = [text for row in rows for text in ([row] if isinstance(row, str) else row)]
    return asked, [Article(number, text.encode()) for number, text in enumerate(texts)]


def _response(filter_: Filter, asked: InferenceRequest, lines: Sequence[Line]) -> Response:
    """Return the answer, with the outputs that were asked for."""
    outputs = model_outputs(filter_, [orjson.loads(line.value) for line in lines])
    outputs[-1].data = [line.value.decode() for line in lines]
    if asked.outputs:
        by_name = {item.name: item for item in outputs}
        outputs = [by_name[name] for name in dict.fromkeys(item.name for item in asked.outputs)]
    for item in outputs:
        item.shape = [len(lines), *item.shape]
    answered = InferenceResponse(
        model_name=filter_.name, model_version=filter_.version, id=asked.id, outputs=outputs
    )
    return Response(answered.model_dump_json(exclude_none=True), media_type=JSON)


def model_outputs(filter_: Filter, records: Sequence[Mapping[str, Any]]) -> list[OutputTensor]:
    """Return all outputs for these records, in the order of `OutputName`, `records` last and
    empty. Their shapes are those of one row."""
    names = filter_.definition.dimension_names
    no_scores = dict.fromkeys(names, NOT_SCORED)
    scores = [(record.get("scores") or no_scores)[name] for record in records for name in names]
    averages = [
        NOT_SCORED if record.get("score") is None else record["score"] for record in records
    ]
    return [
        _output("scores", "FP32", scores, len(names)),
        _output("score", "FP32", averages),
        _output("tier", "BYTES", [record.get("tier") or "" for record in records]),
        _output("outcome", "BYTES", [record["outcome"] for record in records]),
        _output("records", "BYTES", []),
    ]


def _output(
    name: OutputName, datatype: Literal["FP32", "BYTES"], data: Any, *row: int
) -> OutputTensor:
    return OutputTensor(name=name, shape=list(row), datatype=datatype, data=data)
