"""Replaying dead letters: what a large topic does to a transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.support.scripted import Ledger, LedgerProducer
from worker.codec.decode import RawRecord
from worker.kafka import dead_letters
from worker.kafka.client import Cluster
from worker.kafka.dead_letters import DeadLetters, Letter, Selection
from worker.kafka.ranges import OffsetRanges
from worker.kafka.reader import Found


def test_a_long_search_for_more_letters_does_not_keep_a_transaction_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broker would end it, and the replay with it, on every try."""
    producer = LedgerProducer(Ledger())
    searched_with_one_open = 0

    def letters(_: DeadLetters, selection: Selection) -> Iterator[Letter]:
        nonlocal searched_with_one_open
        for offset in range(1_000):
            why = {"stage": "decode" if offset == 3 else "score"}
            found = Found(RawRecord(b"{", None, [], None, {}), "articles.dead-letter", 0, offset)
            searched_with_one_open += producer.is_open
            if selection.takes(why):
                yield Letter(found, why, is_replayed=False)

    ticks = itertools.count()
    monkeypatch.setattr("worker.kafka.dead_letters.time.monotonic", lambda: next(ticks) * 0.1)
    monkeypatch.setattr(DeadLetters, "letters", letters)
    monkeypatch.setattr(DeadLetters, "_replayed", lambda _: dict[int, OffsetRanges]())
    monkeypatch.setattr(dead_letters, "make_producer", lambda _: producer)

    replaying = DeadLetters(Cluster("nowhere", {}), "articles")
    assert replaying.replay(Selection(stage="decode"), None, lambda: "2026-11-23") == 1

    seconds = searched_with_one_open * 0.1
    assert seconds <= 2 * dead_letters.TRANSACTION_SECONDS
    assert not producer.is_open
