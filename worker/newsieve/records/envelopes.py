"""Takes a raw record's article out of what transports wrapped around it.

Envelopes are opened in one closed order, each at most once: compression, a schema registry's
framing, Kafka Connect's `schema` and `payload`, Debezium's change event, a structured CloudEvent.
An object is an envelope only by its whole shape: an article that has a field of such a name beside
others of its own is an article. It does not know what an article is.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from newsieve.errors import ArticleDeleted, BinaryPayload, InvalidJson, NotAnObject, NotUtf8
from newsieve.records.compressed import compression_of, unfolded
from newsieve.records.json_kinds import json_name, kind_of, text_of
from newsieve.records.raw_fields import FieldReader, readable

Headers = list[tuple[str, bytes | None]]

CONFLUENT: Final = "confluent"
CONFLUENT_HEADER: Final = "confluent_header"
CONNECT: Final = "connect"
DEBEZIUM: Final = "debezium"
CLOUD_EVENT: Final = "cloudevent"
ENVELOPES: Final = (
    "gzip",
    "zstd",
    CONFLUENT,
    CONFLUENT_HEADER,
    CONNECT,
    DEBEZIUM,
    CLOUD_EVENT,
)
STRUCTURED_TYPE: Final = b"application/cloudevents+json"
CONTENT_TYPE: Final = "content-type"
SCHEMA_ID_HEADER: Final = "__value_schema_id"  # of Confluent's HeaderSchemaIdSerializer
MAGIC_BYTE: Final = b"\0"
FRAME_BYTES: Final = 5  # the magic byte, and the schema's id
_DELETIONS: Final = ("d", "t")  # a row is deleted, or all of a table
_CHANGES: Final = {"c": "insert", "r": "initial read", "u": "update"}


# The fields of the innermost object, the names of those that are null because they are of a wrong
# kind or too long, and the envelopes that were around it, the outermost first.
Opened = tuple[Any, tuple[str, ...], tuple[str, ...]]


class _Connect(Struct, forbid_unknown_fields=True, gc=False):
    """What Kafka Connect's JsonConverter writes; without schemas the schema is null."""

    schema: Raw
    payload: Raw


class _Change(Struct, forbid_unknown_fields=True, gc=False):
    """A change event of Debezium, with all the members that its connectors document."""

    op: str
    before: Raw | UnsetType = UNSET
    after: Raw | UnsetType = UNSET
    source: Raw | UnsetType = UNSET
    transaction: Raw | UnsetType = UNSET
    ts_ms: Raw | UnsetType = UNSET
    ts_us: Raw | UnsetType = UNSET
    ts_ns: Raw | UnsetType = UNSET
    updateDescription: Raw | UnsetType = UNSET  # noqa: N815 - MongoDB's, as are the next two
    patch: Raw | UnsetType = UNSET
    filter: Raw | UnsetType = UNSET


_CONNECT: Final = msgspec.json.Decoder(_Connect)
_CHANGE: Final = msgspec.json.Decoder(_Change)


def open_record(
    value: bytes, headers: Headers | None, reader: FieldReader, max_bytes: int
) -> Opened:
    """Open a record's envelopes and read the fields of its article. Raises DecodeError."""
    names: tuple[str, ...] = ()
    content_type = schema_id = None
    text = value
    if value[:1] != b"{":
        text, names = _unwrapped(value, max_bytes)
    if headers:
        content_type, schema_id = _telling_headers(headers)
        if schema_id is not None:
            names = (*names, CONFLUENT_HEADER)
    try:
        fields, wrong = reader.read(text, max_bytes)
    except (InvalidJson, NotUtf8) as error:
        if schema_id is None and CONFLUENT not in names:
            raise
        raise BinaryPayload(
            f"a schema registry's serializer wrote it, and it is not JSON ({error}): of Avro, "
            "Protobuf and JSON Schema newsieve reads JSON Schema alone"
        ) from None
    is_bare = fields.payload is UNSET and fields.op is UNSET and fields.specversion is UNSET
    if is_bare and content_type is None:
        return fields, wrong, names
    return _inside((fields, wrong, names), text, content_type, reader, max_bytes)


def header(headers: Headers | None, name: str) -> bytes | None:
    """Return the last value of a header; headers may be repeated, null or binary."""
    if headers:
        for key, value in reversed(headers):
            if key == name:
                return value
    return None


