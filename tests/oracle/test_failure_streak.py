"""When calls that bring no label stop all of them, and when that is an article's own fault."""

from __future__ import annotations

from typing import Any

import pytest

from newsieve.errors import OracleRejects
from newsieve.oracle.failure_streak import ANY_FAILURES, FAILURES_AFTER_LABELS, SAME_FAILURES
from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import ProviderResponse
from newsieve.oracle.withheld_results import WITHHELD_SECONDS
from tests.support.oracle_fakes import LABEL, Scripted
from tests.support.oracle_pool import SOON, Scene

A_QUIET_NIGHT_SECONDS = 8 * 3_600.0


def rejecting(count: int) -> list[ProviderResponse]:
    return [ProviderResponse("rejected", reason="400: bad schema")] * count


def bad(text: str = "```json\nnothing\n```", **more: Any) -> ProviderResponse:
    return ProviderResponse("answered", text=text, model_version="v1", tokens=LABEL.tokens, **more)


def test_a_few_rejections_before_any_label_are_the_way_all_are_asked() -> None:
    """A person has to mend it; the message names an article and the settings, and none of those
    that were rejected has a result."""
    scene = Scene(Scripted(*rejecting(1)), concurrency=1)
    tasks = [scene.start(f"a{number}") for number in range(SAME_FAILURES)]

    with pytest.raises(OracleRejects, match=r"'a4': 400: bad schema.*NEWSIEVE_ORACLE__MODEL"):
        scene.collect(SAME_FAILURES)

    assert [task.result for task in tasks] == [None] * SAME_FAILURES
    with pytest.raises(OracleRejects):  # and again, whoever did not hear it
        scene.pool.collect(0.0)


def test_a_single_rejection_with_nobody_to_compare_is_named_within_a_minute() -> None:
    """There was no label yet, and no other article comes."""
    scene = Scene(Scripted(*rejecting(1)))
    task = scene.start("a1")
    scene.collect(1)
    assert task.result is None

    scene.clock.now += WITHHELD_SECONDS
    with pytest.raises(OracleRejects, match="400: bad schema"):
        scene.pool.collect(0.0)

    assert WITHHELD_SECONDS < 60
    assert task.result is None


class Late(Scripted):
    """Rejects all but the article `late`, whose label takes until it is released."""

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        super().complete(prompt)
        if prompt.article_id != "late":
            return rejecting(1)[0]
        self._may_go.acquire()
        return LABEL


def test_a_rejection_waits_for_those_who_are_being_answered() -> None:
    """They may take longer than half a minute, and will say whose fault it is."""
    scene = Scene(Late(LABEL), concurrency=2)
    rejected, late = scene.start("a1"), scene.start("late")
    scene.collect(1)
    scene.clock.now += 2 * WITHHELD_SECONDS
    scene.pool.collect(0.0)
    assert rejected.result is None

    scene.provider.release()
    scene.collect(2)
    assert late.result is not None and rejected.result is not None
    assert (late.result.status, rejected.result.status) == ("labelled", "invalid")


def test_a_label_that_was_under_way_decides_nothing_about_those_that_stopped_it() -> None:
    """It is kept; they are asked again after the mend, as the message says."""
    scene = Scene(Late(LABEL), concurrency=2)
    late, *rejected = [scene.start(name) for name in ("late", *"abcde")]
    with pytest.raises(OracleRejects):
        scene.collect(SAME_FAILURES)
    scene.provider.release()
    scene.pool.finish(SOON, lambda: None)

    assert late.result is not None and late.result.status == "labelled"
    assert [task.result for task in rejected] == [None] * SAME_FAILURES


