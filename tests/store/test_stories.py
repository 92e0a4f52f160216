"""A store of an earlier version is brought up to date when it is opened, and goes on if stopped."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from newsieve.errors import Transient
from newsieve.filters.rendering import render
from newsieve.filters.story_sketch import bands, sketch
from newsieve.store import stories
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoreReader
from newsieve.store.rows import outcome_row, text_row
from newsieve.store.writer import StoreWriter
from tests.support.envelopes import article
from tests.support.scored_records import START_MS, identity, scored

STORY = " ".join(f"the harbour of town {number} rose early" for number in range(20))
TITLES = [f"Heading {number}" for number in range(3)]


@pytest.fixture
def earlier(path: Path) -> Path:
    """A store of an earlier version, with two copies of a story."""
    with closing(StoreWriter(path)) as store:
        for title in TITLES[:2]:
            put(store, title)
        store.connection.executescript(
            "DROP TABLE stories; UPDATE texts SET sketch = zeroblob(64); DELETE FROM story_bands;"
            "INSERT INTO story_bands VALUES (1, 1); PRAGMA application_id = 0;"
        )
    return path


def put(store: StoreWriter, title: str) -> None:
    text = text_row(article({"title": title, "content": STORY}), START_MS)
    store.write([text, outcome_row(scored(identity(title, STORY)))], {})


def copies_of_story(path: Path) -> tuple[int, str]:
    with closing(StoreReader(path)) as reader:
        (listed,) = reader.articles(ArticleQuery()).outcomes
    return listed.copies, listed.first_article


def test_a_store_of_an_earlier_version_finds_its_copies(earlier: Path) -> None:
    """Its sketches are made anew and its stories named once, when it is opened; what was folded
    stays so."""
    for _ in range(2):
        with closing(StoreWriter(earlier)) as store:
            put(store, TITLES[2])
            assert copies_of_story(earlier) == (2, identity(TITLES[0], STORY)["id"])
            count = store.connection.execute("SELECT count(*) FROM story_bands").fetchone()[0]
            assert count == 3 * len(bands(sketch(STORY)))


def test_an_interrupted_update_goes_on_where_it_was(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch of texts is committed by itself, so a large store needs no room for all of them,
    and one whose disk is full no second try of what was done."""
    sketched: list[str] = []

    def fail_once(text: str) -> bytes:
        sketched.append(text)
        if len(sketched) == 2:
            full = sqlite3.OperationalError("disk full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        return sketch(text)

    monkeypatch.setattr(stories, "sketch", fail_once)
    monkeypatch.setattr(stories, "BATCH_TEXTS", 1)
    with pytest.raises(Transient, match="disk full"):
        StoreWriter(earlier)
    with closing(StoreWriter(earlier)) as store:
        put(store, TITLES[2])

    assert sketched == [render(TITLES[place], STORY) for place in (0, 1, 1)]
    assert copies_of_story(earlier) == (2, identity(TITLES[0], STORY)["id"])
