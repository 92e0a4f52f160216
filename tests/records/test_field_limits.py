"""What an article's fields may have: beyond it nothing, or no article."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.errors import InvalidId, InvalidTitle, OutputTooLarge, RecordError
from newsieve.filters.article import Article
from newsieve.programs.scoring.path import ScoringPath
from newsieve.records.dead_letter import dead_letter
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve_schemas.article import (
    MAX_DATE_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_LANGUAGE_CHARACTERS,
    MAX_SOURCE_CHARACTERS,
    MAX_TAG_CHARACTERS,
    MAX_TAGS,
    MAX_TITLE_CHARACTERS,
    MAX_URL_CHARACTERS,
)
from newsieve_schemas.export import FOLDER
from tests.support.hostile_path import PLACE, STUDENT, WRITER, hostile_path, size_of

POLICY = DecodePolicy(max_bytes=4_000_000, id_from_key=True)
OPTIONAL = {
    "url": MAX_URL_CHARACTERS,
    "source": MAX_SOURCE_CHARACTERS,
    "language": MAX_LANGUAGE_CHARACTERS,
    "published_at": MAX_DATE_CHARACTERS,
    "published_date": MAX_DATE_CHARACTERS,
}
MAX_GROWTH_BYTES = 20_000  # of each record that is written, over the raw one
MAX_SCORED_BYTES = 120_000  # of the one without a content
MAX_LETTER_GROWTH_BYTES = 8_000


def article(facts: Any, key: bytes | None = None) -> Article:
    return decode(RawRecord(json.dumps(facts).encode(), key, None, None, {}), POLICY)


def in_an_event(facts: Any) -> list[Any]:
    """As structured CloudEvents have it: an object, a text, base64."""
    envelope = {"specversion": "1.0", "type": "t", "source": "s", "id": "e"}
    text = json.dumps(facts)
    return [
        {**envelope, "data": facts},
        {**envelope, "data": text},
        {**envelope, "data_base64": base64.b64encode(text.encode()).decode()},
    ]


@pytest.mark.parametrize("field", OPTIONAL)
def test_an_optional_field_beyond_its_limit_is_null_and_counted(field: str) -> None:
    """In characters, bare or in an event; one at its limit is kept."""
    longest = "\U0001f600" * OPTIONAL[field]
    attribute = "published_at" if field == "published_date" else field
    assert getattr(article({"title": "t", field: longest}), attribute) == longest

    beyond = {"title": "t", field: longest + "x"}
    for facts in (beyond, *in_an_event(beyond)):
        read = article(facts)
        assert getattr(read, attribute) is None
        assert read.nulled == (field,)


@pytest.mark.parametrize("tags", [["t"] * (MAX_TAGS + 1), ["t" * (MAX_TAG_CHARACTERS + 1)]])
def test_tags_beyond_their_limits_are_counted(tags: list[str]) -> None:
    """Too many, or one that is too long."""
    assert article({"title": "t", "tags": tags}).nulled == ("tags",)


def test_a_url_beyond_its_limit_makes_no_id() -> None:
    """As if it were not there."""
    url = "http://" + "a." * MAX_URL_CHARACTERS

    assert article({"title": "t", "url": url}).id == article({"title": "t"}).id


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"id": "i" * (MAX_ID_CHARACTERS + 1), "title": "t"}, InvalidId),
        ({"id": 10**MAX_ID_CHARACTERS, "title": "t"}, InvalidId),
        ({"id": "a", "title": "t" * (MAX_TITLE_CHARACTERS + 1)}, InvalidTitle),
        ({"id": "a", "title": " " * MAX_TITLE_CHARACTERS + "t", "content": "c"}, InvalidTitle),
    ],
)
def test_an_id_or_a_title_beyond_its_limit_is_a_dead_letter(
    facts: dict[str, Any], error: type[RecordError]
) -> None:
    """Its message says the limit and quotes nothing."""
    for each in (facts, *in_an_event(facts)):
        with pytest.raises(error) as caught:
            article(each)

        assert len(str(caught.value)) < 100
        assert any(f"{limit:,}" in str(caught.value) for limit in (2_048, 10_000))


def test_an_integer_beyond_what_python_converts_is_no_id() -> None:
    """Nor anybody's trouble: 4 MB of digits are refused as soon as they are too many."""
    for digits in (4_300, 5_000, 3_900_000):
        record = RawRecord(b'{"title":"t","id":' + b"9" * digits + b"}", None, None, None, {})
        with pytest.raises(InvalidId):
            decode(record, POLICY)
    assert article({"title": "t", "id": 10**2_047}).id == "1" + "0" * 2_047


