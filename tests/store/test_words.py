"""What a reader types is words, and every script has some."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.store.words import match_expression, searchable


@pytest.fixture(scope="module")
def index() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE search USING fts5 (title, content, content='')")
    texts = ["The harbour rose early", "港が朝早く目覚めた", "Der Hafen von Tromsø", "ท่าเรือตื่นแต่เช้า"]
    for number, text in enumerate(texts):
        connection.execute(
            "INSERT INTO search (rowid, title, content) VALUES (?, ?, '')",
            (number, searchable(text)),
        )
    return connection


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("harbour", [0]),
        ("HARBOUR early", [0]),
        ("harbour hafen", []),
        ('"harbour rose"', [0]),
        ('"rose harbour"', []),
        ("har*", [0]),
        ("the -early", []),
        ("hafen -early", [2]),
        ("tromsø", [2]),
        ("目覚め", [1]),
        ("朝早く", [1]),
        ("早朝", []),
        ("ตื่น", [3]),
        ('title:harbour OR ( "', []),
    ],
)
def test_a_query_finds_texts_with_all_of_its_words(
    index: sqlite3.Connection, query: str, found: list[int]
) -> None:
    """Words, phrases, beginnings and what must not occur, in scripts with and without spaces."""
    rows = index.execute(
        "SELECT rowid FROM search WHERE search MATCH ?", (match_expression(query),)
    )
    assert [row[0] for row in rows] == found


@pytest.mark.parametrize("query", ["", " ", "-", '"', '"" "', "--", "*", "&&", "-harbour"])
def test_a_query_without_a_wanted_word_is_none(query: str) -> None:
    """Nothing can be looked for where no word is wanted."""
    assert match_expression(query) is None


@given(st.text(max_size=60))
def test_no_query_is_a_fault_of_syntax(query: str) -> None:
    """Whatever is typed, the index understands it."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE search USING fts5 (title, content, content='')")
    expression = match_expression(query)
    if expression is not None:
        connection.execute(
            "SELECT rowid FROM search WHERE search MATCH ?", (expression,)
        ).fetchall()
    connection.close()
