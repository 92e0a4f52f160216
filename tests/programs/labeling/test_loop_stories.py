"""A story is asked about once, whichever copies of it were drawn, and whatever is killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import ProviderResponse
from newsieve_schemas.oracle import OracleScore
from tests.support.oracle_fakes import LABEL, Scripted
from tests.support.oracle_scene import (
    SCORES,
    Topics,
    asked,
    failing,
    labelled,
    scene,
)
from tests.support.requests import request_record
from tests.support.scripted import Message, ScriptedConsumer, assigned

STORY = " ".join(
    f"On day {name} the village council opened a library for {name} in the old mill."
    for name in ("Ash", "Birch", "Cedar", "Elm", "Hazel", "Larch", "Oak", "Rowan", "Willow", "Yew")
)
UNREADABLE = ProviderResponse("answered", text="no label", model_version="v1", tokens=LABEL.tokens)


def copy(name: str, at: tuple[int, int], **changes: Any) -> Message:
    """A request for an article of the story, with a heading and an end of its own."""
    content = f"{STORY} Copied by {name}."
    fields = {"title": f"Heading of {name}", "content": content, **changes}
    return Message(*at, request_record(name, **fields)[1])


def another(name: str, at: tuple[int, int]) -> Message:
    """A request for an article of another story."""
    content = f"{STORY.replace('library', 'harbour').replace('old mill', 'new dock')} By {name}."
    return Message(*at, request_record(name, title=f"Heading of {name}", content=content)[1])


def by_id(topics: Topics) -> dict[str, OracleScore]:
    return {label.article.id: label for label in topics.labels()}


def test_copies_that_come_together_are_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever partitions they are: the first has the label, the others say which that is."""
    messages = [copy("a", (0, 0)), copy("b", (1, 0)), copy("c", (1, 1)), copy("d", (0, 1))]
    made = scene(Scripted(LABEL), assigned(0, 1), lambda _: messages, labelled(4))
    made.run(monkeypatch)

    labels = by_id(made.topics)
    assert made.provider.asked == ["a"] and made.topics.calls_spent() == 1
    assert {name: label.status for name, label in labels.items()} == {
        "a": "labelled", "b": "duplicate", "c": "duplicate", "d": "duplicate",
    }  # fmt: skip
    assert {label.story for label in labels.values()} == {"a"}
    assert labels["b"].oracle_scores is None and labels["b"].usage is None
    assert labels["b"].failure and not labels["b"].reused and labels["b"].effective_pi == 1.0
    assert made.topics.offsets == {0: 2, 1: 2} and made.topics.claims() == {}


def test_a_copy_takes_no_call_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget for two is spent on two stories, though the copy was drawn before the second."""
    other = Message(1, 1, request_record("other", u=0.9)[1])
    messages = [copy("a", (0, 0), u=0.1), copy("b", (1, 0), u=0.2), other]
    made = scene(Scripted(LABEL), assigned(0, 1), lambda _: messages, labelled(3), calls_per_day=2)
    made.run(monkeypatch)

    labels = by_id(made.topics)
    assert labels["b"].status == "duplicate" and labels["other"].status == "labelled"
    assert {label.effective_pi for label in labels.values()} == {1.0}


def test_a_successor_knows_the_stories_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores have no text, and yet enough to know a copy by; a replay has its own label again."""
    topics = Topics()
    first = scene(
        Scripted(LABEL), assigned(0), lambda _: [copy("a", (0, 0))], labelled(1), topics=topics
    )
    first.run(monkeypatch)
    messages = [copy("b", (1, 0)), copy("a", (1, 1)), copy("a", (1, 2), title="Edited heading")]
    second = scene(Scripted(LABEL), assigned(1), lambda _: messages, labelled(4), topics=topics)
    second.run(monkeypatch)

    found = [(label.article.id, label.status, label.reused) for label in topics.labels()[1:]]
    assert found == [
        ("b", "duplicate", False), ("a", "labelled", True), ("a", "duplicate", False),
    ]  # fmt: skip
    assert second.provider.asked == [] and {label.story for label in topics.labels()} == {"a"}


def test_scores_of_an_earlier_version_stand_for_no_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no sketch, or one that cannot be read: the copy is asked about."""
    topics = Topics()
    first = scene(
        Scripted(LABEL), assigned(0), lambda _: [copy("a", (0, 0))], labelled(1), topics=topics
    )
    first.run(monkeypatch)
    ((key, value),) = topics.records[SCORES]
    fields = json.loads(value)
    without = {name: field for name, field in fields.items() if not name.startswith("story")}
    broken = {**fields, "story_sketch": "AAAA"}
    topics.records[SCORES] = [(key, json.dumps(item).encode()) for item in (without, broken)]
    second = scene(
        Scripted(LABEL), assigned(1), lambda _: [copy("b", (1, 0))], labelled(3), topics=topics
    )
    second.run(monkeypatch)

    assert second.provider.asked == ["b"]


def test_a_killed_oracle_leaves_one_call_for_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor asks about the one whose claim is on record, and about no copy."""
    topics = Topics()
    messages = [copy("a", (0, 0)), copy("b", (1, 0))]
    held = Scripted(LABEL, is_held=True)
    first = scene(
        held, assigned(0, 1), lambda _: messages, asked(1), topics=topics, drain_seconds=0.0
    )
    first.run(monkeypatch)
    held.release(1)
    assert topics.labels() == [] and held.asked == ["a"]
    second = scene(Scripted(LABEL), assigned(0, 1), lambda _: messages, labelled(2), topics=topics)
    second.run(monkeypatch)

    labels = by_id(topics)
    assert second.provider.asked == ["a"]
    assert (labels["a"].status, labels["b"].status) == ("labelled", "duplicate")
    assert topics.claims() == {}


