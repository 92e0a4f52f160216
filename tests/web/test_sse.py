"""Streams of events: made once for all clients, bounded, and whole for those who come and go."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import StoreFailed
from newsieve.store.reader import StoredOutcome
from newsieve.web import hub as hub_module
from newsieve.web import sse as sse_module
from newsieve.web.hub import NewsHub
from newsieve.web.problems import HttpError
from newsieve.web.sse import RETRY, EventStreams
from tests.support.scoring_server import until
from tests.support.served import TICK_SECONDS, Served, fill, make_served, run_within
from tests.web.test_hub import ALL, event, more, running


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path)
    fill(served, 3)
    yield served
    served.close()


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
