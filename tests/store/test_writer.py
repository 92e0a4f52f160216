"""Rows become articles that are listed once: facts, stories, newer decisions, late texts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from newsieve.errors import StoreFailed
from newsieve.filters.article import Article
from newsieve.filters.rendering import render
from newsieve.filters.story_sketch import bands, sketch
from newsieve.records.decode import RawRecord
from newsieve.store.counts import tallies
from newsieve.store.dead_letters import count_letters, find_letter, list_letters
from newsieve.store.incidents import alerts_of_incident, newest_alerts
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoreReader
from newsieve.store.rows import (
    AlertRow,
    ReplayRow,
    TextRow,
    label_row,
    letter_row,
    outcome_row,
    text_row,
)
from newsieve.store.writer import MOST_CANDIDATES, StoreWriter
from tests.support.scored_records import START_MS, identity, labelled, scored

STORY = " ".join(f"the harbour of town {number} rose early" for number in range(20))


def text(title: str | None, content: str | None) -> TextRow:
    fields = identity(title, content)
    article = Article(
        fields["id"], title, content, None, None, None, None, "", fields["content_hash"], ()
    )
    return text_row(article, START_MS)


def test_the_same_fact_is_stored_once(writer: StoreWriter, reader: StoreReader) -> None:
    """A record that was published twice, or scored again by a backfill, is one outcome."""
    row = outcome_row(scored(identity("A title", "Some words")))
    writer.write([row, row], {("articles.scored", 0): 2})
    writer.write([row], {("articles.scored", 1): 1})
    page = reader.articles(ArticleQuery())
    assert len(page.outcomes) == 1
    assert [item.outcomes for item in tallies(reader, 0)] == [1]
    assert writer.positions() == {("articles.scored", 0): 2, ("articles.scored", 1): 1}


def test_rows_and_offsets_are_written_together_or_not_at_all(
    writer: StoreWriter, reader: StoreReader
) -> None:
    """A fault between two rows leaves neither of them, nor the offsets."""
    good = outcome_row(scored(identity("A title", "Some words")))
    bad = good._replace(fact=b"other", filter=None)
    with pytest.raises(StoreFailed):
        writer.write([good, bad], {("articles.scored", 0): 2})
    assert writer.positions() == {}
    assert reader.last_outcome() == 0


def test_copies_of_a_story_are_listed_once(writer: StoreWriter, reader: StoreReader) -> None:
    """The first one is listed and says how many others there are; other tiers list their own."""
    articles = [identity(f"Heading {number}", STORY) for number in range(3)]
    rows = [text(f"Heading {number}", STORY) for number in range(3)]
    outcomes = [outcome_row(scored(item)) for item in articles]
    other = outcome_row(scored(identity("Heading 4", STORY), tier="impact"))
    writer.write([*rows, text("Heading 4", STORY), *outcomes, other], {})
    page = reader.articles(ArticleQuery(filter="uplifting"))
    assert [(item.tier, item.copies) for item in page.outcomes] == [
        ("impact", 0),
        ("connection", 2),
    ]
    copies = reader.copies(page.outcomes[1])
    assert [item.is_listed for item in copies] == [False, False]


def test_a_text_that_comes_late_joins_its_story(writer: StoreWriter, reader: StoreReader) -> None:
    """An outcome whose text is not there yet is listed by its title, and folded when it comes."""
    one, other = identity("Heading 1", STORY), identity("Heading 2", STORY)
    writer.write([outcome_row(scored(one)), outcome_row(scored(other))], {})
    assert len(reader.articles(ArticleQuery()).outcomes) == 2
    assert len(reader.articles(ArticleQuery(text="harbour")).outcomes) == 0
    writer.write([text("Heading 1", STORY), text("Heading 2", STORY)], {})
    (listed,) = reader.articles(ArticleQuery(text="harbour")).outcomes
    assert listed.copies == 1
    assert reader.content(listed.text_id) == STORY
    writer.connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")


def test_a_newer_decision_takes_the_place_of_the_older(
    writer: StoreWriter, reader: StoreReader
) -> None:
    """A backfill with another threshold decides anew: the article is listed in one tier."""
    article = identity("A title", STORY)
    writer.write([text("A title", STORY), outcome_row(scored(article))], {})
    again = scored(article, tier="impact", filter_hash="sha256:" + "b" * 64, ms=START_MS + 9)
    writer.write([outcome_row(again)], {})
    assert [item.tier for item in reader.articles(ArticleQuery()).outcomes] == ["impact"]
    assert len(reader.outcomes_of_article(article["id"])) == 2


def test_a_superseded_article_leaves_its_copies_listed(
    writer: StoreWriter, reader: StoreReader
) -> None:
    """Where the first of a story is decided anew, the next one stands for the old tier."""
    one, other = identity("Heading 1", STORY), identity("Heading 2", STORY)
    writer.write([text("Heading 1", STORY), text("Heading 2", STORY)], {})
    writer.write([outcome_row(scored(one)), outcome_row(scored(other))], {})
    again = scored(one, tier="impact", filter_hash="sha256:" + "b" * 64)
    writer.write([outcome_row(again)], {})
    listed = {item.tier: item for item in reader.articles(ArticleQuery()).outcomes}
    assert {tier: item.copies for tier, item in listed.items()} == {"impact": 0, "connection": 0}
    assert other["id"].encode() in listed["connection"].record


def test_a_label_stands_beside_its_article(writer: StoreWriter, reader: StoreReader) -> None:
    """The oracle's label is found by text and filter, the newest first."""
    article = identity("A title", STORY)
    labels = [labelled(article, {"agency": score}, ms=START_MS + score) for score in (3, 5)]
    writer.write([outcome_row(scored(article)), *map(label_row, labels)], {})
    (outcome,) = reader.articles(ArticleQuery()).outcomes
    found = reader.labels([outcome.text_id], "uplifting")
    assert [item.record for item in found] == [labels[1].value, labels[0].value]
    assert found[0].oracle == "gemini/oracle-1"


