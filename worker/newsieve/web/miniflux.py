"""Reads what Miniflux's webhook sends: https://miniflux.app/docs/webhooks.html.

`new_entries` has a feed and its new entries, `save_entry` one entry with its feed. It knows nothing
of the signature.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from newsieve.validation_text import validation_message
from newsieve.web.problems import HttpError
from newsieve_schemas.article import MAX_TAG_CHARACTERS, MAX_TAGS, MAX_TITLE_CHARACTERS

EVENT_TYPE: Final = "x-miniflux-event-type"
NEW_ENTRIES: Final = "new_entries"
SAVE_ENTRY: Final = "save_entry"
NO_TIME: Final = "0001-"  # Go's time of nothing


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Feed(_Read):
    """A feed, as Miniflux knows it."""

    feed_url: str
    title: str = ""


class Entry(_Read):
    """An entry. `hash` is the SHA-256 of its guid or url, which no other of its feed has."""

    hash: str
    title: str = ""
    url: str = ""
    published_at: str = ""
    content: str = ""
    tags: list[str] | None = None
    feed: Feed | None = None


class Event(_Read):
    """What one request says."""

    event_type: str
    feed: Feed | None = None
    entries: list[Entry] | None = None
    entry: Entry | None = None


def articles_of(body: bytes) -> list[bytes]:
    """Return the raw articles of an event, as JSON. Raises HttpError for what is no such event."""
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        raise HttpError(422, f"not an event of Miniflux: {validation_message(error)}") from None
    return [orjson.dumps(item) for item in _articles(event)]


def _articles(event: Event) -> Iterator[dict[str, Any]]:
    if event.event_type == NEW_ENTRIES and event.feed is not None:
        for entry in event.entries or ():
            yield _article(entry, event.feed)
    elif event.event_type == SAVE_ENTRY and event.entry and event.entry.feed:
        yield _article(event.entry, event.entry.feed)
    else:
        raise HttpError(
            422,
            f"not an event of Miniflux: {event.event_type!r:.60} without entries or their feed; "
            f"{NEW_ENTRIES} and {SAVE_ENTRY} are taken",
        )


def _article(entry: Entry, feed: Feed) -> dict[str, Any]:
    """Return an entry as a raw article, without what it does not say. Its id is one for all users
    and events of an entry, and no entry of another feed has it, however plain guids are."""
    fields: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{feed.feed_url}#{entry.hash}")),
        "title": entry.title[:MAX_TITLE_CHARACTERS],
        "content": entry.content,
        "url": entry.url,
        "source": feed.title,
        "published_at": "" if entry.published_at.startswith(NO_TIME) else entry.published_at,
        "tags": [tag for tag in entry.tags or () if len(tag) <= MAX_TAG_CHARACTERS][:MAX_TAGS],
    }
    return {name: value for name, value in fields.items() if value}
