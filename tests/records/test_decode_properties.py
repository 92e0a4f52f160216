"""Decoding, over everything Hypothesis thinks of."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from newsieve.errors import RecordError
from newsieve.filters.article import Article
from newsieve.filters.readable import has_text
from newsieve.filters.rendering import render
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve_schemas.article import RawArticle


def article(raw: bytes) -> Article:
    policy = DecodePolicy(max_bytes=10_000, id_from_key=False)
    return decode(RawRecord(raw, None, None, None, {}), policy)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS_LIKE_HEX = st.binary(max_size=3).map(lambda key: b"hex:" + key.hex().encode())
ARTICLES = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "title",
            "content",
            "text",
            "body",
            "url",
            "source",
            "tags",
            "published_at",
            "x",
            "guid",
            "headline",
            "content:encoded",
            "summary",
            "link",
            "date",
        ]
    ),
    st.text(max_size=8)
    | JSON_VALUES
    | st.dictionaries(st.sampled_from(["rendered", "value", "name", "href"]), JSON_VALUES),
)


@given(ARTICLES)
# a busy machine is no failure
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_hot_path_accepts_exactly_what_the_model_does(facts: dict[str, Any]) -> None:
    """The pydantic model is the contract; the worker reads by hand, for speed, and refuses what has
    nothing to read."""
    raw = json.dumps(facts).encode()
    try:
        modelled: RawArticle | None = RawArticle.model_validate_json(raw)
        if not any(has_text(part) for part in modelled.texts() if part):
            modelled = None
    except ValidationError:
        modelled = None
    try:
        read: Article | None = article(raw)
    except RecordError:
        read = None

    assert (modelled is None) == (read is None)
    if modelled is not None and read is not None:
        titles = [title for title in (modelled.title, modelled.headline) if title is not None]
        title = next((title for title in titles if title and not title.isspace()), None)
        assert read.title == (title if title is not None else next(iter(titles), None))
        assert read.url == (modelled.url or modelled.link or modelled.url)
        assert read.source == modelled.source
        assert read.text == render(read.title, read.content)


@given(st.lists(st.binary(min_size=1, max_size=12) | KEYS_LIKE_HEX, unique=True, max_size=20))
@settings(max_examples=300)
def test_two_keys_are_never_one_id(keys: list[bytes]) -> None:
    """UTF-8 or not, and whatever a key looks like."""
    policy = DecodePolicy(max_bytes=10_000, id_from_key=True)

    ids = [decode(RawRecord(b'{"title": "t"}', key, None, None, {}), policy).id for key in keys]

    assert len(set(ids)) == len(keys)


@given(st.binary(max_size=60))
@settings(max_examples=500, deadline=None)  # 200 ms pass on a busy machine
def test_no_bytes_crash_the_decoder(value: bytes) -> None:
    """Any bytes become an article or a named error."""
    try:
        assert article(value).text
    except RecordError as error:
        assert error.name and str(error)
