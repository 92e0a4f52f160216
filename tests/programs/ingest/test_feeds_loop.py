"""The loop of `newsieve ingest feeds`, step by step, where a real broker leaves it to chance."""

from __future__ import annotations

from typing import Literal

import pytest

from newsieve.programs.ingest.feed_partitions import partition_of
from newsieve.programs.ingest.state_records import state_record
from newsieve_schemas.ingest import IngestState
from tests.support.feeds_scene import (
    ALL,
    FEEDS,
    ITEMS,
    NOW,
    PARTITIONS,
    A,
    B,
    FeedsScene,
    doing,
    later,
    scene,
    state_of,
)
from tests.support.scripted import abortable, assigned, lost, records, revoked


def test_articles_states_and_offsets_are_committed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A successor finds the states, and publishes nothing again."""
    first = scene()
    first.feeds.is_held = True
    first.run(
        monkeypatch,
        assigned(0, 1),
        records((0, 0), (0, 1), (1, 5)),
        doing(lambda: first.feeds.release(2)),
        first.committed(3),
    )
    again = FeedsScene(first.feeds, first.topics)
    again.run(monkeypatch, assigned(0, 1), again.until(lambda: again.store.restored > 0))

    assert sorted(first.articles()) == ALL
    assert {state.url for state in first.states()} == {A, B}
    assert first.topics.offsets == {0: 2, 1: 6}
    assert sorted(first.feeds.asked) == [A, B]
    assert sum(item.new for item in first.observer.transactions) == 3


def test_a_change_of_an_item_is_another_version_of_the_same_article(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what has changed is published, and counted as changed."""
    made = scene()
    made.feeds.changes = {"next_at": later(0)}

    def change() -> None:
        made.feeds.items[A]["a1"] = "another"

    made.run(monkeypatch, assigned(0, 1), made.committed(3), doing(change), made.committed(4))

    assert sorted(made.articles()[:3]) == ALL
    assert made.articles()[3:] == [("a1", "another")]
    assert [item.changed for item in made.observer.transactions if item.changed] == [1]


def test_an_answer_whose_commit_failed_is_kept_and_its_feed_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transaction is aborted; the next one has the same answers."""
    made = scene()
    made.producer.failing = {"commit": abortable()}
    made.run(monkeypatch, assigned(0, 1), made.committed(3))

    assert sorted(made.articles()) == ALL
    assert sorted(made.feeds.asked) == [A, B]
    assert made.observer.faults == ["passing"]


@pytest.mark.parametrize("outcome", ["done", "not done"])
def test_after_a_commit_of_unknown_outcome_the_states_say_which_answers_count(
    monkeypatch: pytest.MonkeyPatch, outcome: Literal["done", "not done"]
) -> None:
    """Nothing is doubled if it was committed, nothing is lost or asked again if it was not."""
    made = scene()
    made.producer.mute = outcome
    made.run(
        monkeypatch,
        assigned(0, 1),
        made.until(lambda: made.store.restored > 1),
        made.committed(3),
    )

    assert sorted(made.articles()) == ALL
    assert sorted(made.feeds.asked) == [A, B]


def test_an_answer_that_comes_after_its_partition_is_lost_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever owns the feed now asks it."""
    made = scene()
    made.feeds.is_held = True
    made.run(
        monkeypatch,
        assigned(0, 1),
        made.asked(2),
        lost(0, 1),
        doing(lambda: made.feeds.release(2)),
    )

    assert made.articles() == []
    assert made.states() == []


def test_an_answer_that_another_ingester_was_faster_with_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The partition has come back with a state that the feed was not asked with."""
    made = scene()
    made.feeds.is_held = True
    key = A.encode()

    def publish_elsewhere() -> None:
        state = IngestState(feed=state_of(A, ITEMS[A]), file=None, updated_at=NOW)
        record = state_record(FEEDS, b"s", key, state)
        made.topics.records.setdefault(FEEDS, []).append((key, record.value or b""))

    made.run(
        monkeypatch,
        assigned(0, 1),
        made.asked(2),
        lost(0, 1),
        doing(publish_elsewhere),
        assigned(0, 1),
        doing(lambda: made.feeds.release(2)),
        made.committed(1),
    )

    assert made.articles() == [("b1", "three")]


def test_answers_that_have_come_are_committed_before_partitions_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They need not be asked for again elsewhere."""
    made = scene()
    made.feeds.is_held = True
    made.run(
        monkeypatch,
        assigned(0, 1),
        made.asked(2),
        doing(lambda: made.feeds.release(1)),
        made.until(lambda: bool(made.observer.fetched_feeds)),
        revoked(0, 1),
    )

    assert {item for item, _ in made.articles()} in ({"a1", "a2"}, {"b1"})


def test_the_end_waits_for_answers_for_a_while_and_breaks_off_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has come is committed."""
    made = scene(drain_seconds=0.05)
    made.feeds.is_held = True
    made.run(monkeypatch, assigned(0, 1), made.asked(2), doing(lambda: made.feeds.release(1)))

    assert len(made.states()) == 1
    assert made.observer.broken_off == 1


def test_only_feeds_of_owned_partitions_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ingester has the others."""
    assert {partition_of(A, PARTITIONS), partition_of(B, PARTITIONS)} == {0, 1}
    made = scene()
    made.run(monkeypatch, assigned(partition_of(A, PARTITIONS)), made.committed(2))

    assert made.feeds.asked == [A]


def test_an_article_too_large_for_the_broker_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said; the others are published, and the feed goes on."""
    made = scene(max_message_bytes=20_000)
    made.feeds.items[A]["a1"] = "x" * 20_000
    made.run(monkeypatch, assigned(0, 1), made.committed(2))

    assert sorted(made.articles()) == ALL[1:]
    assert made.observer.too_large == ["a1"]
    assert {state.url for state in made.states()} == {A, B}


def test_a_state_that_says_nothing_new_is_written_once_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first one after a start is written: it keeps the next start from asking."""
    first = scene()
    first.feeds.changes = {"next_at": later(0)}
    first.run(monkeypatch, assigned(0, 1), first.committed(3), first.asked(20))
    assert len(first.states()) == 2
    again = FeedsScene(first.feeds, first.topics)
    asked = len(first.feeds.asked)

    again.run(monkeypatch, assigned(0, 1), again.asked(asked + 20))

    assert len(again.states()) == 4
    assert len(again.articles()) == 3


def test_the_offset_of_a_feeds_partition_fences_its_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no record has come, it is where the group stands; a successor waits for it."""
    made = scene()
    made.topics.offsets = {0: 7}
    made.run(monkeypatch, assigned(0, 1), made.committed(3))

    assert made.producer.sent[-1].keys() <= {0, 1}
    assert {number: offset for sent in made.producer.sent for number, offset in sent.items()} == {
        0: 7,
        1: 0,
    }
