"""Rows of tables become articles; a row that is not one is named by its line."""

from __future__ import annotations

import json
from typing import Any

from tests.support.file_records import MOST_BYTES, problems_of, values_of


def articles_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(value) for value in values_of(content) if value is not None]


def test_columns_are_fields_in_whatever_case_and_cells_are_text() -> None:
    """Columns of other names are kept, empty cells and columns without a name are left out."""
    content = (
        b'ID, Title ,"CONTENT",,Section\r\n'
        b'7,"A ""new"" school","One.\r\n\r\nTwo.",x,local\r\n8,,b,,\r\n'
    )

    assert articles_of(content) == [
        {"id": "7", "title": 'A "new" school', "content": "One.\r\n\r\nTwo.", "Section": "local"},
        {"id": "8", "content": "b"},
    ]


def test_a_bad_row_is_stepped_over_and_named_by_the_line_it_begins_in() -> None:
    """Too few cells, too many, bytes that are not UTF-8, a quote within; blank lines are none."""
    content = (
        b"title,content\n"
        b'"a\nb",c\n'  # lines 2 and 3
        b"only one\n"
        b"\n"
        b"one,two,three\n"
        b"Caf\xe9,x\n"
        b'"a"b,c\n'
        b"d,e\n"
    )

    assert [item["title"] for item in articles_of(content)] == ["a\nb", "d"]
    assert problems_of(content) == [
        ("line 4", "1 cells, where the header has 2"),
        ("line 6", "3 cells, where the header has 2"),
        ("line 7", "not UTF-8"),
        ("line 8", "not a row of a table: ',' expected after '\"'"),
    ]


def test_a_quote_that_is_never_closed_costs_no_more_than_the_limit() -> None:
    """It takes in what follows up to the limit of a record, or to the end of the file."""
    good = b"x,y\n"
    content = b'title,content\na,b\n"open,c\n' + good * MOST_BYTES

    found = articles_of(content)

    assert found[0] == {"title": "a", "content": "b"} and len(found) > MOST_BYTES - 1_100
    assert problems_of(content)[0] == ("line 3", "more than the limit of 4,000 bytes")
    assert problems_of(b'title,content\na,b\n"open,c\n') == [
        ("line 3", "not a row of a table: unexpected end of data")
    ]


def test_a_row_of_many_lines_is_held_no_further_than_the_limit() -> None:
    """Though each of its cells is small, and each of its lines."""
    content = b"title,content\na,b\n" + b'"\n",' * MOST_BYTES

    assert problems_of(content)[0] == ("line 3", "more than the limit of 4,000 bytes")


def test_a_line_beyond_the_limit_is_named_and_those_around_it_are_read() -> None:
    """It is never held whole."""
    content = b"title,content\na,b\n" + b"x" * 3 * MOST_BYTES + b",y\nc,d\n"

    assert [item["title"] for item in articles_of(content)] == ["a", "c"]
    assert problems_of(content) == [("line 3", "more than the limit of 4,000 bytes")]