def test_a_rejection_is_the_articles_own_fault_once_another_has_its_label() -> None:
    """Not before: its result is withheld until then. Unless they come one after the other."""
    scene = Scene(Scripted(*rejecting(1), LABEL, *rejecting(SAME_FAILURES)), concurrency=1)
    first = scene.start("a1")
    scene.collect(1)
    assert first.result is None and first.withheld is not None
    scene.start("a2")
    scene.collect(2)
    assert first.result is not None and first.result.status == "invalid"

    later = [scene.start(f"b{number}") for number in range(SAME_FAILURES)]
    with pytest.raises(OracleRejects):
        scene.collect(2 + SAME_FAILURES)
    assert [task.result for task in later] == [None] * SAME_FAILURES


def test_where_there_were_labels_a_lone_rejection_waits_for_the_next_article() -> None:
    """However long that takes: what was asked for in the same way before may not be any more."""
    scene = Scene(Scripted(LABEL, *rejecting(1), LABEL), concurrency=1)
    scene.start("a1")
    scene.collect(1)
    second = scene.start("a2")
    scene.collect(2)

    scene.clock.now += A_QUIET_NIGHT_SECONDS
    scene.pool.collect(0.0)
    assert second.result is None and second.withheld is not None

    scene.start("a3")
    scene.collect(3)
    assert second.result is not None and second.result.status == "invalid"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (bad(), r"'a4': not JSON.*begins: ```json nothing ```.*NEWSIEVE_ORACLE__MODEL"),
        (bad("<think>\x1b[31mHm"), r"begins: <think>\\u001b\[31mHm\. .*THINKING"),
        (bad('{"label": 6}'), r"begins: \{\"label\": 6\}"),
        (bad("", reason="not finished: length", is_cut_off=True), "Raise NEWSIEVE_ORACLE__MAX_OUT"),
    ],
    ids=["fences", "thoughts", "no schema", "cut off"],
)
def test_answers_that_all_fail_in_the_same_way_stop_it_after_a_few(
    reply: ProviderResponse, says: str
) -> None:
    """None of their articles has a result; what they look like is said in one line, its control
    characters escaped."""
    scene = Scene(Scripted(reply), concurrency=1)
    tasks = [scene.start(f"a{number}") for number in range(SAME_FAILURES)]

    with pytest.raises(OracleRejects, match=says):
        scene.collect(SAME_FAILURES)

    assert [task.result for task in tasks] == [None] * SAME_FAILURES


def test_answers_that_fail_in_different_ways_stop_it_a_little_later() -> None:
    """A model that gives no label gives none, however it fails."""
    replies = [bad(), bad("<think>Hm."), bad("I cannot."), bad('{"label": 6}')] * 5
    scene = Scene(Scripted(*replies), concurrency=1)
    for number in range(ANY_FAILURES):
        scene.start(f"a{number}")

    with pytest.raises(OracleRejects, match=f"last {ANY_FAILURES} answers are no labels"):
        scene.collect(ANY_FAILURES)


def test_bad_answers_among_labels_are_the_models_until_they_are_too_many() -> None:
    """One label in a few is a weak model; none for long is a way of asking that has broken."""
    scene = Scene(Scripted(LABEL, *[bad()] * 9, LABEL, bad()), concurrency=1)
    for number in range(11):
        scene.start(f"a{number}")
        scene.collect(number + 1)
    for number in range(FAILURES_AFTER_LABELS):
        scene.start(f"b{number}")

    with pytest.raises(OracleRejects):
        scene.collect(11 + FAILURES_AFTER_LABELS)


def test_without_others_what_is_withheld_is_decided_by_what_there_was() -> None:
    """At the end of a file: its own fault if there was a label, else nobody knows."""
    alone = Scene(Scripted(*rejecting(1)))
    nobody_knows = alone.start("a1")
    alone.collect(1)
    with pytest.raises(OracleRejects):
        alone.pool.resolve_withheld()
    scene = Scene(Scripted(LABEL, *rejecting(1)), concurrency=1)
    scene.start("a1")
    scene.collect(1)
    own_fault = scene.start("a2")
    scene.collect(2)
    scene.pool.resolve_withheld()

    assert nobody_knows.result is None
    assert own_fault.result is not None and own_fault.result.status == "invalid"
