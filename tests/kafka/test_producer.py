"""Feeding a topic that is not there."""

from __future__ import annotations

from typing import Any

import pytest

from newsieve.devbroker.broker import Broker
from newsieve.errors import TopicsWrong
from newsieve.kafka import producer
from newsieve.kafka.config import Cluster


class Unasked:
    """A producer whose broker would create any topic that it is asked for."""

    def list_topics(self, *_: object, **__: object) -> Any:
        raise AssertionError("asked for one topic: it would be created with the broker's defaults")


def test_a_missing_topic_is_not_created_on_the_way(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker may create what a producer asks for; `newsieve topics create` knows how."""
    monkeypatch.setattr(producer, "make_producer", lambda _: Unasked())

    with (
        pytest.raises(TopicsWrong, match="newsieve topics create"),
        producer.PlainProducer(Cluster(broker.bootstrap_servers, {}), f"{prefix}.raw"),
    ):
        raise AssertionError