def test_an_answer_whose_commit_failed_stands_for_its_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the rewind the copy comes first, and waits for the answer that is kept."""
    one, other = copy("a", (0, 0)), copy("b", (1, 0))

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(9)
        return []

    def come_again(consumer: ScriptedConsumer) -> list[Message]:
        if len(consumer.sought) < 2:
            consumer._steps.insert(0, come_again)
            return []
        return [other]

    provider = Scripted(LABEL, is_held=True)
    made = scene(
        provider,
        assigned(0, 1),
        lambda _: [one, other],
        asked(1),
        failing("commit"),
        release,
        come_again,
        lambda _: [],
        lambda _: [],
        lambda _: [one],
        labelled(2),
    )
    made.run(monkeypatch)

    labels = by_id(made.topics)
    assert made.provider.asked == ["a"] and made.topics.calls_spent() == 1
    assert (labels["a"].status, labels["b"].status) == ("labelled", "duplicate")


class Unreadable(Scripted):
    """Answers what is no label to one copy."""

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        label = super().complete(prompt)
        return UNREADABLE if prompt.article_id == "a" else label


def test_no_partition_waits_for_a_label_behind_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rewind each partition may have a label behind a copy of the other's: both labels are
    published before their turn, and each request has one record."""
    early = [copy("a", (1, 0)), another("c2", (1, 1)), copy("b1", (1, 2))]
    late = [copy("b2", (0, 0)), another("c1", (0, 1))]
    provider = Unreadable(LABEL, is_held=True)

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(9)
        return []

    def come_again(consumer: ScriptedConsumer) -> list[Message]:
        if len(consumer.sought) < 2:
            consumer._steps.insert(0, come_again)
            return []
        return early

    made = scene(
        provider,
        assigned(0, 1),
        lambda _: [early[0], *late, *early[1:]],
        asked(2),
        failing("commit"),
        release,
        come_again,
        asked(4),
        lambda _: late,
        labelled(5),
    )
    made.run(monkeypatch)

    stories = {label.article.id: (label.status, label.story) for label in made.topics.labels()}
    assert provider.asked == ["a", "c1", "a", "b1"] and len(made.topics.labels()) == 5
    assert stories == {
        "a": ("invalid", "a"),
        "b1": ("labelled", "b1"), "b2": ("duplicate", "b1"),
        "c1": ("labelled", "c1"), "c2": ("duplicate", "c1"),
    }  # fmt: skip
    assert made.topics.offsets == {0: 2, 1: 3} and made.topics.claims() == {}


def test_without_a_label_for_the_first_copy_the_next_one_is_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An invalid answer says nothing of the story."""
    messages = [copy("a", (0, 0)), copy("b", (1, 0)), Message(1, 1, request_record("c")[1])]
    made = scene(Unreadable(LABEL), assigned(0, 1), lambda _: messages, labelled(3))
    made.run(monkeypatch)

    labels = by_id(made.topics)
    assert {name: label.status for name, label in labels.items()} == {
        "a": "invalid", "b": "labelled", "c": "labelled",
    }  # fmt: skip
    assert labels["b"].story == "b"


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "anchor"},
        {"purpose": "training"},
        {"stratum": "suspect"},
        {"stratum": "low"},
        {"student": "sha256:" + "6" * 64},
    ],
    ids=lambda changes: next(iter(changes)) + "-" + next(iter(changes.values()))[-9:],
)
def test_what_a_monitor_takes_apart_is_asked_about_apart(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An anchor, another purpose, stratum or student."""
    messages = [copy("a", (0, 0)), copy("b", (1, 0), **changes)]
    made = scene(Scripted(LABEL), assigned(0, 1), lambda _: messages, labelled(2))
    made.run(monkeypatch)

    assert {label.status for label in made.topics.labels()} == {"labelled"}
    anchors = [label for label in made.topics.labels() if label.sampling.purpose == "anchor"]
    assert all(label.story is label.story_sketch is None for label in anchors)


@dataclass
class Dated(Message):
    """A request that was written so many days later."""

    days: int = 0

    def timestamp(self) -> tuple[int, int]:
        kind, milliseconds = super().timestamp()
        return kind, milliseconds + self.days * 24 * 3_600_000


def test_a_week_is_counted_between_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not between labels: a backlog that waited for long has its copies asked about once, and a
    successor counts likewise."""
    topics = Topics()

    def come(at: int, *days: int) -> list[Message]:
        values = [copy(f"a{day}", (0, 0)).value_ for day in days]
        return [Dated(0, at + n, values[n], day) for n, day in enumerate(days)]

    first = scene(
        Scripted(LABEL), assigned(0), lambda _: come(0, 0, 6, 8), labelled(3), topics=topics
    )
    first.run(monkeypatch)
    second = scene(
        Scripted(LABEL), assigned(0), lambda _: come(3, 7, 16), labelled(5), topics=topics
    )
    second.run(monkeypatch)

    assert {label.article.id: label.story for label in topics.labels()} == {
        "a0": "a0", "a6": "a0", "a8": "a8", "a7": "a8", "a16": "a16",
    }  # fmt: skip
    assert topics.calls_spent() == 3
