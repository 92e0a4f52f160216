"""Calls under way: how many, when again, and what stops them all."""

from __future__ import annotations

import pytest

from tests.support.oracle_fakes import LABEL, CallNotes, Clock, Scripted
from worker.errors import OracleRejects
from worker.oracle.desk import REJECTIONS, Desk
from worker.oracle.interview import Interview
from worker.oracle.prompt import Prompt
from worker.oracle.provider import Prices, Reply
from worker.oracle.retry import OPEN_AFTER
from worker.rules.catalogue import load

PROMPT = Prompt(load("uplifting"), 1_000)
SOON = 5.0  # seconds; nothing here takes as long


class Scene:
    """A desk on a scripted provider and a clock of the test's."""

    def __init__(self, provider: Scripted, concurrency: int = 4) -> None:
        self.provider, self.clock, self.notes = provider, Clock(), CallNotes()
        self.desk = Desk(provider, concurrency, self.notes, lambda: 0.0, self.clock)

    def start(self, name: str) -> Interview:
        interview = Interview(PROMPT.question(name, "A text."), Prices(1, 1, 10))
        interview.claimed(0.0, "2026-11-22")
        self.desk.start(interview)
        return interview

    def hear(self, calls: int) -> None:
        """Until so many calls have come back in all."""
        while len(self.notes.calls) < calls:
            before = len(self.notes.calls)
            self.desk.hear(SOON)
            assert len(self.notes.calls) > before, "nothing came back"


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
    scene = Scene(Scripted(Reply("busy", retry_after_seconds=12.5), LABEL))
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
    scene = Scene(Scripted(*[Reply("busy")] * OPEN_AFTER, LABEL), concurrency=1)
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


def test_a_rejection_before_any_good_answer_is_the_way_all_are_asked() -> None:
    """A person has to mend it; the message names the article and the settings."""
    scene = Scene(Scripted(Reply("rejected", reason="400: bad schema")))
    scene.start("a1")

    with pytest.raises(OracleRejects, match=r"'a1': 400: bad schema.*NEWSIEVE_ORACLE__MODEL"):
        scene.hear(1)


def test_a_rejection_among_good_answers_is_the_articles_own_fault() -> None:
    """Unless they come one after the other."""
    rejected = Reply("rejected", reason="400: too long")
    scene = Scene(Scripted(LABEL, rejected, LABEL, rejected))
    verdicts = []
    for number in range(2 + REJECTIONS):
        interview = scene.start(f"a{number}")
        scene.hear(number + 1)
        verdicts.append(interview.verdict and interview.verdict.status)

    assert verdicts[:3] == ["labelled", "invalid", "labelled"]
    scene.start("last")
    with pytest.raises(OracleRejects):
        scene.hear(3 + REJECTIONS)


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
    scene = Scene(Scripted(Reply("busy"), is_held=True))
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