def test_dead_letters_keep_the_original_bytes(writer: StoreWriter, reader: StoreReader) -> None:
    """Reason, bytes and headers are there, and whether the letter was put back."""
    headers = [("dlq.stage", b"decode"), ("dlq.error", b"NotUtf8"), ("dlq.message", b"\xff no"),
               ("dlq.failed-at", b"2026-11-20T08:00:00Z"), ("none", None)]  # fmt: skip
    place = {"topic": "articles.dead-letter", "partition": 3, "offset": 7}
    row = letter_row(RawRecord(b"\xff\xfe", b"key", headers, START_MS, place))
    writer.write([row, row, row._replace(offset=9)], {})
    writer.write([ReplayRow(3, "[[5,7]]")], {})
    newest, letter = list_letters(reader)
    assert (letter.stage, letter.error, letter.value, letter.key) == (
        "decode",
        "NotUtf8",
        b"\xff\xfe",
        b"key",
    )
    assert (letter.is_replayed, newest.is_replayed) == (True, False)
    assert count_letters(reader) == [("decode", "NotUtf8", None, 2)]
    assert find_letter(reader, letter.id) == letter


def test_letters_of_a_topic_that_was_made_anew_are_kept(
    writer: StoreWriter, reader: StoreReader
) -> None:
    """Its offsets begin anew: another letter at a known offset is another letter."""
    headers = [("dlq.stage", b"decode"), ("dlq.failed-at", b"2026-11-20T08:00:00Z")]
    place = {"topic": "articles.dead-letter", "partition": 0, "offset": 0}
    row = letter_row(RawRecord(b"old", None, headers, START_MS, place))
    writer.write([row, row._replace(failed_ms=row.failed_ms + 1, value=b"new")], {})
    assert [item.value for item in list_letters(reader)] == [b"new", b"old"]


