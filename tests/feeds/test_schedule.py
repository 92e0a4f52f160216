"""Which feed is asked next."""

from __future__ import annotations

import random
import time

from newsieve.feeds.feed import Feed
from newsieve.feeds.schedule import Schedule, host_of


def feed(host: str, name: object = "") -> Feed:
    return Feed(f"https://{host}.example/{name}")


def scheduled(*feeds: Feed, gap: float = 1.0, due: float = 0.0) -> Schedule:
    schedule = Schedule(gap)
    for each in feeds:
        schedule.add(each, due)
    return schedule


def test_a_feed_is_taken_once_it_is_due_and_once_only() -> None:
    """Until it was asked."""
    schedule = scheduled(feed("a"), due=10)
    assert schedule.take(9.9) is None
    assert schedule.next_at() == 10
    assert schedule.take(10) == feed("a")
    assert schedule.take(99) is None
    assert schedule.next_at() is None
    schedule.done(feed("a").url, 12, due=50)
    assert schedule.next_at() == 50
    assert schedule.take(49.9) is None
    assert schedule.take(50) == feed("a")


def test_a_host_is_asked_for_one_feed_at_a_time_with_a_gap() -> None:
    """Others are not held up by it."""
    schedule = scheduled(feed("a", 1), feed("a", 2), feed("b"), gap=3)
    assert schedule.take(0) == feed("a", 1)
    assert schedule.take(0) == feed("b")
    assert schedule.take(100) is None
    schedule.done(feed("a", 1).url, 100, due=1_000)
    assert schedule.take(102.9) is None
    assert schedule.next_at() == 103
    assert schedule.take(103) == feed("a", 2)


def test_a_host_that_wants_no_request_gets_none() -> None:
    """Neither for the feed that was told so nor for another."""
    schedule = scheduled(feed("a", 1), feed("a", 2))
    assert schedule.take(0) == feed("a", 1)
    schedule.done(feed("a", 1).url, 0, due=10, host_wait_seconds=600)
    assert schedule.take(599) is None
    assert schedule.next_at() == 600
    assert schedule.take(600) == feed("a", 2)


def test_ports_are_servers_of_their_own_and_names_have_no_case() -> None:
    """A host is who is asked."""
    assert host_of("https://A.example/x") == host_of("https://a.example/y") == "a.example"
    assert host_of("http://127.0.0.1:8001/") != host_of("http://127.0.0.1:8002/")


def test_a_feed_that_was_removed_does_not_come_back() -> None:
    """Whether it waits or is being asked, and its host goes on with others."""
    schedule = scheduled(feed("a", 1), feed("a", 2), feed("a", 3))
    schedule.remove(feed("a", 2).url)
    assert schedule.take(0) == feed("a", 1)
    schedule.remove(feed("a", 1).url)
    schedule.done(feed("a", 1).url, 0, due=5)
    assert list(schedule) == [feed("a", 3)]
    assert schedule.take(1) == feed("a", 3)
    schedule.done(feed("a", 3).url, 1, due=9)
    assert schedule.take(8) is None
    assert len(schedule) == 1


def test_a_feed_can_be_given_another_place() -> None:
    """An earlier or a later one; one that is being asked keeps to its answer's."""
    schedule = scheduled(feed("a"), feed("b"), due=10)
    schedule.add(feed("a"), 50)
    schedule.add(feed("b"), 5)
    assert schedule.take(5) == feed("b")
    assert schedule.take(49) is None
    schedule.add(feed("b")._replace(title="B"), 7)
    assert schedule.take(49) is None
    schedule.done(feed("b").url, 20, due=30)
    assert schedule.take(30) == feed("b")._replace(title="B")
    assert schedule.take(50) == feed("a")


def test_each_feed_of_a_busy_host_gets_its_turn() -> None:
    """The one that has been due longest comes first."""
    feeds = [feed("a", number) for number in range(20)]
    schedule, now, taken = scheduled(*feeds), 0.0, []
    for _ in range(60):
        each = schedule.take(now)
        assert each is not None
        taken.append(each)
        now += 0.5
        schedule.done(each.url, now, due=now)  # due at once, each time
        now += 1.0
    assert sorted(taken[:20]) == sorted(feeds)
    assert taken[20:40] == taken[:20] == taken[40:]


def test_no_order_of_events_loses_a_feed_or_asks_too_often() -> None:
    """Against a plain list of what is due, over thousands of random steps."""
    chance = random.Random(7)
    feeds = [feed("abcde"[number % 5], number) for number in range(40)]
    schedule, now, gap = scheduled(*feeds, gap=2.0), 0.0, 2.0
    due = dict.fromkeys((each.url for each in feeds), 0.0)
    free: dict[str, float] = {}
    asked: set[str] = set()
    for _ in range(3_000):
        now += chance.choice([0.0, 0.1, 1.0, 5.0])
        if chance.random() < 0.6:
            could = {
                url
                for url, moment in due.items()
                if moment <= now
                and free.get(host_of(url), 0.0) <= now
                and host_of(url) not in map(host_of, asked)
            }
            each = schedule.take(now)
            if each is None:
                assert not could
                continue
            assert each.url in could
            others = [due[url] for url in could if host_of(url) == host_of(each.url)]
            assert due.pop(each.url) == min(others)
            asked.add(each.url)
        elif asked:
            url = chance.choice(sorted(asked))
            asked.remove(url)
            due[url] = now + chance.choice([0.0, 3.0, 60.0])
            free[host_of(url)] = now + gap
            schedule.done(url, now, due[url])
    assert len(schedule) == 40


def test_two_thousand_feeds_at_rest_cost_next_to_nothing() -> None:
    """An hour of asking every second whether one is due."""
    feeds = [feed(f"host-{number}") for number in range(2_000)]
    schedule = scheduled(*feeds, due=10_000)
    started = time.process_time()
    assert all(schedule.take(float(second)) is None for second in range(3_600))
    assert time.process_time() - started < 0.1
