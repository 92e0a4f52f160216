"""Which field of a record counts, under which of its names, in which shape."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.errors import InvalidContent, InvalidId, InvalidTitle, RecordError
from newsieve.filters.article import Article
from newsieve.records.decode import DecodePolicy, RawRecord, decode, record_key
from newsieve.records.field_names import DEFAULT_NAMES, FieldNames
from newsieve.records.raw_fields import DEFAULT_READER, FieldReader
from newsieve_schemas.article import CONTENT_NAMES, RawArticle
from newsieve_schemas.article_shapes import MAX_BLOCKS


def article(facts: Any, reader: FieldReader = DEFAULT_READER) -> Article:
    policy = DecodePolicy(1_000_000, id_from_key=False, reader=reader)
    return decode(RawRecord(json.dumps(facts).encode(), None, None, None, {}), policy)


@pytest.mark.parametrize(("first", "second"), list(combinations(CONTENT_NAMES, 2)))
def test_the_more_trusted_content_counts_and_a_blank_one_gives_way(first: str, second: str) -> None:
    """In the order of the names, whatever the order in the record."""
    assert article({second: "second", first: "first"}).content == "first"
    assert article({second: "second", first: "<p> </p>"}).content == "second"


@given(st.permutations(DEFAULT_NAMES.published_at), st.integers(1, 9))
def test_the_first_name_counts_whatever_the_settings_order(names: list[str], count: int) -> None:
    """Of all that are there."""
    reader = FieldReader(FieldNames(published_at=tuple(names)))
    facts = {name: f"2026-11-0{place}" for place, name in enumerate(names[:count], 1)}

    assert article({"title": "t", **facts}, reader).published_at == "2026-11-01"


@pytest.mark.parametrize("name", [*CONTENT_NAMES[1:], "guid", "headline", "link", "lang", "date"])
@pytest.mark.parametrize("value", [5.5, True, {}, [5], {"deep": [{}]}, {"rendered": 5}])
def test_a_wrong_value_under_any_other_name_is_null_and_counted(name: str, value: Any) -> None:
    """An article is not lost to a field that it does not need."""
    read = article({"id": "i", "title": "t", "content": "c", "url": "u", name: value})

    assert (read.id, read.title, read.content, read.url) == ("i", "t", "c", "u")
    assert read.nulled == (name,)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"content": {"html": "x"}, "text": "t"}, InvalidContent),
        ({"content": ["x", 5], "text": "t"}, InvalidContent),
        ({"content": ["x"] * (MAX_BLOCKS + 1), "text": "t"}, InvalidContent),
        ({"title": ["x"], "headline": "t"}, InvalidTitle),
        ({"title": {"rendered": 5}}, InvalidTitle),
        ({"id": [], "guid": "g", "title": "t"}, InvalidId),
        ({"id": {"oid": "x"}, "title": "t"}, InvalidId),
    ],
)
def test_id_title_and_content_stay_strict(facts: Any, error: type[RecordError]) -> None:
    """A shape that is not on the list is no reason to read another field."""
    with pytest.raises(error):
        article(facts)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"rendered": "<p>a</p>", "protected": False}, "<p>a</p>"),
        ([{"type": "text/html", "value": "a"}], "a"),
        ([{"type": "p", "text": "a"}, {"type": "image"}, "b", ""], "a\n\nb"),
        ({"_": "a", "$": {}}, "a"),
    ],
)
def test_the_texts_of_blocks_and_objects_are_paragraphs(content: Any, text: str) -> None:
    """What has no text leaves no trace."""
    assert article({"content": content}).content == text
    assert article({"title": "t", "body": content}).content == text


@pytest.mark.parametrize(
    ("facts", "field", "value"),
    [
        ({"link": ["https://a", "https://b"]}, "url", "https://a"),
        ({"link": [{"rel": "self"}, {"href": "https://a"}]}, "url", "https://a"),
        ({"link": {"@href": "https://a"}}, "url", "https://a"),
        ({"link": []}, "url", None),
        ({"url": "", "link": "https://a"}, "url", "https://a"),
        ({"url": ""}, "url", ""),
        ({"source": {"id": None, "name": "N"}}, "source", "N"),
        ({"source": {"id": 1}, "source_domain": "d.example"}, "source", "d.example"),
        ({"language": ["en", "de"]}, "language", "en"),
        ({"lang": "de"}, "language", "de"),
        ({"guid": {"isPermaLink": "false", "_": "g"}}, "id", "g"),
        ({"guid": 12}, "id", "12"),
        ({"id": " ", "guid": "g"}, "id", "g"),
        ({"id": {"$oid": "60f6"}}, "id", "60f6"),
        ({"headline": "h", "title": " "}, "title", "h"),
        ({"title": {"rendered": "r"}}, "title", "r"),
        ({"date": 1793525400}, "published_at", "2026-11-01T09:30:00Z"),
        ({"date": {"$date": "2026-11-01"}}, "published_at", "2026-11-01"),
        ({"published": 7, "pubDate": "2026-11-01"}, "published_at", "2026-11-01"),
    ],
)
def test_each_field_is_read_in_the_shapes_that_users_have(
    facts: Any, field: str, value: str | None
) -> None:
    """Links, sources, languages, ids, titles and dates."""
    assert getattr(article({"content": "c", **facts}), field) == value


def test_a_date_that_is_not_understood_is_said() -> None:
    """A text is kept, a number is null; a missing date is nothing to say."""
    assert article({"title": "t", "date": "soon"}).has_unknown_date
    assert article({"title": "t", "published_at": 7}).nulled == ("published_at",)
    assert article({"title": "t", "published_at": 7}).has_unknown_date
    assert not article({"title": "t", "date": "Sun, 01 Nov 2026 09:30:00 GMT"}).has_unknown_date
    assert not article({"title": "t"}).has_unknown_date


def test_an_article_without_a_body_is_told_from_one_with_it() -> None:
    """Markup around nothing is no body."""
    assert article({"title": "t", "content": "c"}).has_body
    assert not article({"title": "t", "content": "<p></p>", "url": "u"}).has_body


def test_an_article_of_html_is_told_from_one_of_text() -> None:
    """By its content, not by its title."""
    assert article({"title": "t", "content": "<p>c</p>"}).has_markup
    assert not article({"title": "<p>t</p>", "content": "a < b, and x<y>z"}).has_markup


def test_names_of_the_settings_take_the_place_of_the_defaults() -> None:
    """Also where a name is no word, or stands under two fields; and the key is made with them."""
    names = FieldNames(id=("_id", "url"), content=("cms:text", "3"), url=("url",))
    reader = FieldReader(names)

    read = article({"url": "u", "cms:text": " ", "3": "c", "content": "not read"}, reader)

    assert (read.id, read.url, read.content) == ("u", "u", "c")
    assert record_key(b'{"_id": "k", "title": "t"}', reader) == b"k"
    assert record_key(b'{"guid": "k", "title": "t"}') == b"k"


@pytest.mark.parametrize("place", range(9))
def test_no_name_hides_another(place: int) -> None:
    """Whatever its place is among all: one that is no word is read beside those that are."""
    reader = FieldReader(FieldNames(content=("cms:text", f"field_{place}")))

    facts = {"title": "t", "cms:text": "c", f"field_{place}": "other"}

    assert article(facts, reader).content == "c"


def test_the_model_has_every_name_that_is_read() -> None:
    """The contract says what a worker reads unless it is told otherwise."""
    names = {info.alias or name for name, info in RawArticle.model_fields.items()}

    assert names - {"tags"} == {item for each in DEFAULT_NAMES.by_field().values() for item in each}


@pytest.mark.parametrize("fill", [b"[", b'{"rendered":', b'["', b'{"":"",'])
def test_a_content_of_brackets_costs_no_objects(fill: bytes) -> None:
    """A million elements are refused by their count, before anything is made of them."""
    inside = {b"[": b"[]", b'{"rendered":': b'{"rendered":[]}', b'["': b'""', b'{"":"",': b"{}"}
    value = b'{"title":"t","body":[' + b",".join([inside[fill]] * 200_000) + b"]}"
    policy = DecodePolicy(4_000_000, id_from_key=False)

    assert decode(RawRecord(value, None, None, None, {}), policy).nulled == ("body",)
