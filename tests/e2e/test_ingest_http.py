"""`newsieve ingest http` as a process on a real broker: a 202 is a committed record, whatever
happens."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from newsieve.devbroker.broker import Broker
from tests.support.ingest_http import BEARER, JSON, LINES, SECRET, TOKEN, signature
from tests.support.raw_topic import committed_records
from tests.support.stream import Stream
from tests.support.workers import ReceiverProcess

SENDERS = 4
OF_A_REQUEST = 5


@pytest.fixture
def stream(broker: Broker, prefix: str, tmp_path: Path) -> Iterator[Stream]:
    """Topics alone: nobody scores."""
    found = Stream(broker.bootstrap_servers, prefix, tmp_path, {})
    yield found
    found.close()


@contextmanager
def receiving(stream: Stream, slot: str = "a", **more: object) -> Iterator[ReceiverProcess]:
    settings = {"ingest__http_port": 0, "ingest__slot": slot, "ingest__group": stream.prefix}
    log = stream.folder / f"receiver-{time.monotonic_ns()}.log"
    process = ReceiverProcess(log, stream.environment(**settings, **more))
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.kill()


def observed(process: ReceiverProcess, path: str) -> httpx2.Response:
    port = process.events("health.opened")[0]["observe_port"]
    return httpx2.get(f"http://127.0.0.1:{port}{path}")


def article(number: int, part: int = 0) -> bytes:
    return b'{"id": "%d-%d", "title": "Number %d of a story"}' % (number, part, number)


class Load:
    """Sends requests of several articles on a few connections until stopped, and keeps the ids of
    those that were answered 202, and the statuses."""

    def __init__(self, address: str, first: int = 0) -> None:
        self.accepted: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self._url = address + "articles"
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(first + number,)) for number in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, requests: int) -> None:
        """Wait until so many were accepted."""
        end = time.monotonic() + 30
        while self.statuses[202] < requests:
            assert time.monotonic() < end, self.statuses
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self, number: int) -> None:
        with httpx2.Client(timeout=30) as client:
            while not self._stop.is_set():
                body = b"\n".join(article(number, part) for part in range(OF_A_REQUEST))
                try:
                    answer = client.post(self._url, content=body, headers=LINES)
                except httpx2.HTTPError:
                    return
                self.statuses[answer.status_code] += 1
                if answer.status_code == 202:
                    self.accepted.update(answer.json()["ids"])
                number += SENDERS


def require_whole(stream: Stream, load: Load) -> None:
    """Every article that was accepted is there, once; of each request all articles are, or none."""
    records = committed_records(stream.servers, stream.raw_topic)
    keys = Counter((record.key() or b"").decode() for record in records)
    assert load.accepted <= set(keys)
    assert set(keys.values()) == {1}
    of_requests = Counter(key.partition("-")[0] for key in keys)
    assert set(of_requests.values()) == {OF_A_REQUEST}


def test_what_is_answered_202_is_committed_as_it_was_sent(stream: Stream) -> None:
    """With the token or signed; without either nothing is published; secrets are nowhere told."""
    own = {"ingest__http_token": TOKEN, "ingest__http_secret": SECRET}
    with receiving(stream, **own) as process:
        url = process.address() + "articles"
        assert observed(process, "/readyz").status_code == 200
        answers = [
            httpx2.post(url, content=article(1), headers={**JSON, **BEARER}),
            httpx2.post(url, content=article(2), headers={**JSON, **signature(article(2))}),
            httpx2.post(url, content=article(3), headers=JSON),
            httpx2.post(url, content=b"[%b, {}]" % article(4), headers={**JSON, **BEARER}),
        ]
        assert [item.status_code for item in answers] == [202, 202, 401, 422]
        records = committed_records(stream.servers, stream.raw_topic)
        assert sorted(record.value() for record in records) == [article(1), article(2)]
        assert {record.key() for record in records} == {b"1-0", b"2-0"}
        metrics = observed(process, "/metrics").text
        assert 'newsieve_ingest_http_articles_total{outcome="accepted"} 2.0' in metrics
        assert 'newsieve_ingest_http_articles_total{outcome="refused"} 1.0' in metrics
        assert 'newsieve_http_requests_total{route="/articles",status="202"} 2.0' in metrics
        assert process.terminate() == 0
        told = process.text() + metrics
        assert TOKEN not in told and SECRET not in told and "Traceback" not in told


def test_kill_and_stop_under_load_lose_no_article_that_was_accepted(stream: Stream) -> None:
    """Killed, none that was accepted is missing and nothing of a transaction that was under way is
    to be seen; stopped, what waits is committed and answered, and the exit code is 0."""
    with receiving(stream) as process:
        load = Load(process.address())
        load.wait_for(30)
        process.kill()
        load.stop()
    require_whole(stream, load)

    with receiving(stream) as process:
        load = Load(process.address(), first=1_000_000)
        load.wait_for(30)
        process.process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        load.stop()
        assert set(load.statuses) <= {202, 503}
        assert re.search(r"Traceback|transaction.aborted", process.text()) is None
    require_whole(stream, load)


def test_a_second_receiver_of_a_slot_fences_the_first(stream: Stream) -> None:
    """Whose next request is 503 and whose exit code is 3; another slot is left alone."""
    with receiving(stream) as first, receiving(stream, "b") as other:
        ours = [process.address() + "articles" for process in (first, other)]
        assert [post(url, 1) for url in ours] == [202, 202]
        with receiving(stream) as second:
            theirs = second.address() + "articles"
            assert post(ours[0], 2) == 503
            assert first.wait(30) == 3
            assert "uses this slot's transactional id" in first.text()
            assert [post(url, 3) for url in (theirs, ours[1])] == [202, 202]
    keys = Counter(record.key() for record in committed_records(stream.servers, stream.raw_topic))
    assert keys == {b"1-0": 2, b"3-0": 2}


def post(url: str, number: int) -> int:
    return httpx2.post(url, content=article(number), headers=JSON, timeout=30).status_code


def test_beyond_the_queue_the_answer_is_429_and_nothing_of_it_is_published(stream: Stream) -> None:
    """While the others are committed; and it says when to come back."""
    with receiving(stream, ingest__http_queue_articles=1) as process:
        url = process.address() + "articles"
        answers: list[httpx2.Response] = []

        def send(number: int) -> None:
            with httpx2.Client(timeout=30) as client:
                for part in range(5):
                    body = article(number, part)
                    answers.append(client.post(url, content=body, headers=JSON))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    statuses = Counter(item.status_code for item in answers)
    assert statuses.total() == 40 and set(statuses) == {202, 429}
    assert all(item.headers["retry-after"] for item in answers if item.status_code == 429)
    accepted = [json.loads(item.text)["ids"][0] for item in answers if item.status_code == 202]
    records = committed_records(stream.servers, stream.raw_topic)
    assert sorted(accepted) == sorted((record.key() or b"").decode() for record in records)
