"""Requests of a filter that the oracle has not loaded: they wait, and nobody pays twice for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newsieve.oracle.providers.base import ProviderResponse, Tokens
from tests.support.filters import load
from tests.support.oracle_fakes import NAMES, Scripted
from tests.support.oracle_scene import (
    LETTERS,
    OracleScene,
    Topics,
    failing,
    labelled,
    needing_scene,
    requests,
    scene,
)
from tests.support.requests import request_record
from tests.support.scripted import Message, ScriptedConsumer, assigned, revoked

OLD = ("uplifting/v4",)  # what an oracle has before the rollout
DIMENSIONS = {*NAMES, *load("sustainability").definition.dimension_names}
LABEL = ProviderResponse(
    "answered",
    text=json.dumps({"scores": dict.fromkeys(DIMENSIONS, 4)}),
    model_version="v1",
    tokens=Tokens(1_000, 100),
)


def unloaded(partition: int, offset: int, **changes: Any) -> Message:
    changes.setdefault("filter_name", "sustainability")
    return Message(partition, offset, request_record(f"new{partition}.{offset}", **changes)[1])


def waiting(*places: tuple[int, int]) -> Any:
    """Until these partitions wait at these offsets."""

    def is_so(made: OracleScene) -> bool:
        found = {(item.partition[1], item.offset) for item in made.observer.waiting}
        return found == set(places)

    return needing_scene(lambda made: made.until(lambda: is_so(made)))


def test_a_request_of_a_filter_that_is_not_loaded_waits_and_is_labelled_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is passed by and nothing is a dead letter; other partitions go on meanwhile."""
    topics = Topics()
    first = scene(
        Scripted(LABEL),
        assigned(0, 1),
        requests((0, 0)),
        lambda _: [unloaded(0, 1)],
        requests((0, 2), (1, 0)),
        labelled(2),
        requests((1, 1)),
        labelled(3),
        waiting((0, 1)),
        topics=topics,
        filters=OLD,
    )
    first.run(monkeypatch)

    assert topics.offsets == {0: 1, 1: 2}
    assert LETTERS not in topics.records
    (item,) = first.observer.waiting
    assert "has not loaded the filter 'sustainability/v1'" in item.reason
    assert "uplifting/v4" in item.reason

    second = scene(
        Scripted(LABEL),
        assigned(0),
        lambda _: [unloaded(0, 1)],
        requests((0, 2)),
        needing_scene(lambda made: made.until(lambda: made.topics.offsets[0] == 3)),
        topics=topics,
    )
    second.run(monkeypatch)

    assert second.observer.waiting == []
    labels = topics.labels()
    found = sorted(label.article.id for label in labels)
    assert found == ["a0.0", "a0.2", "a1.0", "a1.1", "new0.1"]
    assert {label.status for label in labels} == {"labelled"}


def test_behind_a_request_that_waits_nothing_is_asked_that_a_restart_would_pay_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its answer could not be committed: the partition's offset stays before the one that waits."""
    topics = Topics()
    first = scene(
        Scripted(LABEL),
        assigned(0, 1),
        lambda _: [unloaded(0, 0), *requests((0, 1), (0, 2))(None)],  # type: ignore[arg-type]
        requests((1, 0)),
        labelled(1),
        topics=topics,
        filters=OLD,
    )
    first.run(monkeypatch)
    second = scene(
        Scripted(LABEL),
        assigned(0),
        lambda _: [unloaded(0, 0)],
        requests((0, 1), (0, 2)),
        labelled(4),
        topics=topics,
    )
    second.run(monkeypatch)

    assert first.provider.asked == ["a1.0"]
    assert first.consumer.held == ["pause [0]"]
    assert [label.calls_without_record for label in topics.labels()] == [0, 0, 0, 0]
    assert topics.calls_spent() == 4
    assert topics.claims() == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"filter_name": "uplifting", "filter_version": "99"}, "'uplifting/v99'"),
        (
            {"filter_name": "uplifting", "label_hash": "sha256:" + "0" * 64},
            "prompts, dimensions or renderings differ",
        ),
    ],
)
def test_a_request_of_another_version_or_prompt_waits_too(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: str
) -> None:
    """A label by this prompt would mean something else, and the worker's oracle may be on its
    way."""
    made = scene(
        Scripted(LABEL), assigned(0), lambda _: [unloaded(0, 0, **changes)], waiting((0, 0))
    )
    made.run(monkeypatch)

    assert made.topics.records == {}
    assert reason in made.observer.waiting[0].reason


def test_what_can_be_no_filters_name_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """No oracle will ever have it: to wait for it would be to wait for ever."""
    values = [
        request_record("a", filter="../uplifting")[1],
        request_record("b", filter_version="four")[1],
        request_record("c", filter="x" * 61)[1],
    ]
    made = scene(
        Scripted(LABEL),
        assigned(0),
        lambda _: [Message(0, at, value) for at, value in enumerate(values)],
        needing_scene(lambda made: made.until(lambda: made.topics.offsets == {0: 3})),
    )
    made.run(monkeypatch)

    assert [value for _, value in made.topics.records[LETTERS]] == values


def test_after_a_failed_commit_a_request_that_waited_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All partitions go back: one that stayed paused would never give its records again."""

    def come_again(consumer: ScriptedConsumer) -> list[Message]:
        assert consumer.held[-1] == "resume [0]"  # type: ignore[attr-defined]
        return [unloaded(0, 0), *requests((1, 0))(consumer)]

    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        lambda _: [unloaded(0, 0)],
        waiting((0, 0)),
        failing("commit"),
        requests((1, 0)),
        needing_scene(lambda made: made.until(lambda: made.consumer.sought != {})),
        come_again,
        labelled(1),
        waiting((0, 0)),
        filters=OLD,
    )
    made.run(monkeypatch)

    assert made.consumer.held[0] == made.consumer.held[-1] == "pause [0]"
    assert made.topics.offsets == {1: 1}


def test_a_partition_that_is_given_away_waits_no_longer_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its new owner may have the filter, and the metric must not say otherwise."""
    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        lambda _: [unloaded(0, 0), unloaded(1, 0)],
        waiting((0, 0), (1, 0)),
        revoked(1),
        waiting((0, 0)),
        revoked(0),
        waiting(),
        filters=OLD,
    )
    made.run(monkeypatch)

    assert made.topics.offsets == {}


def test_a_partition_that_waited_and_comes_back_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client remembers its pause; nobody would speak of what waits in it any more."""
    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        lambda _: [unloaded(0, 0)],
        waiting((0, 0)),
        revoked(0),
        waiting(),
        assigned(0),
        lambda _: [unloaded(0, 0)],
        waiting((0, 0)),
        filters=OLD,
    )
    made.run(monkeypatch)

    assert made.consumer.held == ["pause [0]", "resume [0]", "pause [0]"]


def test_a_full_backlog_leaves_a_waiting_partition_paused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When there is room again, the others go on without it."""
    monkeypatch.setattr("newsieve.programs.labeling.backlog.BACKLOG_REQUESTS", 4)
    provider = Scripted(LABEL, is_held=True)

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(100)
        return []

    made = scene(
        provider,
        assigned(0, 1),
        lambda _: [unloaded(0, 0)],
        requests(*[(1, offset) for offset in range(5)]),
        requests((1, 5)),
        release,
        labelled(6),
        filters=OLD,
    )
    made.run(monkeypatch)

    assert made.consumer.held == ["pause [0]", "pause [1]", "resume [1]"]
