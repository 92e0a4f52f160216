"""IngestState: where `newsieve ingest` stands with a feed or a file."""

from __future__ import annotations

from pydantic import Field

from newsieve_schemas.base import Written
from newsieve_schemas.scored import Timestamp


class FeedState(Written):
    """What is known of a feed since its last answer. Times are UTC."""

    url: str = Field(description="As it is listed; where it has moved to is `moved_to`.")
    etag: str | None
    last_modified: str | None
    content: str | None = Field(description="A hash of the last document that was read.")
    items: str = Field(
        description="The known items, the one that was seen last at the end: in base64, of each 16 "
        "bytes, a hash of its id and one of its title and text."
    )
    current_items: int = Field(ge=0, description="So many of the last are in the feed's document.")
    return_depth: int = Field(
        ge=0,
        description="How many items had left the document after one that came back to it, at most: "
        "the more, the more items are remembered.",
    )
    interval_seconds: int | None = Field(
        description="How often the feed's document says that it changes."
    )
    checked_at: Timestamp
    next_at: Timestamp = Field(description="Not asked again before.")
    failures: int = Field(ge=0, description="In a row.")
    failure: str | None = Field(description="Why the last attempt failed.")
    gone: bool = Field(description="The server says that there will be no more of it.")
    moved_to: str | None = Field(description="Where the server says it has moved for good.")


class FileState(Written):
    """How far a file has been read that is not finished."""

    file: str = Field(description="Its path as it was named.")
    fingerprint: str = Field(description="Of its size and of samples of its bytes.")
    records: int = Field(ge=0, description="Records from its beginning that are dealt with.")
    rejected: int = Field(ge=0, description="Of these, those that could not be read.")


class IngestState(Written):
    """The latest state of one source. Compacted by its key; one of the two is there."""

    feed: FeedState | None
    file: FileState | None
    updated_at: Timestamp
