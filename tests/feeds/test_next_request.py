"""When a feed is asked again."""

from __future__ import annotations

import email.utils

from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.feeds.next_request import (
    DAY_SECONDS,
    GONE_SECONDS,
    SPREAD,
    Intervals,
    after_answer,
    after_failure,
    after_gone,
    asked_wait,
)

URL = "https://a.example/feed"
NOW = 1_800_000_000.0
INTERVALS = Intervals(least=900, most=7_200, first_failure=600)


def is_about(seconds: float, wanted: float) -> bool:
    return wanted <= seconds <= wanted * (1 + SPREAD)


def answered(said: float | None = None, **headers: str) -> float:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return after_answer(INTERVALS, URL, NOW, said, named)


def test_the_slowest_wish_counts_within_bounds() -> None:
    """Of the feed, the server and the settings."""
    assert is_about(answered(), 900)
    assert is_about(answered(60), 900)
    assert is_about(answered(3_600), 3_600)
    assert is_about(answered(cache_control="public, max-age=1800"), 1_800)
    assert is_about(answered(cache_control="Max-Age=1800", age="600"), 1_200)
    assert is_about(answered(3_600, cache_control='max-age="1800"'), 3_600)
    assert 7_200 / (1 + SPREAD) <= answered(86_400) <= 7_200
    assert 7_200 / (1 + SPREAD) <= answered(cache_control="max-age=31536000") <= 7_200


def test_what_is_no_number_of_seconds_is_no_wish() -> None:
    """Nor is a negative one."""
    for value in (
        "max-age",
        "max-age=soon",
        "max-age=-1",
        "max-age=²",
        "s-maxage=5000",
        "max-age=",
    ):
        assert is_about(answered(cache_control=value), 900), value
    assert is_about(answered(cache_control="max-age=60", age="90"), 900)
    assert is_about(answered(cache_control="max-age=" + "9" * 400), 900)


def test_failures_double_the_time_up_to_the_longest_interval() -> None:
    """However many there are."""
    most = 7_200 / (1 + SPREAD)
    for failures, wanted in ((1, 600), (2, 1_200), (4, 4_800), (5, most), (10**9, most)):
        assert is_about(after_failure(INTERVALS, URL, NOW, failures, None), wanted), failures


def test_a_server_that_asks_for_patience_gets_it() -> None:
    """In seconds or as a date, a day at most, and never less than the back-off."""
    date = email.utils.formatdate(NOW + 3_000, usegmt=True)
    assert asked_wait({"retry-after": date}, NOW) == 3_000
    assert asked_wait({"retry-after": "120"}, NOW) == 120
    assert asked_wait({"retry-after": "99999999"}, NOW) == DAY_SECONDS
    assert asked_wait({"retry-after": "soon"}, NOW) is None
    assert asked_wait({}, NOW) is None
    assert after_failure(INTERVALS, URL, NOW, 1, 3_000) == 3_000
    assert is_about(after_failure(INTERVALS, URL, NOW, 1, 5), 600)


def test_a_feed_that_is_gone_is_asked_once_a_week() -> None:
    """Servers err."""
    assert is_about(after_gone(URL, NOW), GONE_SECONDS)


def test_feeds_that_were_asked_together_come_apart() -> None:
    """By what each is called, the same each time."""
    urls = [f"https://a.example/{number}" for number in range(100)]
    times = [after_answer(INTERVALS, url, NOW, None, {}) for url in urls]
    assert len(set(times)) == 100
    assert max(times) - min(times) > 80
    assert times == [after_answer(INTERVALS, url, NOW, None, {}) for url in urls]


@settings(max_examples=50)
@given(
    st.floats(0, 1e9) | st.none(),
    st.integers(-9, 10**9),
    st.text(max_size=20),
)
def test_the_next_request_is_within_the_settings_bounds(
    said: float | None, age: int, url: str
) -> None:
    """Whatever feed and server say."""
    headers = {"cache-control": f"max-age={age}"}
    assert 900 <= after_answer(INTERVALS, url, NOW, said, headers) <= 7_200
