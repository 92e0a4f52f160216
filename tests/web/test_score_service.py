"""Scoring for many requests at a time: shared batches, bounds, cancelling, failures, the end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import pytest

from newsieve.errors import DeviceFailed
from newsieve.inference.forward import Batch, Scores
from newsieve.inference.micro_batcher import MicroBatcher
from newsieve.inference.scorer import FilterScores
from newsieve.web.article_queue import ArticleQueue
from newsieve.web.problems import HttpError
from newsieve.web.score_service import (
    BATCH_ARTICLES,
    BATCHES_IN_FLIGHT,
    Article,
    Line,
    ScoreService,
)
from tests.support.forwards import ScriptedForward
from tests.support.scoring_server import (
    PATIENCE_SECONDS,
    UPLIFTING,
    TextScorer,
    make_service,
    run,
    scripted_student,
    until,
)

CLIENTS = 64


def article(title: object = "A village opens a library", line: int = 0) -> Article:
    return Article(line, json.dumps({"title": title}).encode())


async def refused(service: ScoreService) -> HttpError:
    with pytest.raises(HttpError) as caught:
        await service.score(UPLIFTING, [article()])
    return caught.value


def test_articles_of_64_requests_share_the_devices_batches() -> None:
    """What came while the device was busy is one batch, and each request has its own scores."""
    sizes: list[int] = []
    is_busy, may_go_on = threading.Event(), threading.Event()

    def answer(batch: Batch) -> Scores:
        sizes.append(len(batch))
        is_busy.set()
        assert may_go_on.wait(PATIENCE_SECONDS)
        return np.array([[ids[0] / 10] * 8 for ids in batch])

    async def test() -> list[list[Line]]:
        student = scripted_student(ScriptedForward(answer, is_padded=False))
        batcher = MicroBatcher({"uplifting": student})
        service = make_service(batcher)
        first = asyncio.create_task(service.score(UPLIFTING, [article("0")]))
        await until(is_busy.is_set)
        others = [
            asyncio.create_task(service.score(UPLIFTING, [article(str(number))]))
            for number in range(1, CLIENTS)
        ]
        await until(lambda: len(batcher._waiting["uplifting"]) == CLIENTS - 1)
        may_go_on.set()
        lines = await asyncio.gather(first, *others)
        await service.close()
        return lines

    lines = run(test())

    assert sizes == [1, CLIENTS - 1]
    for number, (line,) in enumerate(lines):
        assert json.loads(line.value)["scores"]["agency"] == number / 10


def test_a_request_holds_no_thread_while_it_waits() -> None:
    """However many wait, the service has its one."""

    async def test() -> int:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        before = threading.active_count()
        tasks = [asyncio.create_task(service.score(UPLIFTING, [article()])) for _ in range(200)]
        await until(lambda: len(scorer.held) == len(tasks))
        threads = threading.active_count() - before
        scorer.is_held = False
        scorer.release()
        await asyncio.gather(*tasks)
        await service.close()
        return threads

    assert run(test()) == 1


def test_a_large_request_lets_others_in_between() -> None:
    """A part of it is submitted at a time, so that an article sent later comes before its rest."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        many = [article(f"many {number}", number) for number in range(10 * BATCH_ARTICLES)]
        large = asyncio.create_task(service.score(UPLIFTING, many))
        await until(lambda: len(scorer.held) == BATCHES_IN_FLIGHT)
        small = asyncio.create_task(service.score(UPLIFTING, [article("one", 0)]))
        await until(lambda: len(scorer.held) == BATCHES_IN_FLIGHT + 1)
        assert len(scorer.texts) == BATCHES_IN_FLIGHT * BATCH_ARTICLES + 1
        scorer.is_held = False
        scorer.release()
        assert len(await small) == 1
        lines = [json.loads(line.value) for line in await large]
        assert [line["input"]["line"] for line in lines] == list(range(len(many)))
        await service.close()

    run(test())


