"""What transports wrap around an article never changes it, and what is no envelope stays closed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.errors import (
    ArticleDeleted,
    BinaryPayload,
    InvalidJson,
    NestedTooDeep,
    NotAnObject,
    NoText,
    RecordError,
)
from newsieve.records.compressed import declared_size
from newsieve.records.decode import Headers
from tests.support.envelopes import ARTICLE, FRAME, article, connect, debezium, event

BY_HEADER: Headers = [("__value_schema_id", b"\1" + bytes(16))]
JSON_ENVELOPES = {"connect": connect, "debezium": debezium, "cloudevent": event}
BYTES_ENVELOPES = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "confluent": lambda value: FRAME + value,
}
ORDER = ("gzip", "zstd", "confluent", "connect", "debezium", "cloudevent")
FACTS = st.fixed_dictionaries(
    {"title": st.text(min_size=1, max_size=9).map(lambda text: f"t{text}")},
    optional={
        "id": st.text(max_size=5) | st.integers(),
        "content": st.none() | st.text(max_size=20) | st.just({"rendered": "<p>x</p>"}),
        "summary": st.text(max_size=9) | st.integers(),
        "link": st.text(max_size=9) | st.lists(st.text(max_size=5), max_size=2),
        "pubDate": st.text(max_size=9) | st.just(1793525400),
        "after": st.text(max_size=3),
    },
)


@given(FACTS, st.sets(st.sampled_from(ORDER)).filter(lambda names: not {"gzip", "zstd"} <= names))
@settings(max_examples=150)
def test_envelopes_never_change_the_article(facts: dict[str, Any], names: set[str]) -> None:
    """Any of them, in their order, around any article."""
    bare = article(facts)
    inner: Any = facts
    for name in reversed(ORDER):
        if name in names and name in JSON_ENVELOPES:
            inner = JSON_ENVELOPES[name](inner)
    value = json.dumps(inner).encode()
    for name in reversed(ORDER):
        if name in names and name in BYTES_ENVELOPES:
            value = BYTES_ENVELOPES[name](value)

    read = article(value)

    assert read == bare._replace(envelopes=tuple(name for name in ORDER if name in names))


@pytest.mark.parametrize("wrap", [connect, debezium])
def test_what_an_envelope_holds_may_be_a_string_of_json(wrap: Any) -> None:
    """As the connector of MongoDB writes it."""
    assert article(wrap(json.dumps(ARTICLE))).id == "7"


@pytest.mark.parametrize("wrap", [connect, debezium, event])
@pytest.mark.parametrize("value", [ARTICLE, json.dumps(ARTICLE | {"title": "\ud800"})])
def test_lone_surrogates_and_byte_order_marks_close_no_envelope(wrap: Any, value: Any) -> None:
    """Whatever is beside the article or in it."""
    text = json.dumps(
        wrap(value) | {"source": {"s": "\udfff"}} if wrap is debezium else wrap(value)
    )

    assert article(b"\xef\xbb\xbf" + text.encode()).id == "7"
    assert article(json.dumps(wrap({**ARTICLE, "content": "\ud800"})).encode()).content == "\ufffd"


@pytest.mark.parametrize("op", ["c", "r", "u"])
def test_a_change_is_the_row_after_it(op: str) -> None:
    """Created, read in a snapshot, updated."""
    assert article(debezium(ARTICLE, op)).id == "7"
    assert article(connect(debezium(ARTICLE, op))).envelopes == ("connect", "debezium")


@pytest.mark.parametrize(
    "value",
    [
        {"before": ARTICLE, "after": None, "op": "d"},
        {"before": ARTICLE, "op": "d", "ts_ms": 1},
        {"op": "t", "source": {}, "ts_ms": 1},
        connect(None),
        connect(debezium(None, "d")),
    ],
)
def test_a_deletion_is_told_from_what_cannot_be_read(value: Any) -> None:
    """Whoever reads the topic can skip it as a tombstone."""
    with pytest.raises(ArticleDeleted):
        article(value)


@pytest.mark.parametrize(("op", "what"), [("u", "update"), ("c", "insert"), ("r", "initial read")])
def test_a_change_without_its_row_is_no_deletion(op: str, what: str) -> None:
    """MongoDB's updates are such, unless the connector is told otherwise: nobody may lose them
    without a word."""
    with pytest.raises(NotAnObject, match=f"Debezium's {what} has no row"):
        article(debezium(None, op))


@pytest.mark.parametrize(
    "facts",
    [
        {**ARTICLE, "payload": {"title": "other"}, "schema": {}},
        {**ARTICLE, "payload": "text"},
        {**ARTICLE, "after": {"title": "other"}, "op": "c"},
        {**ARTICLE, "op": "d", "before": None, "after": None},
        {**ARTICLE, "specversion": "1.0", "data": {"title": "other"}},
    ],
)
def test_an_article_with_a_field_of_such_a_name_is_an_article(facts: Any) -> None:
    """Only the whole shape makes an envelope."""
    read = article(facts)

    assert (read.id, read.title, read.envelopes) == ("7", "t", ())


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (connect(5), NotAnObject),
        (connect([ARTICLE]), NotAnObject),
        (connect("text"), InvalidJson),
        (connect(connect(ARTICLE)), NoText),
        ({"schema": 5, "payload": ARTICLE}, NoText),
        ({"op": "x", "after": ARTICLE}, NoText),
        ({"op": 5, "after": ARTICLE}, NoText),
        ({"op": "c", "before": None}, NoText),
        (gzip.compress(gzip.compress(json.dumps(ARTICLE).encode())), RecordError),
    ],
)
def test_what_is_no_envelope_is_not_opened(value: Any, error: type[RecordError]) -> None:
    """Each at most once, and only with an article in it."""
    with pytest.raises(error):
        article(value)


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (FRAME + b"\x0e\x02\x0ahello", None),
        (FRAME + b"\0\x0a\x01t", None),
        (FRAME, None),
        (b"\0", None),
        (b"\x0e\x02\x0ahello\xff", BY_HEADER),
        (FRAME + b'{"title": "t"', None),
    ],
    ids=["avro", "protobuf", "empty", "shorter", "avro by header", "broken"],
)
def test_avro_and_protobuf_are_dead_letters_that_say_so(
    value: bytes, headers: Headers | None
) -> None:
    """Behind the framing, or a header that names a schema."""
    with pytest.raises(BinaryPayload, match="Avro, Protobuf"):
        article(value, headers)


def test_a_header_that_names_a_schema_leaves_json_as_it_is() -> None:
    """The newer serializers put the id there."""
    assert article(ARTICLE, BY_HEADER) == article(ARTICLE)._replace(envelopes=("confluent_header",))


def test_limits_hold_inside_of_envelopes() -> None:
    """Of nesting."""
    deep: Any = ARTICLE
    for _ in range(101):
        deep = [deep]
    with pytest.raises(NestedTooDeep):
        article(gzip.compress(json.dumps(connect({"x": deep})).encode()))


MAGIC = st.sampled_from(
    [b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"\x28\xb5\x2f\xfd", b"\0", FRAME, FRAME + b"{"]
)
WHOLE = st.sampled_from(
    [compress(json.dumps(wrap(ARTICLE)).encode())
     for compress in (gzip.compress, zstd.compress, bytes, lambda value: FRAME + value)
     for wrap in (dict, connect, debezium)]
)  # fmt: skip


@given(
    st.tuples(MAGIC, st.binary(max_size=60)).map(b"".join)
    | st.tuples(WHOLE, st.integers(0, 300), st.binary(max_size=4)).map(
        lambda item: item[0][: item[1]] + item[2] + item[0][item[1] + len(item[2]) :]
    )
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_raise_anything_but_a_record_error(value: bytes) -> None:
    """Random bytes behind each magic number, and whole values with some bytes changed."""
    try:
        assert article(value).text
    except RecordError as error:
        assert error.name and str(error)
    assert (declared_size(value) or 0) >= 0
