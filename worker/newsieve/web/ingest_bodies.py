"""Splits the body of a request into the articles in it, each with its own bytes, in any of the
forms that are taken: JSON, JSON Lines, CloudEvents in all modes of their HTTP binding, Miniflux's
events.

It does not know what an article is: an element may be anything.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import unquote

import msgspec
from starlette.datastructures import Headers

from newsieve.errors import InvalidJson, InvalidRecord, RecordError, TooLarge
from newsieve.records import compressed
from newsieve.records.envelopes import STRUCTURED_TYPE
from newsieve.records.envelopes import Headers as RecordHeaders
from newsieve.records.json_array import elements_of, is_array
from newsieve.records.json_lines import lines_of
from newsieve.web import miniflux
from newsieve.web.article_schemas import JSON, JSON_LINES
from newsieve.web.problems import HttpError

EVENT: Final = STRUCTURED_TYPE.decode()
EVENT_BATCH: Final = "application/cloudevents-batch+json"
BINARY: Final = "ce-specversion"
SPEC_VERSION: Final = "1.0"
TAKEN: Final = (JSON, *JSON_LINES[:2], EVENT, EVENT_BATCH)
COMPRESSIONS: Final = ("gzip", "zstd")
IDENTITY: Final = "identity"
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,100}")
_REQUIRED: Final = ("id", "source", "type")


class Incoming(NamedTuple):
    """An article of a request: its bytes, the headers of its record, and of JSON Lines the line
    that it stood in, counted from 1; `is_event` where it is said to be a CloudEvent."""

    value: bytes
    headers: RecordHeaders
    line: int | None = None
    is_event: bool = False

    def require_event(self) -> None:
        """Raise InvalidRecord for what is said to be a CloudEvent and lacks an attribute."""
        if self.is_event:
            try:
                _EVENT.decode(self.value)
            except msgspec.ValidationError as error:
                raise InvalidRecord(f"not a CloudEvent: {error}") from None
            except msgspec.DecodeError:
                pass  # no JSON, which who decodes the article says


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _EventAttributes(msgspec.Struct):
    """What every CloudEvent has in structured mode."""

    specversion: Literal["1.0"]
    id: _Text
    source: _Text
    type: _Text


_EVENT: Final = msgspec.json.Decoder(_EventAttributes)


ReadBody = Callable[[bytes, int], Sequence[Incoming]]


def compression_of(headers: Headers) -> str | None:
    """Return how a body is compressed, None where it is not. Raises HttpError for a way that is not
    taken."""
    encoding = headers.get("content-encoding", IDENTITY).strip().lower()
    if encoding == IDENTITY:
        return None
    if encoding in COMPRESSIONS:
        return encoding
    raise HttpError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"the Content-Encoding is {encoding[:100]!r}; send {' or '.join(COMPRESSIONS)}, or none",
        {"accept-encoding": ", ".join(COMPRESSIONS)},
    )


def unfolded(body: bytes, compression: str, most_bytes: int) -> bytes:
    """Return what a compressed body holds. Raises HttpError for what is damaged, or holds too
    much."""
    try:
        return compressed.unfolded(body, compression, most_bytes)
    except TooLarge:
        raise HttpError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body holds more than {most_bytes:,} bytes: send several requests",
        ) from None
    except RecordError as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"the body: {error}") from None


def reader_of(headers: Headers, media_type: str) -> ReadBody:
    """Return what splits a body with these headers into its articles, more than the given number
    being no more than one more. Raises HttpError for a form that is not taken; so may what is
    returned, and InvalidJson."""
    if miniflux.EVENT_TYPE in headers and media_type == JSON:
        return lambda body, most: _plain(islice(miniflux.articles_of(body), most + 1))
    if media_type == EVENT_BATCH:
        return lambda body, most: [_event(item.value) for item in _elements(body, most)]
    if media_type == EVENT:
        return lambda body, _: [_event(body)]
    if BINARY in headers:
        return _binary(headers, media_type)
    if media_type == JSON:
        return lambda body, most: _elements(body, most) if is_array(body) else [Incoming(body, [])]
    if media_type in JSON_LINES:
        return _lines
    raise _not_taken(media_type)


def _binary(headers: Headers, media_type: str) -> ReadBody:
    """Return what reads the body of a CloudEvent in binary mode: the event's data is the article,
    and its attributes become headers as the Kafka binding names them. Raises HttpError."""
    if media_type not in {JSON, ""} and not media_type.endswith("+json"):
        raise HttpError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the event's data is {media_type[:100]!r}; send {JSON}",
        )
    attributes = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    missing = [f"ce-{name}" for name in _REQUIRED if not attributes.get(name)]
    if attributes["specversion"] != SPEC_VERSION:
        missing = [f"{BINARY}: {SPEC_VERSION}"]
    wrong = [name for name in attributes if not _ATTRIBUTE.fullmatch(name)]
    if missing or wrong:
        raise HttpError(
            HTTPStatus.BAD_REQUEST,
            "not a CloudEvent: "
            + (f"no {missing[0]}" if missing else f"an attribute named {wrong[0][:100]!r}"),
        )
    record: RecordHeaders = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    record.append(("content-type", (headers.get("content-type") or JSON).encode()))
    return lambda body, _: [Incoming(body, record)]


def _event(value: bytes) -> Incoming:
    return Incoming(value, [("content-type", STRUCTURED_TYPE)], is_event=True)


def _elements(body: bytes, most: int) -> list[Incoming]:
    if not is_array(body):
        raise InvalidJson("not a JSON array")
    return _plain(elements_of(body, most))


def _plain(values: Iterable[bytes]) -> list[Incoming]:
    return [Incoming(value, []) for value in values]


def _lines(body: bytes, most: int) -> list[Incoming]:
    lines = islice(lines_of(io.BytesIO(body)), most + 1)
    return [Incoming(line, [], number + 1) for number, line in lines]


def _not_taken(media_type: str) -> HttpError:
    return HttpError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"the Content-Type is {media_type[:100]!r}; send {', '.join(TAKEN)}, or a CloudEvent in "
        "binary mode",
        {"accept-post": ", ".join(TAKEN)},
    )
