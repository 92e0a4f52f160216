"""The loop of `newsieve ingest feeds --once`, step by step: what it asks, and when it ends."""

from __future__ import annotations

import pytest

from newsieve.feeds.feed import Feed
from tests.support.feeds_scene import ALL, ITEMS, A, B, FeedsScene, ScriptedFeeds, later, scene
from tests.support.scripted import abortable, assigned


def test_once_asks_what_is_due_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that is not due is left alone."""
    first = scene(is_once=True)
    first.feeds.items.pop(B)
    first.feed_list.feeds = [Feed(A)]
    first.run(monkeypatch, assigned(0, 1), first.until(lambda: False))
    both = ScriptedFeeds({url: dict(items) for url, items in ITEMS.items()})
    second = FeedsScene(both, first.topics, is_once=True)

    second.run(monkeypatch, assigned(0, 1), second.until(lambda: False))

    assert both.asked == [B]
    assert sorted(second.articles()) == ALL


def test_once_asks_no_feed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that is due again at once, nor after an aborted transaction."""
    made = scene(is_once=True)
    made.feeds.changes = {"next_at": later(0)}
    made.producer.failing = {"commit": abortable()}
    made.run(monkeypatch, assigned(0, 1), made.until(lambda: False))

    assert sorted(made.feeds.asked) == [A, B]
    assert sorted(made.articles()) == ALL


def test_once_does_not_wait_for_a_host_that_wants_no_request_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its other feeds are left for another time."""
    urls = [f"https://a.example/{number}" for number in range(3)]
    feeds = ScriptedFeeds({url: {} for url in urls}, outcome="failed", host_wait_seconds=3_600)
    made = FeedsScene(feeds, is_once=True)
    made.run(monkeypatch, assigned(0, 1), made.until(lambda: False))

    assert len(feeds.asked) == 1


def test_once_ends_where_others_have_all_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a while, since partitions may be on their way."""
    made = scene(is_once=True)
    made.run(monkeypatch, assigned(), made.until(lambda: False))

    assert made.feeds.asked == []
