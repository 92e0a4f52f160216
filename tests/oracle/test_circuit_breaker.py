"""When the provider may be called again."""

from __future__ import annotations

import pytest

from newsieve.oracle.circuit_breaker import MAX_SECONDS, OPEN_AFTER, CircuitBreaker
from newsieve.oracle.providers.retry_advice import retry_info
from newsieve.outgoing.retry_after import retry_after

NOON = 1_795_608_000.0  # Wed, 25 Nov 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("²", None),
        ("Wed, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    value: str | None, seconds: float | None
) -> None:
    """RFC 9110; anything else is no advice."""
    assert retry_after(value, NOON) == seconds


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}], 12.5),
        ([{"@type": "x/google.rpc.Help"}, {"@type": "x/google.rpc.RetryInfo"}], None),
        ([{"@type": "x/google.rpc.RetryInfo", "retryDelay": "38s"}], 38.0),
        ([{"@type": "x/google.rpc.RetryInfo", "retryDelay": "later"}], None),
        ([{"@type": "x/google.rpc.RetryInfo", "retryDelay": 5}], 5.0),
        (["x", None], None),
        ("x", None),
        (None, None),
    ],
)
def test_retry_info_is_found_among_an_errors_details(
    details: object, seconds: float | None
) -> None:
    """As Google's APIs write it."""
    assert retry_info({"error": {"details": details}}) == seconds
    assert retry_info({"error": "x"}) is None


def test_the_gate_is_closed_for_as_long_as_the_provider_asks_but_not_for_ever() -> None:
    """With a little on top, so that not all come back at once."""
    breaker = CircuitBreaker()
    breaker.failed(started_at=0, now=10, advised_seconds=12.5, chance=0.0)

    assert not breaker.allows_call(22.4, 0)
    assert breaker.allows_call(22.5, 3)
    breaker.failed(started_at=23, now=30, advised_seconds=3_600, chance=0.9)
    assert breaker.seconds_until_call(30) == MAX_SECONDS


def test_without_advice_the_gate_is_closed_longer_each_time() -> None:
    """Doubled, less up to half of it by chance, at most two minutes."""
    breaker, now, pauses = CircuitBreaker(), 0.0, []
    for _ in range(10):
        breaker.failed(started_at=now, now=now, advised_seconds=None, chance=0.0)
        pauses.append(breaker.seconds_until_call(now))
        now += pauses[-1]

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 120, 120, 120]
    jittered = CircuitBreaker()
    jittered.failed(started_at=0, now=0, advised_seconds=None, chance=0.5)
    assert jittered.seconds_until_call(0) == 0.75


def test_calls_that_fail_together_are_one_failure() -> None:
    """Eight calls turned away at once open no circuit."""
    breaker = CircuitBreaker()
    for _ in range(8):
        breaker.failed(started_at=0, now=1, advised_seconds=None, chance=0.0)

    assert breaker.failures == 1
    assert breaker.seconds_until_call(1) == 1


def test_an_open_circuit_lets_one_call_through_until_one_is_answered() -> None:
    """A provider that is away is asked once at a time, not by all."""
    breaker, now = CircuitBreaker(), 0.0
    for _ in range(OPEN_AFTER):
        breaker.failed(started_at=now, now=now, advised_seconds=0, chance=0.0)
        now += 1

    assert breaker.is_open
    assert breaker.allows_call(now, 0)
    assert not breaker.allows_call(now, 1)
    breaker.answered()
    assert not breaker.is_open
    assert breaker.allows_call(now, 1)
