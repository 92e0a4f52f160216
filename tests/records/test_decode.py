"""Raw records to articles: what is accepted, what is refused and why, and never a crash."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from newsieve.errors import (
    InvalidContent,
    InvalidId,
    InvalidJson,
    InvalidTitle,
    NestedTooDeep,
    NonFiniteNumber,
    NotAnObject,
    NoText,
    NotUtf8,
    RecordError,
    TooLarge,
)
from newsieve.filters.article import Article
from newsieve.records.decode import DecodePolicy, Headers, RawRecord, decode

POLICY = DecodePolicy(max_bytes=10_000, id_from_key=False)


def article(
    value: Any,
    key: bytes | None = None,
    headers: Headers | None = None,
    policy: DecodePolicy = POLICY,
) -> Article:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode(RawRecord(raw, key, headers, None, {}), policy)


def test_a_whole_article_is_read() -> None:
    """Every field of the contract."""
    read = article(
        {
            "id": "a1",
            "title": " T ",
            "content": "C",
            "url": "https://example.org",
            "source": "s",
            "language": "en",
            "published_at": "2026-11-01",
            "tags": ["x"],
            "unknown": {"deep": [1]},
        }
    )

    assert (read.id, read.title, read.content) == ("a1", " T ", "C")
    assert (read.url, read.source, read.language) == ("https://example.org", "s", "en")
    assert read.published_at == "2026-11-01"
    assert read.text == "T\n\nC"
    assert read.nulled == ()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"{}" + b" " * 10_000, TooLarge),
        (b'{"title": "\xff"}', NotUtf8),
        (b'{"title": "\xed\xa0\x80"}', NotUtf8),
        ("{}".encode("utf-16"), NotUtf8),
        (b"", InvalidJson),
        (b"title: x", InvalidJson),
        (b'{"title": "x"', InvalidJson),
        (b'{"title": "x"} {"title": "y"}', InvalidJson),
        (b"{'title': 'x'}", InvalidJson),
        (b'{"title": "a\x01b"}', InvalidJson),
        (b'{"title": "x", "n": NaN}', NonFiniteNumber),
        (b'{"title": "x", "n": -Infinity}', NonFiniteNumber),
        (b'{"title": "x", "n": ' + b"[" * 100 + b"]" * 100 + b"}", NestedTooDeep),
        (b"[" * 5_000, NestedTooDeep),
        (b'{"a":' * 1_600, NestedTooDeep),
        (b"null", NotAnObject),
        (b"[]", NotAnObject),
        (b'"text"', NotAnObject),
        (b"7", NotAnObject),
        (b"{}", NoText),
        (b'{"title": "", "content": " \\n\\t"}', NoText),
        (b'{"title": null, "content": null}', NoText),
        (b'{"text": 5}', NoText),
        (b'{"title": 5, "content": "x"}', InvalidTitle),
        (b'{"title": ["x"]}', InvalidTitle),
        (b'{"title": "x", "content": {}}', InvalidContent),
        (b'{"title": "x", "content": false}', InvalidContent),
        (b'{"title": "x", "id": true}', InvalidId),
        (b'{"title": "x", "id": 1.5}', InvalidId),
        (b'{"title": "x", "id": 1.0}', InvalidId),
        (b'{"title": "x", "id": 1e30}', InvalidId),
        (b'{"title": "x", "id": []}', InvalidId),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(value: bytes, error: type[RecordError]) -> None:
    """Each reason has its own error, and a message for people."""
    with pytest.raises(error) as caught:
        article(value)

    assert str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        b'\xef\xbb\xbf{"title": "x"}',
        b'{"title": "\\ud800"}',
        b'{"title": "\xc3\x83\xc2\xa9t\xc3\x83\xc2\xa9"}',
        b' \r\n\t{"title": "x"}\n ',
        b'{"title": "x", "n": 1e400}',
        b'{"title": "x", "n": 123456789012345678901234567890}',
        b'{"title": "x", "n": ' + b"9" * 5_000 + b"}",
        b'{"title": "x", "title": "y"}',
        b'{"title": "x\\u0000"}',
        b'{"title": "x", "n": ' + b"[" * 99 + b"]" * 99 + b"}",
        b'{"title": "' + b"[" * 500 + b'"}',
        b'{"title": "a", "text": 5, "body": 6}',
        b'{"specversion": "1.0", "type": "x", "source": "s", "id": 1' + b"0" * 400 + b","
        b' "data": {"id": 12345678901234567890123, "title": "t"}}',
        b'{"title": "a", "content": null, "body": "b"}',
    ],
)
def test_what_is_merely_strange_is_read(value: bytes) -> None:
    """Byte order marks, lone surrogates, mojibake, huge numbers nobody asked for."""
    assert article(value).text


def test_a_lone_surrogate_becomes_the_replacement_character_and_a_pair_its_character() -> None:
    """The text must have a UTF-8 form."""
    assert article(b'{"title": "a\\ud800b"}').title == "a\ufffdb"
    assert article(b'{"title": "\\ud83d\\ude00"}').title == "\U0001f600"
    assert article(b'{"title": "\\ud83d\\ude00 \\udc00", "id": "\\udfff"}').id == "\ufffd"


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ({"content": "c", "text": "t", "body": "b"}, "c"),
        ({"content": " ", "text": "t", "body": "b"}, "t"),
        ({"text": "", "body": "b"}, "b"),
        ({"content": None, "text": 3, "body": "b"}, "b"),
    ],
)
def test_content_is_the_first_field_that_is_not_blank(value: Any, content: str) -> None:
    """content, then text, then body."""
    assert article(value).content == content


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        ({"id": "x"}, "x"),
        ({"id": 0}, "0"),
        ({"id": -7}, "-7"),
        ({"id": 2**70}, str(2**70)),
        (
            {"id": None, "url": "https://e.org/1"},
            str(uuid.uuid5(uuid.NAMESPACE_URL, "https://e.org/1")),
        ),
        (
            {"id": " ", "url": "https://e.org/1"},
            str(uuid.uuid5(uuid.NAMESPACE_URL, "https://e.org/1")),
        ),
    ],
)
def test_an_id_is_given_or_made_of_the_url(value: Any, identity: str) -> None:
    """Integers become decimal strings, however large; 0 is an id."""
    assert article({"title": "t", **value}).id == identity


def test_without_id_and_url_the_text_makes_the_id() -> None:
    """The same text always has the same."""
    first, again = article({"title": "t"}), article({"title": "t ", "source": "x"})

    assert first.id == again.id != article({"title": "u"}).id
    uuid.UUID(first.id)


def test_the_key_is_an_id_only_where_the_settings_say_so() -> None:
    """And never instead of one."""
    from_key = DecodePolicy(10_000, id_from_key=True)

    assert article({"title": "t"}, key=b"k", policy=from_key).id == "k"
    assert article({"title": "t", "id": "i"}, key=b"k", policy=from_key).id == "i"
    assert article({"title": "t"}, key=b"k").id != "k"


def test_optional_fields_of_a_wrong_type_become_null_and_are_named() -> None:
    """They never make an article invalid."""
    wrong = {"url": 1, "source": [], "language": {}, "published_at": 5, "tags": "x", "body": 6}
    read = article({"title": "t", "content": "c", **wrong})

    assert (read.url, read.source, read.language, read.published_at) == (None,) * 4
    assert set(read.nulled) == set(wrong)


def test_published_date_is_accepted_for_published_at() -> None:
    """Both names are in use."""
    assert article({"title": "t", "published_date": "2026"}).published_at == "2026"
    assert article({"title": "t", "published_at": "1", "published_date": "2"}).published_at == "1"


INNER = {"id": "inner", "title": "t"}
EVENT = {"specversion": "1.0", "type": "x", "source": "/s", "id": "event"}


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (
            INNER,
            [
                ("ce_specversion", b"1.0"),
                ("ce_id", b"event"),
                ("content-type", b"application/json"),
            ],
        ),
        ({**EVENT, "data": INNER}, None),
        (
            {**EVENT, "data": INNER},
            [("content-type", b"application/cloudevents+json; charset=utf-8")],
        ),
        ({**EVENT, "data": json.dumps(INNER)}, None),
        ({**EVENT, "data_base64": base64.b64encode(json.dumps(INNER).encode()).decode()}, None),
        (INNER, [("content-type", None), ("x", b"\xff"), ("x", b"again")]),
    ],
    ids=["binary", "structured", "structured by header", "data as text", "base64", "odd headers"],
)
def test_articles_come_bare_or_as_cloud_events(value: Any, headers: Headers | None) -> None:
    """The event's id is not the article's."""
    assert article(value, headers=headers).id == "inner"


@pytest.mark.parametrize(
    ("data", "error"),
    [({"data": 5}, NotAnObject), ({"data_base64": "!"}, InvalidJson), ({"data": "x"}, InvalidJson)],
)
def test_an_event_without_an_article_is_refused(data: Any, error: type[RecordError]) -> None:
    """As its content would be."""
    with pytest.raises(error):
        article({**EVENT, **data})


@pytest.mark.parametrize(
    ("key", "article_id"),
    [
        (b"k", "k"),
        ("é".encode(), "é"),
        (b"\xff", "hex:ff"),
        (b"\x00\x80\xfe", "hex:0080fe"),
        (b"\xed\xa0\x80", "hex:eda080"),
        (b"hex:ff", "hex:6865783a6666"),
    ],
)
def test_a_key_that_is_no_text_is_an_id_in_hexadecimal(key: bytes, article_id: str) -> None:
    """And so is one that could be taken for such an id."""
    policy = DecodePolicy(10_000, id_from_key=True)

    assert article({"title": "t"}, key=key, policy=policy).id == article_id


@pytest.mark.parametrize(
    "facts",
    [
        {"title": "\u200b", "content": "\ufeff"},
        {"title": "\u00ad", "content": ""},
        {"title": "&nbsp;", "content": "<br/><br/>"},
        {"content": "<!-- wp:paragraph --><p></p><!-- /wp:paragraph -->"},
        {"content": '<div><img src="https://cdn.example/a.jpg"/></div>'},
        {"title": "\u200f", "content": "\u2066\u2069"},
        {"title": "\u0000", "content": "\u0000\u0001"},
        {"content": "<script>var a=1;</script>"},
    ],
)
def test_nothing_to_read_is_no_text(facts: dict[str, Any]) -> None:
    """Invisible characters and empty markup: neither people nor the student see anything."""
    with pytest.raises(NoText):
        article(facts)


def test_the_first_content_with_anything_to_read_is_taken() -> None:
    """And what is read is rendered as it came, a title as strange as it is."""
    assert article({"content": "<p></p>", "text": "\u200b", "body": "b"}).content == "b"
    assert article({"title": "<script>", "content": "c\u00ad"}).text == "<script>\n\nc\u00ad"
    assert article({"title": "t", "content": "<p></p>"}).content == "<p></p>"


def test_any_object_may_carry_an_unusual_key_and_specversion() -> None:
    """An article that happens to have such a field is still an article."""
    assert article({"specversion": "1.0", "title": "t"}).title == "t"
    assert (
        article({"specversion": 1, "type": "x", "source": "y", "data": 3, "title": "t"}).title
        == "t"
    )