@pytest.mark.parametrize(
    ("key", "is_taken"),
    [
        (b"k" * MAX_ID_CHARACTERS, True),
        ("\U0001f600".encode() * MAX_ID_CHARACTERS, True),
        (b"k" * (MAX_ID_CHARACTERS + 1), False),
        (b"\xff" * ((MAX_ID_CHARACTERS - 4) // 2), True),
        (b"\xff" * (MAX_ID_CHARACTERS // 2), False),
        (b"\xff" * 4_000_000, False),
    ],
)
def test_an_id_made_from_a_key_has_the_same_limit(key: bytes, is_taken: bool) -> None:  # noqa: FBT001
    """Written in hexadecimal, too."""
    if is_taken:
        assert len(article({"title": "t"}, key).id) <= MAX_ID_CHARACTERS
    else:
        with pytest.raises(InvalidId):
            article({"title": "t"}, key)


def test_the_schema_names_every_limit() -> None:
    """Ingestion need not read the code."""
    fields = json.loads((FOLDER / "json" / "RawArticle.schema.json").read_text())["properties"]
    text = {name: item["anyOf"][0].get("maxLength") for name, item in fields.items()}
    tags = fields["tags"]["anyOf"][0]

    assert {name: text[name] for name in OPTIONAL} == OPTIONAL
    assert (text["id"], text["title"]) == (MAX_ID_CHARACTERS, MAX_TITLE_CHARACTERS)
    assert (tags["maxItems"], tags["items"]["maxLength"]) == (MAX_TAGS, MAX_TAG_CHARACTERS)


HOSTILE = st.text(
    st.sampled_from('\0\x1f\x7f"\\/<\n\ud800\u00e9\u4e2d\U0001f600a '), min_size=1, max_size=12
)
LONG = st.tuples(HOSTILE, st.sampled_from([1, 10, 170, 800])).map(lambda item: item[0] * item[1])


@pytest.fixture(scope="module")
def path() -> ScoringPath:
    return hostile_path()


@given(
    facts=st.fixed_dictionaries(
        {"title": LONG},
        optional=dict.fromkeys(("id", "content", "url", "source", "language", "text"), LONG),
    ),
    key=st.none() | LONG.map(lambda text: text.encode(errors="replace")),
    headers=st.none() | st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9))),
    ascii_only=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_bounded_by_what_came_in(
    path: ScoringPath,
    facts: dict[str, str],
    key: bytes | None,
    headers: list[tuple[str, bytes | None]] | None,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    """Of one (record, filter) three records at most, where every article is published and asked
    about: each no larger than the raw record and 20 kB, the scored one no larger than 120 kB."""
    value = json.dumps(facts, ensure_ascii=ascii_only).encode(errors="replace")
    record = RawRecord(value, key, headers, 1, {"topic": "t", "partition": 0, "offset": 0})
    came_in = size_of(record)

    [row] = path.finish(path.start([record]))

    for outcome in row.outcomes:
        assert len(outcome.records) <= 3
        for made in outcome.records:
            assert size_of(made) <= came_in + MAX_GROWTH_BYTES
        if outcome.records:
            assert size_of(outcome.records[0]) <= MAX_SCORED_BYTES
    letter = dead_letter(
        record, PLACE, OutputTooLarge("\U0001f600" * 9_999), STUDENT, WRITER, "now"
    )
    assert size_of(letter) <= came_in + MAX_LETTER_GROWTH_BYTES


def test_the_bound_is_reached_by_nobody(path: ScoringPath) -> None:
    """Every field at its limit, of what takes most room; the id from a key, which is escaped."""
    facts = {name: "\0" * limit for name, limit in OPTIONAL.items()}
    facts["title"] = "t" + "\0" * (MAX_TITLE_CHARACTERS - 1)
    key = b"\1" * MAX_ID_CHARACTERS
    record = RawRecord(json.dumps(facts).encode(), key, None, 1, {"topic": "t"})

    [row] = path.finish(path.start([record]))

    assert [len(outcome.records) for outcome in row.outcomes] == [3, 3, 3]
    for outcome in row.outcomes:
        assert 90_000 < size_of(outcome.records[0]) <= MAX_SCORED_BYTES
        assert all(size_of(made) <= size_of(record) + MAX_GROWTH_BYTES for made in outcome.records)