def test_a_request_beyond_the_queue_is_refused_until_there_is_room() -> None:
    """While as many articles wait as may, the answer is 429 with the time to come back."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer, queue_articles=2)
        waiting = [asyncio.create_task(service.score(UPLIFTING, [article()])) for _ in range(2)]
        await until(lambda: len(scorer.held) == len(waiting))

        error = await refused(service)

        assert (error.status, error.headers) == (429, {"Retry-After": "1"})
        scorer.is_held = False
        scorer.release()
        await asyncio.gather(*waiting)
        assert len(await service.score(UPLIFTING, [article()])) == 1
        assert service.queue.articles == 0
        await service.close()

    run(test())


def test_the_time_to_come_back_follows_from_the_throughput() -> None:
    """30 articles in 10 s, and 61 that wait: 21 s, never more than a minute."""
    now = [0.0]
    queue = ArticleQueue("wait", 61, 1_000, clock=lambda: now[0])
    queue.note_finished(10)
    now[0] = 10.0
    queue.note_finished(20)

    with queue.waiting(61), pytest.raises(HttpError, match="try again in 21 s"):
        queue.require_room()
    with queue.waiting(1_000), pytest.raises(HttpError, match="try again in 60 s"):
        queue.require_room()


def test_bodies_are_bounded_together() -> None:
    """What is in memory of all requests is, and is given back when they end."""
    queue = ArticleQueue("wait", 10, 100)

    with queue.body() as first, queue.body() as second:
        first.add(60)
        second.add(40)
        with pytest.raises(HttpError) as caught:
            second.add(1)
    with queue.body() as third:
        third.add(100)

    assert caught.value.status == 429


def test_cancelling_drops_what_has_not_begun() -> None:
    """So that the device works for nobody who has gone."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        many = [article(number, number) for number in range(10 * BATCH_ARTICLES)]
        task = asyncio.create_task(service.score(UPLIFTING, [article(), *many]))
        await until(lambda: len(scorer.held) >= 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert all(future.cancelled() for future, _ in scorer.held)
        assert service.queue.articles == 0
        await service.close()

    run(test())


def test_a_request_that_is_cancelled_while_it_begins_leaves_nothing_to_the_device() -> None:
    """What the service's thread submits meanwhile is cancelled as soon as it is there."""
    is_beginning, may_submit = threading.Event(), threading.Event()

    class SlowToTake(TextScorer):
        def submit(
            self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
        ) -> Future[dict[str, FilterScores]]:
            is_beginning.set()
            assert may_submit.wait(PATIENCE_SECONDS)
            return super().submit(texts, wanted)

    async def test() -> None:
        scorer = SlowToTake(is_held=True)
        service = make_service(scorer)
        task = asyncio.create_task(service.score(UPLIFTING, [article()]))
        await until(is_beginning.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_submit.set()
        await until(lambda: bool(scorer.held) and scorer.held[0][0].cancelled())
        await service.close()

    run(test())


def test_a_device_that_fails_is_said_and_makes_the_server_unready_until_it_works() -> None:
    """The answer is 503, with the device's own words."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        task = asyncio.create_task(service.score(UPLIFTING, [article()]))
        await until(lambda: bool(scorer.held))
        scorer.fail(DeviceFailed("it burns"))
        with pytest.raises(HttpError, match="the device failed: it burns") as caught:
            await task

        assert caught.value.status == 503
        assert not service.is_ready
        scorer.is_held = False
        await service.score(UPLIFTING, [article()])
        assert service.is_ready
        await service.close()

    run(test())


def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    """As long as it is given time."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        task = asyncio.create_task(service.score(UPLIFTING, [article()]))
        await until(lambda: bool(scorer.held))
        closing = asyncio.create_task(service.close(PATIENCE_SECONDS))
        await asyncio.sleep(0)

        assert (await refused(service)).status == 503
        assert not service.is_ready and not closing.done()
        scorer.release()
        assert len(await task) == 1
        await closing
        assert scorer.is_closed

    run(test())


def test_closing_without_time_fails_what_waits() -> None:
    """Nobody waits for an answer that does not come."""

    async def test() -> None:
        scorer = TextScorer(is_held=True)
        service = make_service(scorer)
        task = asyncio.create_task(service.score(UPLIFTING, [article()]))
        await until(lambda: bool(scorer.held))
        await service.close()
        with pytest.raises(HttpError, match="the server is stopping") as caught:
            await task

        assert caught.value.status == 503

    run(test())
