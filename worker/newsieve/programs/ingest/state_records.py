"""Records of the state topic: where an ingester stands with a feed or a file, written and read.

It does not know when a state is written.
"""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from newsieve.errors import TopicsWrong
from newsieve.records.encode import OutRecord, event_id, opening_headers
from newsieve.validation_text import validation_message
from newsieve_schemas import events
from newsieve_schemas.ingest import IngestState

SHOWN_CHARACTERS: Final = 120  # of a key, in an error


def state_record(topic: str, source: bytes, key: bytes, state: IngestState) -> OutRecord:
    """Return the record that puts a state on the topic under its key. `source` is the ce_source."""
    value = state.model_dump_json().encode()
    headers = [
        *opening_headers(events.INGEST_STATE, source),
        ("ce_id", event_id(value.decode())),
        ("ce_time", state.updated_at.encode()),
    ]
    return OutRecord(topic, key, value, headers)


def read_state(key: bytes, value: bytes) -> IngestState:
    """Return the state in a record's value. Raises TopicsWrong: without its state a source would
    be published a second time."""
    try:
        return IngestState.model_validate_json(value)
    except ValidationError as error:
        raise TopicsWrong(
            f"the feeds topic's record with key {key!r:.{SHOWN_CHARACTERS}} cannot be read: "
            f"{validation_message(error)}. A null value with that key forgets it: what is there to "
            "be read then is published once more"
        ) from None
