"""The beginnings of texts, for lists. It knows no page."""

from __future__ import annotations

from collections.abc import Sequence

from newsieve.store.reader import StoreReader


def excerpts(reader: StoreReader, text_ids: Sequence[int], characters: int) -> dict[int, str]:
    """Return the first characters of each of these texts that has a content, by its id."""
    places = ", ".join("?" * len(text_ids))
    rows = reader.rows(
        f"SELECT id, substr(content, 1, ?) FROM texts WHERE id IN ({places}) AND content != ''",  # noqa: S608 - marks alone
        [characters, *text_ids],
    )
    return {row[0]: row[1] for row in rows}
