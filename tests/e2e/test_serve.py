"""`newsieve serve` as a process: what workers publish is on pages, in feeds and streams, and what
is sent is scored."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from newsieve.store.rows import outcome_row
from newsieve.store.writer import StoreWriter
from tests.support.scored_records import identity, scored
from tests.support.stream import Stream
from tests.support.workers import ServeProcess


@contextmanager
def serving(stream: Stream, *arguments: str, **more: object) -> Iterator[ServeProcess]:
    environment = stream.environment(serve__port=0, serve__store=stream.folder / "pages.db", **more)
    process = ServeProcess(stream.folder / "serve.log", environment, *arguments)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.kill()


def until(address: str, path: str, count: int) -> dict[str, object]:
    """Ask until so many articles are listed."""
    end = time.monotonic() + 60
    while True:
        listed = httpx2.get(address + path).json()
        if len(listed["articles"]) >= count:
            return dict(listed)
        assert time.monotonic() < end, listed
        time.sleep(0.1)


def test_what_a_worker_publishes_is_served(stream: Stream) -> None:
    """Outcomes, a dead letter and the texts behind them are there, live ones reach whoever waits,
    what is sent is scored by the same student, and SIGTERM ends it well."""
    stream.start_worker("w")
    stream.produce([(None, b'{"title": "A village opens a library", "content": "Books."}')])
    with serving(stream, "--score") as process:
        address = process.address()
        stream.produce([(None, b"{"), (None, b'{"title": "The harbour rose early"}')])
        listed = until(address, "v1/articles?filter=uplifting", 2)
        records = [item["record"] for item in listed["articles"]]  # type: ignore[attr-defined,index]
        titles = [record["article"]["title"] for record in records]
        assert sorted(titles) == ["A village opens a library", "The harbour rose early"]
        found = httpx2.get(address + "v1/articles?q=books").json()["articles"]
        assert [item["record"]["article"]["title"] for item in found] == [
            "A village opens a library"
        ]
        page = httpx2.get(address, follow_redirects=True).text
        assert "A village opens a library" in page and "Dead letters" in page
        with httpx2.stream("GET", address + "v1/stream?since_id=0", timeout=20) as answer:
            events = (line for line in answer.iter_lines() if line.startswith("data: "))
            event = json.loads(next(events)[6:])
            assert event.pop("story") == event["article"]["id"]
            assert event in records
        body = b'{"title": "A village opens a library", "content": "Books."}'
        scored = httpx2.post(
            address + "v1/score?filter=uplifting", content=body,
            headers={"content-type": "application/json"},
        ).json()  # fmt: skip
        same = next(item for item in records if item["article"]["title"] == titles_of(scored))
        assert scored["scores"] == same["scores"]
        assert process.terminate() == 0
    text = process.text()
    assert "Traceback" not in text
    assert len(process.events("collector.started")) == 1


def titles_of(record: dict[str, dict[str, str]]) -> str:
    return record["article"]["title"]


def test_without_a_broker_pages_stay_as_they_were(stream: Stream) -> None:
    """A broker that is away is waited for; what the store has is shown meanwhile."""
    with closing(StoreWriter(stream.folder / "pages.db")) as writer:
        row = outcome_row(scored(identity("A village opens a library", "Books.")))
        now = time.time_ns() // 1_000_000  # or retention takes it
        writer.write([row._replace(scored_ms=now)], {("gone.scored", 0): 1})
    with serving(stream, kafka__bootstrap_servers="127.0.0.1:1") as process:
        address = process.address()
        process.wait_until("collector.interrupted")
        (listed,) = httpx2.get(address + "v1/articles").json()["articles"]
        assert listed["record"]["article"]["title"] == "A village opens a library"
        process.process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("settings", "said", "code"),
    [
        ({"serve__host": "0.0.0.0"}, "read_token", 2),  # noqa: S104 - it is refused
        ({"serve__read_token": "short"}, "could be guessed", 2),
        ({"serve__store": "/nowhere/pages.db"}, "/nowhere/pages.db", 1),
    ],
)
def test_what_cannot_be_is_said_at_the_start(
    stream: Stream, settings: dict[str, object], said: str, code: int
) -> None:
    """Open to everybody, a token that can be guessed, a store that cannot be made."""
    environment = stream.environment(**{"serve__port": 0, **settings})
    process = ServeProcess(stream.folder / "refused.log", environment)
    assert process.wait(60) == code
    assert said in process.text()
    assert "Traceback" not in process.text()


def test_a_store_that_another_fills_is_left_alone(stream: Stream) -> None:
    """A second program on the same store ends and says why."""
    store = Path(stream.folder / "pages.db")
    with closing(StoreWriter(store)), serving(stream) as process:
        assert process.wait(60) == 1
        assert "another `newsieve serve`" in process.text()
