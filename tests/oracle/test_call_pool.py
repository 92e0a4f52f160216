"""Calls under way: how many, when again, and what stops them all."""

from __future__ import annotations

import pytest

from newsieve.errors import OracleRejects
from newsieve.oracle.circuit_breaker import OPEN_AFTER
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.providers.base import Prices, ProviderResponse
from tests.support.oracle_fakes import LABEL, Scripted
from tests.support.oracle_pool import PROMPT, SOON, Scene


def test_no_more_calls_than_allowed_are_under_way() -> None:
    """The others wait; as one comes back, the next one goes."""
    scene = Scene(Scripted(LABEL, is_held=True), concurrency=2)
    tasks = [scene.start(f"a{number}") for number in range(3)]

    assert scene.pool.in_flight == 2
    assert scene.pool.free_slots() <= 0
    scene.provider.release()
    scene.collect(1)
    assert scene.pool.in_flight == 2
    scene.provider.release(2)
    scene.collect(3)
    assert all(task.result is not None for task in tasks)
    assert scene.pool.free_slots() == 2


def test_a_call_that_was_turned_away_is_made_again_when_the_gate_opens() -> None:
    """Under the same claim, after as long as the provider asked for."""
    scene = Scene(Scripted(ProviderResponse("busy", retry_after_seconds=12.5), LABEL))
    task = scene.start("a1")
    scene.collect(1)

    scene.clock.now = 12.4
    scene.pool.collect(0.0)
    assert scene.pool.free_slots() <= 0 and scene.pool.in_flight == 0
    scene.clock.now = 12.5
    scene.pool.collect(0.0)
    scene.collect(2)

    assert task.result is not None and task.result.status == "labelled"
    assert task.claims == task.calls == 1


def test_an_open_circuit_probes_with_one_call_and_closes_with_an_answer() -> None:
    """What waits is label lag: nobody gets a result for the provider's absence."""
    scene = Scene(Scripted(*[ProviderResponse("busy")] * OPEN_AFTER, LABEL), concurrency=1)
    first, second = scene.start("a1"), scene.start("a2")
    for call in range(OPEN_AFTER):
        scene.collect(call + 1)
        scene.clock.now += 200
        scene.pool.collect(0.0)

    assert scene.pool.breaker.is_open
    assert first.result is second.result is None
    scene.collect(OPEN_AFTER + 2)
    assert first.result is not None and second.result is not None
    assert scene.notes.breaker_changes[-2:] == [(True, OPEN_AFTER), (False, 0)]


def test_a_key_that_is_refused_stops_it_and_is_counted() -> None:
    """At once: asking others would not help. The claim was not used."""
    scene = Scene(Scripted(ProviderResponse("denied", reason="401: set NEWSIEVE_ORACLE__API_KEY")))
    task = scene.start("a1")

    with pytest.raises(OracleRejects, match="API_KEY"):
        scene.collect(1)

    assert scene.notes.calls == ["denied"]
    assert task.result is None and task.calls == 0
    assert not scene.pool.cancel(task)


def test_a_provider_that_answers_nobody_costs_no_article_its_label() -> None:
    """Four calls at a time, none answered, again and again: nothing of that is the articles'."""
    silence = ProviderResponse("unanswered", reason="no answer: not in time")
    scene = Scene(Scripted(*[silence] * 12, LABEL))
    tasks = [scene.start(f"a{number}") for number in range(4)]
    heard = 0
    while any(task.result is None for task in tasks):
        scene.clock.now += 200
        for task in tasks:
            if task.needs_call and scene.pool.free_slots() > 0:
                task.claimed(0.0, "2026-11-22")
                scene.pool.start(task)
        scene.pool.collect(SOON)
        heard += 1
        assert heard < 100

    assert {x.result.status for x in tasks if x.result is not None} == {"labelled"}


def test_an_article_that_gets_no_answer_while_others_do_lets_them_go_first() -> None:
    """After its third time among answers it is its own fault, one call at a time or many."""
    silence = ProviderResponse("unanswered", reason="no answer: not in time")
    scene = Scene(Scripted(silence, LABEL, silence, LABEL, silence, silence, LABEL), concurrency=1)

    def ask(task: LabelingTask) -> None:
        scene.clock.now += 100
        task.claimed(0.0, "2026-11-22")
        scene.pool.start(task)
        scene.collect(len(scene.notes.calls) + 1)

    silent = scene.start("silent")
    scene.collect(1)
    assert scene.pool.can_wait(silent)
    ask(LabelingTask(PROMPT.for_article("b1", "A text."), Prices(1, 1, 10)))
    assert not scene.pool.can_wait(silent)
    ask(silent)
    assert scene.pool.can_wait(silent)
    ask(LabelingTask(PROMPT.for_article("b2", "A text."), Prices(1, 1, 10)))
    ask(silent)
    assert silent.withheld is None and silent.needs_call
    ask(silent)  # nobody was answered since: it does not count
    assert silent.withheld is None and silent.needs_call


def test_what_stops_the_desk_is_raised_when_all_others_have_been_heard() -> None:
    """An answer beside it is paid for."""
    scene = Scene(Scripted(LABEL, OracleRejects("401"), is_held=True), concurrency=2)
    good, bad = scene.start("good"), scene.start("bad")
    scene.provider.release(2)

    with pytest.raises(OracleRejects):
        scene.collect(3)

    assert {good.result is None, bad.result is None} == {True, False}
    assert not scene.pool.cancel(good if good.result is None else bad)  # its claim was not used


def test_a_cancelled_task_is_not_called_for_again() -> None:
    """Its partition is somebody else's by now."""
    scene = Scene(Scripted(ProviderResponse("busy"), is_held=True))
    task = scene.start("a1")

    assert scene.pool.cancel(task)  # a call is under way
    scene.provider.release()
    scene.collect(1)
    scene.clock.now = 500
    scene.pool.collect(0.0)

    assert scene.provider.asked == ["a1"]
    assert scene.pool.pending == 0


def test_a_defect_in_a_provider_is_not_taken_for_an_answer() -> None:
    """It comes up where it is seen."""
    scene = Scene(Scripted(ZeroDivisionError()))
    scene.start("a1")

    with pytest.raises(ZeroDivisionError):
        scene.pool.collect(SOON)
