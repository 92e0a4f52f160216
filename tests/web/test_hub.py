"""Streams miss nothing and repeat nothing, whatever happens between the store and a client."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import StoreFailed
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredOutcome
from newsieve.web import hub as hub_module
from newsieve.web import sse as sse_module
from newsieve.web.hub import NewsHub
from newsieve.web.problems import HttpError
from newsieve.web.sse import RETRY, EventStreams
from tests.support.scored_records import START_MS
from tests.support.scoring_server import until
from tests.support.served import TICK_SECONDS, Served, fill, make_served, rows_of, run_within

ALL = ArticleQuery()
SILENCE_SECONDS = 0.05


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path)
    fill(served, 3)
    yield served
    served.close()


@asynccontextmanager
async def running(hub: NewsHub) -> AsyncIterator[None]:
    task = asyncio.create_task(hub.run())
    try:
        yield
    finally:
        hub.close()
        await task


def event(outcome: StoredOutcome) -> bytes:
    return b"id: %d\n\n" % outcome.id


async def collect(
    hub: NewsHub, last: int, cursor: int | None = 0, query: ArticleQuery = ALL
) -> list[int]:
    """The ids that a client is sent, until it has come to `last`."""
    ids: list[int] = []
    async for behind, outcomes in hub.news(query, cursor, SILENCE_SECONDS):
        ids += [item.id for item in outcomes]
        assert not ids or behind >= ids[-1]
        if behind >= last:
            return ids
    return ids


def more(served: Served, first: int, count: int, **fields: Any) -> None:
    rows = []
    for number in range(first, first + count):
        rows += rows_of(f"News {number}", f"of its own {number}", ms=START_MS + number, **fields)
    served.write(rows)


def test_a_client_that_comes_before_the_hub_knows_anything_gets_no_past(served: Served) -> None:
    """It waits until the hub knows what there is; then news are what came after that."""

    async def test() -> None:
        hub = served.site.hub
        new = asyncio.create_task(collect(hub, 4, cursor=None))
        back = asyncio.create_task(collect(hub, 4, cursor=2))
        await asyncio.sleep(0)
        async with running(hub):
            await until(lambda: hub.last == 3)
            more(served, 0, 1)
            assert await new == [4]
            assert await back == [3, 4]

    run_within(test())


def test_what_a_client_read_before_it_was_told_is_not_sent_again(served: Served) -> None:
    """Between a commit and its news a list has the new articles already, and their ids."""

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            await until(lambda: hub.last == 3)
            served.writer.write(rows_of("Committed", "and not told yet"), {})
            assert hub.last == 3
            reading = asyncio.create_task(collect(hub, 5, cursor=4))
            await asyncio.sleep(SILENCE_SECONDS)
            more(served, 0, 1)
            assert await reading == [5]

    run_within(test())


def test_a_cursor_of_another_store_means_from_now_on(served: Served) -> None:
    """A store that was filled anew counts anew."""

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            await until(lambda: hub.last == 3)
            reading = asyncio.create_task(collect(hub, 4, cursor=10**17))
            await asyncio.sleep(SILENCE_SECONDS)
            more(served, 0, 1)
            assert await reading == [4]

    run_within(test())


def test_copies_are_not_news(served: Served) -> None:
    """A story is told once."""

    async def test() -> None:
        async with running(served.site.hub):
            story = "A story that two sources tell in the very same words. " * 10
            served.write(rows_of("Story", story, a_id="one") + rows_of("Story", story, a_id="two"))
            more(served, 0, 1)
            assert await collect(served.site.hub, 6, cursor=3) == [4, 6]

    run_within(test())


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (ArticleQuery(filter="uplifting", tier="impact"), lambda n: n % 5 == 0),
        (ArticleQuery(language="de"), lambda n: n % 3 == 0),
        (ArticleQuery(source="s1.example"), lambda n: n % 2 == 1),
        (ArticleQuery(min_score=7.5), lambda n: n % 10 >= 7),
        (ArticleQuery(filter="none"), lambda _: False),
    ],
)
def test_what_is_wanted_is_the_same_from_the_store_and_from_memory(
    served: Served, query: ArticleQuery, wanted: Callable[[int], bool]
) -> None:
    """A client far behind, and one that is up to date, get the same."""

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            await until(lambda: hub.last == 3)
            rows = served.site.reader.outcomes_after(0, 100)
            present = asyncio.create_task(collect(hub, 3 + 40, cursor=3, query=query))
            fill_from(served, 3, 40)
            told = await present
            late = NewsHub(served.site.reader, TICK_SECONDS)
            async with running(late):
                await until(lambda: late.last == 43)
                from_store = await collect(late, 43, cursor=3, query=query)
            expected = [3 + n + 1 for n in range(40) if wanted(n + 3)]
            assert told == from_store == expected
            assert len(rows) == 3

    run_within(test())


def fill_from(served: Served, first: int, count: int) -> None:
    for number in range(first, first + count):
        served.write(
            rows_of(
                f"Number {number} of a story of its own",
                f"What happened on day {number} in town {number * 7}",
                a_language="de" if number % 3 == 0 else "en",
                a_source=f"s{number % 2}.example",
                tier="impact" if number % 5 == 0 else "connection",
                score=(number % 10) + 0.5,
            )
        )


def test_a_rare_article_is_found_over_many_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client far behind that wants few of many is led on in steps that each end soon."""
    monkeypatch.setattr(hub_module, "REACH", 7)

    async def test() -> None:
        more(served, 0, 60)
        more(served, 100, 1, a_language="fr")
        async with running(served.site.hub):
            query = ArticleQuery(language="fr")
            assert await collect(served.site.hub, 64, cursor=0, query=query) == [64]

    run_within(test())


