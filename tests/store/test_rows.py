"""Whatever stands on a topic becomes a row, or is refused as what it is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.errors import InvalidRecord, NotAnObject, RecordError
from newsieve.programs.collecting.loop import FAULTS_OF_A_RECORD
from newsieve.records.decode import RawRecord
from newsieve.store.rows import (
    LetterRow,
    alert_row,
    canary_row,
    label_row,
    letter_row,
    outcome_row,
    replay_row,
)
from newsieve.store.writer import StoreWriter
from tests.support.scored_records import START_MS, identity, labelled, scored


@pytest.mark.parametrize("value", [b"", b"[]", b"null", b"\xff", b"{}", b'{"article": 1}'])
def test_records_of_others_are_refused(value: bytes) -> None:
    """Whatever somebody writes to a topic, it is refused and never a fault."""
    record = RawRecord(value, None, None, None, {"topic": "t", "partition": 0, "offset": 0})
    for make in (outcome_row, label_row, alert_row, canary_row):
        with pytest.raises((InvalidRecord, NotAnObject)):
            make(record)
    assert isinstance(letter_row(record), LetterRow)
    if value not in {b"{}", b'{"article": 1}'}:
        with pytest.raises(NotAnObject):
            replay_row(record)


@pytest.mark.parametrize(
    ("published", "dated"),
    [
        ("2026-11-20T08:00:00Z", 1_795_161_600_000),
        ("2026-11-20", 1_795_132_800_000),
        ("Fri, 20 Nov 2026 08:00:00 GMT", 1_795_161_600_000),
        ("yesterday", START_MS - 500),
        ("9999-12-31T23:59:59-14:00", START_MS - 500),
        ("0001-01-01T00:00:00+14:00", START_MS - 500),
        ("Mon, 1 Jan 2024 00:00:00 +99999999999999", START_MS - 500),
        ("Mon, 1 Jan 99999999999999999999 00:00:00 GMT", START_MS - 500),
        (None, START_MS - 500),
    ],
)
def test_an_article_is_dated_by_its_own_date_or_its_coming(
    published: str | None, dated: int
) -> None:
    """A date that nobody can read is as good as none."""
    assert outcome_row(scored(identity("A", "b", published_at=published))).dated_ms == dated


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_a_field_says_a_record_becomes_a_row_or_is_refused(data: st.DataObject) -> None:
    """Fields of any kind in any place: what comes of them can be stored, or the record is refused
    as what it is. Nothing else ends a collector."""
    article = identity("A title", "Some words")
    made = data.draw(
        st.sampled_from(["scored", "labelled", "alert", "control", "canary", "letter"])
    )
    records = {"scored": scored(article), "labelled": labelled(article, {"agency": 3})}
    fields = json.loads(records[made].value) if made in records else {
        "incident_id": "i", "filter": "uplifting", "raised_at": "2026-11-20T08:00:00Z",
        "decision": "dead_letters_replayed", "arguments": {"partition": 0, "ranges": [[1, 2]]},
        "student": "s",
    }  # fmt: skip
    inside = data.draw(
        st.sampled_from([fields, *(v for v in fields.values() if isinstance(v, dict) and v)])
    )
    inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(VALUES)
    value = json.dumps(fields, allow_nan=True).encode()
    failed = data.draw(st.binary(max_size=40))
    headers = [("ce_id", data.draw(st.binary(max_size=40))), ("dlq.failed-at", failed)]
    place = {"topic": "t", "partition": 0, "offset": data.draw(st.integers(0, 2**62))}
    record = RawRecord(value, None, headers, START_MS, place)
    makers = {
        "scored": outcome_row, "labelled": label_row, "alert": alert_row, "control": replay_row,
        "canary": canary_row, "letter": letter_row,
    }  # fmt: skip
    try:
        row = makers[made](record)
    except (RecordError, *FAULTS_OF_A_RECORD):
        return
    with tempfile.TemporaryDirectory() as folder:
        writer = StoreWriter(Path(folder) / "store.db")
        try:
            writer.write([] if row is None else [row], {})
        finally:
            writer.close()