def _telling_headers(headers: Headers) -> tuple[bytes | None, bytes | None]:
    """Return the last values of the content type and of the schema's id, in one search."""
    content_type = schema_id = None
    for name, value in headers:
        if name == CONTENT_TYPE:
            content_type = value
        elif name == SCHEMA_ID_HEADER:
            schema_id = value
    return content_type, schema_id


def _unwrapped(value: bytes, max_bytes: int) -> tuple[bytes, tuple[str, ...]]:
    """Return the value without compression and framing, and which it had."""
    names: tuple[str, ...] = ()
    compression = compression_of(value)
    if compression is not None:
        value, names = unfolded(value, compression, max_bytes), (compression,)
    if value.startswith(MAGIC_BYTE):
        value, names = value[FRAME_BYTES:], (*names, CONFLUENT)
    return value, names


def _inside(
    opened: Opened, text: bytes, content_type: bytes | None, reader: FieldReader, max_bytes: int
) -> Opened:
    """Return what is inside of the envelopes that are JSON objects, or the object as it is."""
    fields, wrong, names = opened
    for name, open_envelope in ((CONNECT, _connect_payload), (DEBEZIUM, _row_after)):
        inner = open_envelope(fields, text)
        if inner is not None:
            text, names = _json_of(inner, name), (*names, name)
            fields, wrong = reader.read(text, max_bytes)
    data = _event_data(fields, content_type)
    if data is not None:
        fields, wrong = reader.read(data, max_bytes)
        names = (*names, CLOUD_EVENT)
    return fields, wrong, names


def _connect_payload(fields: Any, text: bytes) -> Raw | None:
    """Return the payload of an object that has a schema and a payload, and nothing else."""
    if fields.payload is UNSET or fields.schema is UNSET:
        return None
    try:
        envelope = _CONNECT.decode(readable(text))
    except msgspec.DecodeError:
        return None
    is_schema = kind_of(envelope.schema) is None or type(kind_of(envelope.schema)) is dict
    return envelope.payload if is_schema else None


def _row_after(fields: Any, text: bytes) -> Raw | None:
    """Return the row after a change, of an object that is a change event and nothing else. Raises
    ArticleDeleted, or NotAnObject for a change without a row."""
    if fields.op is UNSET:
        return None
    try:
        change = _CHANGE.decode(readable(text))
    except msgspec.DecodeError:
        return None
    if change.op in _DELETIONS:
        raise ArticleDeleted("Debezium says that the row was deleted")
    if change.op not in _CHANGES:
        return None
    if change.after is UNSET:
        return None
    if kind_of(change.after) is None:  # so MongoDB's connector writes updates by default
        raise NotAnObject(
            f"Debezium's {_CHANGES[change.op]} has no row: let the connector write all of it"
        )
    return change.after


def _json_of(raw: Raw, envelope: str) -> bytes:
    """Return the JSON that an envelope holds, as an object or in a string. Raises ArticleDeleted
    for null, NotAnObject for anything else."""
    kind = kind_of(raw)
    if kind is None:
        raise ArticleDeleted(f"the {envelope} envelope holds null")
    if type(kind) is dict:
        return bytes(raw)
    text = text_of(raw)
    if text is None:
        raise NotAnObject(f"the {envelope} envelope holds a JSON {json_name(kind)}, not an object")
    return text.encode()


def _event_data(fields: Any, content_type: bytes | None) -> bytes | None:
    """Return the JSON of the article inside a structured CloudEvent; None for another object.
    Raises DecodeError."""
    is_event = (content_type or b"").lower().startswith(STRUCTURED_TYPE) or (
        fields.specversion is not UNSET
        and text_of(fields.specversion) is not None
        and fields.type is not UNSET
        and fields.source is not UNSET
    )
    data, encoded = fields.data, fields.data_base64
    if not is_event or (data is UNSET and encoded is UNSET):
        return None
    kind = None if data is UNSET else kind_of(data)
    if data is UNSET or kind is None:
        if encoded is not UNSET and (text := text_of(encoded)) is not None:
            return _from_base64(text)
    elif type(kind) is str:
        return (text_of(data) or "").encode()
    elif type(kind) is dict:
        return bytes(data)
    raise NotAnObject(f"the event's data is a JSON {json_name(kind)}, not an object")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidJson(f"data_base64 is not base64: {error}") from None