def test_an_incident_has_its_course(writer: StoreWriter, reader: StoreReader) -> None:
    """Alerts of one incident are read in their order."""
    rows = [
        AlertRow(bytes([number]), "i1", "uplifting", START_MS, b'{"n":%d}' % number)
        for number in range(3)
    ]
    writer.write([*rows, rows[0]], {})
    assert alerts_of_incident(reader, "i1") == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert newest_alerts(reader)[0] == b'{"n":2}'


@pytest.mark.usefixtures("writer")
def test_a_store_has_one_filler(path: Path) -> None:
    """A second program that would fill the same store is told so."""
    with pytest.raises(StoreFailed, match="another `newsieve serve`"):
        StoreWriter(path)


def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    """Neither a text nor somebody's database is taken for a store."""
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and long enough to be looked at. " * 50)
    with pytest.raises(StoreFailed, match=r"notes\.txt"):
        StoreWriter(path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(StoreFailed, match="no store of this version"):
        StoreWriter(other)
    assert path.read_text().startswith("These are my notes")


def test_a_phrase_that_thousands_share_is_looked_up_in_a_bounded_time(writer: StoreWriter) -> None:
    """Stock reports and weather share bands by the thousand: only the newest of them are looked at,
    whatever their number."""
    row = text("A heading", STORY)
    writer.write([row], {})
    (key, *_) = bands(sketch(render("A heading", STORY)))
    writer.connection.executemany(
        "INSERT OR IGNORE INTO story_bands VALUES (?, ?)",
        [(key, number) for number in range(2, 5_000)],
    )
    writer.connection.executemany(
        "INSERT INTO texts SELECT ?, randomblob(32), ?, 0, 1, NULL, NULL, zeroblob(128)",
        [(number, number) for number in range(2, 5_000)],
    )
    looked_at: list[str] = []
    writer.connection.set_trace_callback(looked_at.append)
    writer.write([text("Another heading", STORY)], {})
    writer.connection.set_trace_callback(None)
    assert sum("FROM texts WHERE id" in statement for statement in looked_at) <= MOST_CANDIDATES * 4


def test_an_article_that_is_decided_again_and_again_costs_no_more(writer: StoreWriter) -> None:
    """Neither the many decisions about one article nor its story's size makes the next one dear."""
    articles = [identity(f"Heading {number}", STORY) for number in range(40)]
    writer.write([text(f"Heading {number}", STORY) for number in range(40)], {})
    writer.write([outcome_row(scored(item)) for item in articles], {})
    for number in range(50):
        again = scored(articles[20], filter_hash=f"sha256:{number:064x}")
        writer.write([outcome_row(again)], {})
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    before = writer.connection.total_changes
    writer.connection.set_progress_handler(step, 1_000)
    again = scored(articles[20], filter_hash="sha256:" + "b" * 64)
    writer.write([outcome_row(again)], {})
    writer.connection.set_progress_handler(None, 0)
    assert writer.connection.total_changes - before < 10
    assert steps < 5  # thousands of SQLite's steps; each of 50 superseded rows would be looked at


def test_copies_name_the_first_article_of_their_story(
    writer: StoreWriter, reader: StoreReader
) -> None:
    """Whichever text comes first, and whatever is listed; others are stories of their own."""
    articles = [identity(f"Heading {number}", STORY) for number in range(3)]
    alone = identity("Alone", "A short text")
    writer.write([text(f"Heading {number}", STORY) for number in range(2)], {})
    outcomes = [outcome_row(scored(item)) for item in [*articles[1::-1], alone]]
    writer.write([*outcomes, outcome_row(scored(articles[2]))], {})
    assert names_of_stories(reader) == [articles[2]["id"], alone["id"], *[articles[0]["id"]] * 2]
    writer.write([text("Heading 2", STORY)], {})
    assert names_of_stories(reader) == [articles[0]["id"], alone["id"], *[articles[0]["id"]] * 2]
    assert writer.connection.execute("SELECT count(*) FROM stories").fetchone()[0] == 2


def names_of_stories(reader: StoreReader) -> list[str]:
    """The story of each outcome, the newest first."""
    outcomes = (reader.outcome(number) for number in range(reader.last_outcome(), 0, -1))
    return [item.first_article for item in outcomes if item is not None]
