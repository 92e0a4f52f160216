"""The JSON of the Open Inference Protocol, version 2: what requests and answers have.

Only what a filter's model takes and gives is here. It knows neither filters nor scores.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

INPUT: Final = "articles"
ANY_NUMBER: Final = -1  # in the shape of a tensor, by the protocol

Parameters = dict[str, str | float | bool]
OutputName = Literal["scores", "score", "tier", "outcome", "records"]


def _as_integer(value: Any) -> Any:
    """Return 2.0 as 2: in JSON they are one number."""
    return int(value) if type(value) is float and value.is_integer() else value


Size = Annotated[int, Field(ge=0), BeforeValidator(_as_integer)]


class Part(BaseModel):
    """A part of a request. Fields that nobody knows are passed over."""

    model_config = ConfigDict(strict=True, frozen=True)


class InputTensor(Part):
    """The articles to be scored."""

    name: Literal["articles"]
    shape: list[Size] = Field(
        min_length=1,
        max_length=2,
        description="[N] or [N, 1]. It is not compared with `data`, which has the articles.",
    )
    datatype: Literal["BYTES"]
    parameters: Parameters | None = Field(None, description="Passed over.")
    data: list[str] | list[list[str]] = Field(
        description="Raw articles: the JSON text of each. One that cannot be scored has the "
        "outcome dead_letter, and does not concern the others."
    )


class RequestedOutput(Part):
    """An output that is wanted."""

    name: OutputName
    parameters: Parameters | None = Field(None, description="Passed over.")


class InferenceRequest(Part):
    """A request for the scores of articles."""

    id: str | None = Field(None, description="Returned as it is.")
    parameters: Parameters | None = Field(None, description="Passed over.")
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = Field(
        None, description="The outputs that are wanted; all of them where none is named."
    )


class OutputTensor(BaseModel):
    """One output for all articles, in their order."""

    name: OutputName
    shape: list[Size]
    datatype: Literal["FP32", "BYTES"]
    data: list[float] | list[str] = Field(description="Flat, row by row.")


class InferenceResponse(BaseModel):
    """The scores of articles, and what was decided by them."""

    model_name: str
    model_version: str
    id: str | None = Field(None, description="The request's; missing where it had none.")
    outputs: list[OutputTensor]


class TensorMetadata(BaseModel):
    """What a tensor is."""

    name: str
    datatype: Literal["FP32", "BYTES"]
    shape: list[Annotated[int, Field(ge=ANY_NUMBER)]]


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(BaseModel):
    """Whether the server answers."""

    live: bool


class ServerReady(BaseModel):
    """Whether articles can be scored."""

    ready: bool


class ModelReady(BaseModel):
    """Whether articles can be scored by this model."""

    name: str
    ready: bool


class InferenceError(BaseModel):
    """Why a request was refused."""

    error: str
