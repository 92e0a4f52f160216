"""The shapes in which a record is sent: its value as it is, a CloudEvent, or Slack's message.

A CloudEvent is sent in structured mode, all of it in the body, since the signature is of the body:
in binary mode nobody would vouch for the event's attributes, which would be headers. Pure; it knows
nothing of how a body is sent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import orjson

from newsieve.errors import WrongUsage
from newsieve.kafka.messages import StoredRecord
from newsieve.programs.pushing.slack_message import slack_message
from newsieve.records.decode import RawRecord, header
from newsieve.records.encode import event_id
from newsieve_schemas import events

CLOUD_EVENT: Final = "application/cloudevents+json; charset=UTF-8"
ATTRIBUTE_PREFIX: Final = "ce_"
_REQUIRED: Final = ("specversion", "id", "source", "type")
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,20}")  # as CloudEvents 1.0 names them
_RESERVED: Final = ("data", "database64", "datacontenttype")  # members of the body, or set by us
_MEDIA_TYPE: Final = re.compile(rb"[!-~](?:[ !-~]{0,98}[!-~])?")
_EVENT_ID: Final = re.compile(rb"[!-\-/-~]{1,200}")  # visible ASCII without a full stop


class Body(NamedTuple):
    """What is sent of a record: the bytes, and what kind they are of."""

    content: bytes
    media_type: str


Shape = Callable[[StoredRecord], Body]


def event_of(item: StoredRecord) -> str:
    """Return the id by which a receiver deduplicates: the event's own, or for a record without one
    an id of its place, which is the same at every attempt."""
    value = header(item.record.headers, "ce_id")
    if value is not None and _EVENT_ID.fullmatch(value):  # a full stop would blur what is signed
        return value.decode()
    (topic, partition), offset = item.partition, item.offset
    return event_id(f"{topic}\n{partition}\n{offset}").decode()


def json_body(item: StoredRecord) -> Body:
    """Return the record's value, every byte as it is."""
    return Body(item.record.value, _media_type(item.record))


def cloud_event_body(item: StoredRecord) -> Body:
    """Return the record as a CloudEvent of structured mode. Raises WrongUsage for a record that has
    no CloudEvents headers."""
    attributes = _attributes(item.record)
    missing = [name for name in _REQUIRED if not attributes.get(name)]
    if missing or attributes["specversion"] != events.SPEC_VERSION:
        (topic, partition), offset = item.partition, item.offset
        raise WrongUsage(
            f"the record at {topic}/{partition}/{offset} is no CloudEvent: its headers lack "
            f"{', '.join(missing) or 'specversion ' + events.SPEC_VERSION}. Take another --shape"
        )
    media_type = _media_type(item.record)
    opening = orjson.dumps({**attributes, "datacontenttype": media_type})[:-1]
    value = item.record.value
    name, data = b"data", value
    if not _is_json(value):
        name, data = b"data_base64", b'"%b"' % base64.b64encode(value)
    return Body(b'%b,"%b":%b}' % (opening, name, data), CLOUD_EVENT)


def slack_body(item: StoredRecord) -> Body:
    """Return the record as a message for Slack's incoming webhooks."""
    return Body(orjson.dumps(slack_message(item.record.value)), events.CONTENT_TYPE)


SHAPES: Final[Mapping[str, Shape]] = {
    "json": json_body,
    "cloudevents": cloud_event_body,
    "slack": slack_body,
}


def _attributes(record: RawRecord) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for key, value in record.headers or ():
        name = key.removeprefix(ATTRIBUTE_PREFIX)
        is_attribute = name != key and _ATTRIBUTE.fullmatch(name) and name not in _RESERVED
        if is_attribute and value is not None:
            attributes[name] = value.decode("utf-8", "replace")
    return attributes


def _media_type(record: RawRecord) -> str:
    """Return the media type that the record's header names, or else that of JSON."""
    value = header(record.headers, "content-type")
    is_fit = value is not None and _MEDIA_TYPE.fullmatch(value)
    return value.decode() if value is not None and is_fit else events.CONTENT_TYPE


def _is_json(value: bytes) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True