def test_a_client_for_whom_nothing_comes_hears_so_while_others_are_told(served: Served) -> None:
    """News that it does not want keep nothing from it: it hears every `wait_seconds` where the
    stream stands."""

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            await until(lambda: hub.last == 3)
            news = hub.news(ArticleQuery(filter="none"), None, SILENCE_SECONDS)
            heard = asyncio.ensure_future(anext(news))
            number = 0
            while not heard.done():
                more(served, number, 1)
                number += 1
                await asyncio.sleep(SILENCE_SECONDS / 10)
            behind, outcomes = heard.result()
            assert outcomes == []
            assert behind > 3
            await news.aclose()

    run_within(test())


def test_the_store_may_fail_for_a_while(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """News that could not be read are told when they can be, without another commit."""
    reader = served.site.reader
    works = {"last_outcome": reader.last_outcome, "outcomes_after": reader.outcomes_after}
    fails = {"last_outcome": 2, "outcomes_after": 2}

    def broken(name: str) -> Callable[..., Any]:
        def read(*arguments: Any) -> Any:
            if fails[name]:
                fails[name] -= 1
                raise StoreFailed("for a while")
            return works[name](*arguments)

        return read

    for name in works:
        monkeypatch.setattr(reader, name, broken(name))

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            reading = asyncio.create_task(collect(hub, 4, cursor=None))
            await until(lambda: fails["last_outcome"] == 0 and fails["outcomes_after"] == 0)
            await until(lambda: hub.last == 3)
            fails["outcomes_after"] = 2
            more(served, 0, 1)
            assert await reading == [4]

    run_within(test())


def test_closing_ends_every_stream(served: Served) -> None:
    """Those that wait, those that have not begun, and those that come afterwards."""

    async def test() -> None:
        hub = served.site.hub
        early = asyncio.create_task(collect(hub, 99, cursor=None))
        async with running(hub):
            await until(lambda: hub.last == 3)
            waiting = [asyncio.create_task(collect(hub, 99, cursor=None)) for _ in range(5)]
            await asyncio.sleep(0)
        assert await asyncio.gather(early, *waiting) == [[]] * 6
        assert await collect(hub, 99, cursor=0) == []

    run_within(test())


async def come_and_go(streams: EventStreams, last: int, seed: int) -> list[int]:
    """What a client is sent that leaves after a while and returns, until it has it all."""
    chance = random.Random(seed)
    got: list[int] = []
    cursor = 3
    while cursor < last:
        left = chance.randrange(1, 120)
        events = streams._events(ALL, cursor, event)
        async for block in events:
            for line in block.splitlines():
                if line.startswith(b"id: "):
                    cursor = int(line[4:])
                    got.append(cursor)
            left -= 1
            if left <= 0 or cursor >= last:
                break
            if seed % 4 == 0:
                await asyncio.sleep(0.01)
        await events.aclose()
    return got


def test_clients_that_come_and_go_miss_nothing_and_get_nothing_twice(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty clients leave and return with the id of what they have, some slowly, while a thread
    writes in bursts; memory for those who are up to date is short."""
    monkeypatch.setattr(hub_module, "KEPT", 50)
    monkeypatch.setattr(hub_module, "PAGE", 20)
    monkeypatch.setattr(sse_module, "MADE", 30)
    total = 400
    served.site.hub._recent = hub_module.deque(maxlen=50)

    def write() -> None:
        chance = random.Random(3)
        number = 0
        while number < total:
            burst = min(chance.randrange(1, 60), total - number)
            more(served, number, burst)
            number += burst

    async def test() -> None:
        streams = EventStreams(served.site.hub, 100, lambda _: None)
        async with running(served.site.hub):
            await until(lambda: served.site.hub.last == 3)
            writer = threading.Thread(target=write)
            writer.start()
            all_got = await asyncio.gather(
                *(come_and_go(streams, total + 3, seed) for seed in range(40))
            )
            writer.join()
        for got in all_got:
            assert list(dict.fromkeys(got)) == list(range(4, total + 4))
            events = [one for one, other in zip(got, [0, *got], strict=False) if one != other]
            assert events == list(range(4, total + 4))

    run_within(test(), 30)


def test_an_event_is_made_once_for_all_clients(served: Served) -> None:
    """However many wait for it at the same moment."""
    made: list[int] = []

    def make(outcome: StoredOutcome) -> bytes:
        made.append(outcome.id)
        return event(outcome)

    async def first_event(streams: EventStreams) -> bytes:
        events = streams._events(ALL, 3, make)
        assert await anext(events) == RETRY
        block = await anext(events)
        await events.aclose()
        return block

    async def test() -> None:
        streams = EventStreams(served.site.hub, 100, lambda _: None)
        async with running(served.site.hub):
            await until(lambda: served.site.hub.last == 3)
            waiting = [asyncio.create_task(first_event(streams)) for _ in range(50)]
            await asyncio.sleep(0)
            more(served, 0, 1)
            assert set(await asyncio.gather(*waiting)) == {b"id: 4\n\nid: 4\n\n"}

    run_within(test())
    assert made == [4]


def test_an_outcome_that_makes_no_event_ends_no_stream(served: Served) -> None:
    """It is passed over, and its neighbours are sent."""

    def make(outcome: StoredOutcome) -> bytes:
        if outcome.id == 2:
            raise KeyError("what others wrote")
        return event(outcome)

    async def test() -> None:
        streams = EventStreams(served.site.hub, 100, lambda _: None)
        late = NewsHub(served.site.reader, TICK_SECONDS)
        streams._hub = late
        async with running(late):
            events = streams._events(ALL, 0, make)
            assert await anext(events) == RETRY
            assert await anext(events) == b"id: 1\n\nid: 3\n\nid: 3\n\n"
            await events.aclose()

    run_within(test())


def test_a_store_that_fails_ends_a_stream_whose_client_comes_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in an orderly way: the client has the id to go on from."""

    async def test() -> None:
        streams = EventStreams(served.site.hub, 100, lambda _: None)
        async with running(served.site.hub):
            await until(lambda: served.site.hub.last == 3)

            def fail(*_: object) -> None:
                raise StoreFailed("now")

            monkeypatch.setattr(served.site.reader, "outcomes_after", fail)
            assert [block async for block in streams._events(ALL, 0, event)] == [RETRY]

    run_within(test())


def test_there_are_so_many_clients_and_a_place_is_free_when_one_leaves(served: Served) -> None:
    """Also where a client leaves before anything is sent, or in the midst of it."""
    counts: list[int] = []
    scope = {"type": "http", "asgi": {"spec_version": "2.3"}}

    async def test() -> None:
        streams = EventStreams(served.site.hub, 2, counts.append)

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(_: Any) -> None:
            await asyncio.sleep(0)

        async def stuck(_: Any) -> None:
            await asyncio.Event().wait()

        async with running(served.site.hub):
            clients = []
            for sends in (send, stuck):
                answer = streams.open(ALL, 0, event)
                clients.append(asyncio.create_task(answer(scope, receive, sends)))
                await until(lambda: streams._clients == len(clients))
            with pytest.raises(HttpError) as refused:
                streams.open(ALL, 0, event)
            assert refused.value.status == 503
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            assert streams._clients == 0
            streams.open(ALL, 0, event)

    run_within(test())
    assert counts == [1, 2, 1, 0]
