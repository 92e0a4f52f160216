"""Calls under way: how many, when again, and what stops them all."""

from __future__ import annotations

import pytest

from newsieve.errors import OracleRejects
from newsieve.oracle.circuit_breaker import OPEN_AFTER
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.providers.base import Prices, ProviderResponse
from tests.support.oracle_desk import PROMPT, SOON, Scene
from tests.support.oracle_fakes import LABEL, Scripted


def test_no_more_calls_than_allowed_are_under_way() -> None:
    """The others wait; as one comes back, the next one goes."""
    scene = Scene(Scripted(LABEL, is_held=True), concurrency=2)
    interviews = [scene.start(f"a{number}") for number in range(3)]

    assert scene.desk.calling == 2
    assert scene.desk.room() <= 0
    scene.provider.release()
    scene.hear(1)
    assert scene.desk.calling == 2
    scene.provider.release(2)
    scene.hear(3)
    assert all(interview.verdict is not None for interview in interviews)
    assert scene.desk.room() == 2


def test_a_call_that_was_turned_away_is_made_again_when_the_gate_opens() -> None:
    """Under the same claim, after as long as the provider asked for."""
    scene = Scene(Scripted(ProviderResponse("busy", retry_after_seconds=12.5), LABEL))
    interview = scene.start("a1")
    scene.hear(1)

    scene.clock.now = 12.4
    scene.desk.hear(0.0)
    assert scene.desk.room() <= 0 and scene.desk.calling == 0
    scene.clock.now = 12.5
    scene.desk.hear(0.0)
    scene.hear(2)

    assert interview.verdict is not None and interview.verdict.status == "labelled"
    assert interview.claims == interview.calls == 1


def test_an_open_circuit_probes_with_one_call_and_closes_with_an_answer() -> None:
    """What waits is label lag: nobody gets a verdict for the provider's absence."""
    scene = Scene(Scripted(*[ProviderResponse("busy")] * OPEN_AFTER, LABEL), concurrency=1)
    first, second = scene.start("a1"), scene.start("a2")
    for call in range(OPEN_AFTER):
        scene.hear(call + 1)
        scene.clock.now += 200
        scene.desk.hear(0.0)

    assert scene.desk.gate.is_broken
    assert first.verdict is second.verdict is None
    scene.hear(OPEN_AFTER + 2)
    assert first.verdict is not None and second.verdict is not None
    assert scene.notes.gates[-2:] == [(True, OPEN_AFTER), (False, 0)]


def test_a_key_that_is_refused_stops_it_and_is_counted() -> None:
    """At once: asking others would not help. The claim was not used."""
    scene = Scene(Scripted(ProviderResponse("denied", reason="401: set NEWSIEVE_ORACLE__API_KEY")))
    interview = scene.start("a1")

    with pytest.raises(OracleRejects, match="API_KEY"):
        scene.hear(1)

    assert scene.notes.calls == ["denied"]
    assert interview.verdict is None and interview.calls == 0
    assert not scene.desk.abandon(interview)


def test_a_provider_that_answers_nobody_costs_no_article_its_label() -> None:
    """Four calls at a time, none answered, again and again: nothing of that is the articles'."""
    silence = ProviderResponse("unanswered", reason="no answer: not in time")
    scene = Scene(Scripted(*[silence] * 12, LABEL))
    interviews = [scene.start(f"a{number}") for number in range(4)]
    heard = 0
    while any(interview.verdict is None for interview in interviews):
        scene.clock.now += 200
        for interview in interviews:
            if interview.wants_claim and scene.desk.room() > 0:
                interview.claimed(0.0, "2026-11-22")
                scene.desk.start(interview)
        scene.desk.hear(SOON)
        heard += 1
        assert heard < 100

    assert {x.verdict.status for x in interviews if x.verdict is not None} == {"labelled"}


def test_an_article_that_gets_no_answer_while_others_do_lets_them_go_first() -> None:
    """After its third time among answers it is its own fault, one call at a time or many."""
    silence = ProviderResponse("unanswered", reason="no answer: not in time")
    scene = Scene(Scripted(silence, LABEL, silence, LABEL, silence, silence, LABEL), concurrency=1)

    def ask(interview: LabelingTask) -> None:
        scene.clock.now += 100
        interview.claimed(0.0, "2026-11-22")
        scene.desk.start(interview)
        scene.hear(len(scene.notes.calls) + 1)

    silent = scene.start("silent")
    scene.hear(1)
    assert scene.desk.can_wait(silent)
    ask(LabelingTask(PROMPT.question("b1", "A text."), Prices(1, 1, 10)))
    assert not scene.desk.can_wait(silent)
    ask(silent)
    assert scene.desk.can_wait(silent)
    ask(LabelingTask(PROMPT.question("b2", "A text."), Prices(1, 1, 10)))
    ask(silent)
    assert silent.withheld is None and silent.wants_claim
    ask(silent)  # nobody was answered since: it does not count
    assert silent.withheld is None and silent.wants_claim


def test_what_stops_the_desk_is_raised_when_all_others_have_been_heard() -> None:
    """An answer beside it is paid for."""
    scene = Scene(Scripted(LABEL, OracleRejects("401"), is_held=True), concurrency=2)
    good, bad = scene.start("good"), scene.start("bad")
    scene.provider.release(2)

    with pytest.raises(OracleRejects):
        scene.hear(3)

    assert {good.verdict is None, bad.verdict is None} == {True, False}
    assert not scene.desk.abandon(good if good.verdict is None else bad)  # its claim was not used


def test_an_abandoned_interview_is_not_called_for_again() -> None:
    """Its partition is somebody else's by now."""
    scene = Scene(Scripted(ProviderResponse("busy"), is_held=True))
    interview = scene.start("a1")

    assert scene.desk.abandon(interview)  # a call is under way
    scene.provider.release()
    scene.hear(1)
    scene.clock.now = 500
    scene.desk.hear(0.0)

    assert scene.provider.asked == ["a1"]
    assert scene.desk.busy == 0


def test_a_defect_in_a_provider_is_not_taken_for_an_answer() -> None:
    """It comes up where it is seen."""
    scene = Scene(Scripted(ZeroDivisionError()))
    scene.start("a1")

    with pytest.raises(ZeroDivisionError):
        scene.desk.hear(SOON)
