"""Messages as raw records."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME

from newsieve.kafka.messages import raw_record
from tests.support.scripted import Message


@pytest.mark.parametrize(("milliseconds", "known"), [(-1, None), (-(2**40), None), (0, 0), (5, 5)])
def test_a_timestamp_before_1970_is_missing(
    monkeypatch: pytest.MonkeyPatch, milliseconds: int, known: int | None
) -> None:
    """As a latency it would be 56 years."""
    stamp = (TIMESTAMP_CREATE_TIME, milliseconds)
    monkeypatch.setattr(Message, "timestamp", lambda _: stamp)

    record = raw_record(cast(Any, Message(0, 7)))

    assert record.timestamp_ms == known
    assert (record.input["timestamp"] is None) == (known is None)
