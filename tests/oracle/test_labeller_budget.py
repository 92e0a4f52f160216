"""Which requests are asked for and which are not: the budget, labels on record, a full backlog."""

from __future__ import annotations

import pytest

from tests.support.oracle_fakes import LABEL, Scripted
from tests.support.oracle_scene import Topics, labelled, requests, scene
from tests.support.requests import request_record
from tests.support.scripted import Message, ScriptedConsumer, assigned
from worker.oracle.provider import Reply


def test_over_the_cap_the_highest_u_goes_without_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among those that came together; the record has the probability that was left."""
    messages = [
        Message(0, at, request_record(f"a{at}", u=u)[1])
        for at, u in enumerate((0.9, 0.1, 0.5, 0.3))
    ]
    made = scene(Scripted(LABEL), assigned(0, 1), lambda _: messages, labelled(4), calls_per_day=2)
    made.run(monkeypatch)

    labels = {label.article.id: label for label in made.topics.labels()}
    assert {name for name, x in labels.items() if x.status == "labelled"} == {"a1", "a3"}
    assert {label.effective_pi for label in labels.values()} == {0.5}
    assert labels["a0"].usage is None and labels["a0"].failure
    assert labels["a0"].oracle.model_version == ""
    assert made.topics.calls_spent() == 2


def test_money_set_aside_for_calls_under_way_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call is claimed at the most it can cost, and costs less: all three are affordable, though
    never two at once."""
    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        requests((0, 0), (0, 1), (0, 2)),
        labelled(3),
        usd_per_day=0.0085,
    )
    made.run(monkeypatch)

    assert {label.status for label in made.topics.labels()} == {"labelled"}


def test_the_same_text_is_asked_for_once_but_for_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay, or two raw records of one article: the second answer is the first's."""
    same = request_record("a")[1]
    anchor = request_record("a", purpose="anchor", scores=None)[1]
    values = [same, same, anchor, anchor]
    made = scene(
        Scripted(LABEL),
        assigned(0),
        lambda _: [Message(0, at, value) for at, value in enumerate(values)],
        labelled(4),
        lambda _: [Message(0, 4, same)],
        labelled(5),
    )
    made.run(monkeypatch)

    labels = made.topics.labels()
    assert [label.reused for label in labels] == [False, True, False, False, True]
    assert labels[1].usage is None and labels[1].oracle_scores == labels[0].oracle_scores
    assert len(made.provider.asked) == 3


def test_a_label_on_record_answers_a_replay_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless the oracle has another version by now."""
    topics = Topics()
    for at, version in enumerate(("v1", "v2")):
        reply = Reply("answered", text=LABEL.text, model_version=version, tokens=LABEL.tokens)
        made = scene(
            Scripted(reply), assigned(0), requests((0, at)), labelled(at + 1), topics=topics
        )
        made.run(monkeypatch)

    again = scene(
        Scripted(LABEL),
        assigned(1),
        lambda _: [
            Message(1, 0, request_record("a0.0")[1]),
            Message(1, 1, request_record("a0.1")[1]),
        ],
        labelled(4),
        topics=topics,
    )
    again.run(monkeypatch)

    assert again.provider.asked == ["a0.0"]  # v1's; v2 answered last
    assert [label.reused for label in topics.labels()[2:]] == [False, True]


def test_a_backlog_that_is_full_is_held_and_taken_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The topic keeps the rest; rebalances are served all the same."""
    monkeypatch.setattr("worker.backlog.BACKLOG_REQUESTS", 4)
    provider = Scripted(LABEL, is_held=True)

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(100)
        return []

    made = scene(
        provider,
        assigned(0),
        requests(*[(0, offset) for offset in range(5)]),
        requests((0, 5)),
        release,
        labelled(6),
    )
    made.run(monkeypatch)

    assert made.consumer.held == ["pause [0]", "resume [0]"]
    assert made.topics.offsets == {0: 6}
