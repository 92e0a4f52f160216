"""What the dates of records become."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.records.dates import FIRST_SECOND, date_of_number, date_of_text

SECONDS = st.integers(FIRST_SECOND + 10**6, 7_000_000_000)  # 1973 to 2191
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "text",
    ["2026", "2026-11", "2026-11-01", "20261101", "2026-W45", "2026-11-01 09:30",
     "2026-11-01T09:30Z", "2026-11-01T09:30:00.123456789+01:00"],
)  # fmt: skip
def test_iso_8601_stays_byte_for_byte(text: str) -> None:
    """As precise as it came."""
    assert date_of_text(text) == (text, True)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Sun, 01 Nov 2026 10:30:00 +0100", "2026-11-01T10:30:00+01:00"),
        ("Sun, 01 Nov 2026 09:30:00 GMT", "2026-11-01T09:30:00Z"),
        ("1 Nov 2026 09:30 EST", "2026-11-01T09:30:00-05:00"),
        ("Sun, 01 Nov 2026 09:30:00", "2026-11-01T09:30:00Z"),
        ("Sunday, 01 November 2026 09:30:00 -0000", "2026-11-01T09:30:00Z"),
        ("1793525400", "2026-11-01T09:30:00Z"),
        ("1793525400123", "2026-11-01T09:30:00.123Z"),
        ("1712010110000", "2024-04-01T22:21:50Z"),
    ],
)
def test_rfc_2822_and_epoch_digits_become_iso_8601(text: str, date: str) -> None:
    """In the zone that they name; epoch time in UTC."""
    assert date_of_text(text) == (date, True)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "01/11/2026", "Sun, 41 Nov 2026 09:30:00 GMT", "1 Nov 2026 25:00:00 GMT", "1",
     "1 Nov 2026 10:00 +9999", "99999999999999999", "١٧٩٣٥٢٥٤٠٠", "12 Foo 2026 09:30:00 GMT",
     "Sun, 01 Nov 2026 10:30:00 CEST", "Mon, 01 Jan 0001 00:00:00 +0000", "20261101093000"],
)  # fmt: skip
def test_what_is_no_date_stays_as_it_came_and_is_counted(text: str) -> None:
    """Nothing is lost by a guess."""
    assert date_of_text(text) == (text, False)


@pytest.mark.parametrize("text", ["", " "])
def test_a_blank_date_is_none_that_is_not_understood(text: str) -> None:
    """Nobody has to look for what its form is."""
    assert date_of_text(text) == (text, True)


@pytest.mark.parametrize(
    ("number", "date"),
    [
        (1_793_525_400, "2026-11-01T09:30:00Z"),
        (1_793_525_400.25, "2026-11-01T09:30:00.250Z"),
        (1_793_525_400_000, "2026-11-01T09:30:00Z"),
        (5, None),
        (2026, None),
        (20_261_101, None),
        (20_261_101_093_000, None),
        (-1_793_525_400, None),
        (1e300, None),
        (float("inf"), None),
    ],
)
def test_a_number_is_an_epoch_by_its_size(number: float, date: str | None) -> None:
    """Years, days and counters are none."""
    assert date_of_number(number) == date


@given(SECONDS, OFFSETS)
def test_every_form_of_one_moment_becomes_that_moment(seconds: int, offset: dt.timedelta) -> None:
    """ISO 8601, RFC 2822, seconds and milliseconds, whatever the zone."""
    moment = dt.datetime.fromtimestamp(seconds, dt.timezone(offset))
    forms = [moment.isoformat(), format_datetime(moment), str(seconds), str(seconds * 1_000)]

    read = [date_of_text(form) for form in forms]

    assert all(is_understood for _, is_understood in read)
    assert {dt.datetime.fromisoformat(date) for date, _ in read} == {moment}
    assert date_of_number(seconds) == date_of_number(seconds * 1_000) == read[2][0]


@given(st.text(max_size=30))
def test_any_text_becomes_a_text(text: str) -> None:
    """Never an error."""
    date, is_understood = date_of_text(text)

    assert is_understood or date == text
