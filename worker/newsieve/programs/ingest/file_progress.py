"""How far files have been sent, as it stands on the state topic beside the states of feeds.

A file's key is made of its fingerprint; files that are the same bytes count through.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from newsieve.errors import TopicsWrong
from newsieve.file_readers.input_file import InputFile
from newsieve.validation_text import validation_message
from newsieve_schemas.ingest import FileState, IngestState

KEY_PREFIX: Final = b"file:"


class KeyedFile(NamedTuple):
    """A file with the key of its state, and its place: the machine and the path."""

    file: InputFile
    key: bytes
    place: str


class Progress(NamedTuple):
    """How far a file has been read."""

    place: str
    fingerprint: str
    records: int  # dealt with
    rejected: int  # of these

    @classmethod
    def of(cls, item: KeyedFile, state: FileState | None) -> Progress:
        """Return where a file stands whose state is this."""
        fingerprint = item.file.fingerprint or "none"
        if state is None:
            return cls(item.place, fingerprint, 0, 0)
        return cls(item.place, fingerprint, state.records, state.rejected)

    def behind_another(self, *, is_rejected: bool) -> Progress:
        """Return how far it is with one more record."""
        place, fingerprint, records, rejected = self
        return Progress(place, fingerprint, records + 1, rejected + is_rejected)


class KnownStates(NamedTuple):
    """What the state topic says of files: their states by key, and the keys of states that are of
    former contents, by the places of these files."""

    by_key: Mapping[bytes, FileState]
    former: Mapping[str, bytes]


def keyed(files: Sequence[InputFile]) -> list[KeyedFile]:
    """Return the files with their keys. What can be read once only has a new key each time."""
    host, copies = socket.gethostname(), Counter[str]()
    found = []
    for file in files:
        named = file.fingerprint or f"once:{secrets.token_hex(8)}"
        key = f"{named}:{copies[named]}" if copies[named] else named
        copies[named] += 1
        path = os.fsencode(Path(file.name).absolute()).decode(errors="replace")
        place = f"{host}:{path if file.fingerprint else file.name}"
        found.append(KeyedFile(file, KEY_PREFIX + key.encode(), place))
    return found


def known_states(values: Mapping[bytes, bytes], files: Sequence[KeyedFile]) -> KnownStates:
    """Return the states that are of these files, of the values on the state topic. Raises
    TopicsWrong for a value that is none of ours."""
    keys = {item.key for item in files}
    places = {item.place for item in files if item.file.fingerprint is not None}
    by_key: dict[bytes, FileState] = {}
    former: dict[str, bytes] = {}
    for key, value in values.items():
        try:
            state = IngestState.model_validate_json(value).file
        except ValidationError as error:
            raise TopicsWrong(
                f"the state of a file cannot be read: {validation_message(error)}. A null value "
                f"for its key {key.decode(errors='replace')!r} forgets it"
            ) from None
        if state is None:
            continue
        if key in keys:
            by_key[key] = state
        elif state.file in places:
            former[state.file] = key
    return KnownStates(by_key, former)


def state_value(progress: Progress, now: str) -> bytes:
    """Return the value of the state that says how far a file is. `now` is ISO 8601."""
    place, fingerprint, records, rejected = progress
    state = FileState(file=place, fingerprint=fingerprint, records=records, rejected=rejected)
    return IngestState(feed=None, file=state, updated_at=now).model_dump_json().encode()
