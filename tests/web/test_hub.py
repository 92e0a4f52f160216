"""Streams miss nothing and repeat nothing, whatever happens between the store and a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import StoreFailed
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredOutcome
from newsieve.web import hub as hub_module
from newsieve.web.hub import NewsHub
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


def test_what_a_client_read_before_it_was_told_is_not_sent_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a commit and its news a list has the new articles already, and their ids."""
    looks: list[int] = []
    look = served.site.reader.outcomes_after

    def outcomes_after(*arguments: Any) -> list[StoredOutcome]:
        found = look(*arguments)
        looks.append(len(found))
        return found

    monkeypatch.setattr(served.site.reader, "outcomes_after", outcomes_after)

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            await until(lambda: looks == [0])
            served.writer.write(rows_of("Committed", "and not told yet"), {})
            reading = asyncio.create_task(collect(hub, 5, cursor=4))
            await asyncio.sleep(SILENCE_SECONDS)
            assert hub.last == 3
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
    reaches: list[int] = []
    look = served.site.reader.outcomes_after

    def outcomes_after(after: int, limit: int, *rest: Any) -> list[StoredOutcome]:
        reaches.extend(until - after for until in rest[1:])
        return look(after, limit, *rest)

    monkeypatch.setattr(served.site.reader, "outcomes_after", outcomes_after)

    async def test() -> None:
        more(served, 0, 60)
        more(served, 100, 1, a_language="fr")
        async with running(served.site.hub):
            query = ArticleQuery(language="fr")
            assert await collect(served.site.hub, 64, cursor=0, query=query) == [64]

    run_within(test())
    assert len(reaches) == 10
    assert max(reaches) == 7


def test_a_client_for_whom_nothing_comes_hears_so_while_others_are_told(served: Served) -> None:
    """News that it does not want keep nothing from it: it hears every `wait_seconds` where the
    stream stands."""

    async def test() -> None:
        hub = served.site.hub
        async with running(hub):
            await until(lambda: hub.last == 3)
            news = hub.news(ArticleQuery(filter="none"), None, 8 * SILENCE_SECONDS)
            heard = asyncio.ensure_future(anext(news))
            end = asyncio.get_running_loop().time() + 20 * SILENCE_SECONDS
            number = 0
            while not heard.done():
                assert asyncio.get_running_loop().time() < end, "nothing was heard"
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
