"""The oracle's loop, step by step, where a real broker leaves it to chance."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from newsieve.errors import OracleRejects
from newsieve.oracle.providers.base import ProviderResponse
from tests.support.impatience import limits
from tests.support.oracle_fakes import LABEL, Scripted
from tests.support.oracle_scene import (
    LETTERS,
    OracleScene,
    Topics,
    asked,
    failing,
    labelled,
    needing_scene,
    raw,
    requests,
    scene,
)
from tests.support.requests import request_record
from tests.support.scripted import Message, ScriptedConsumer, Step, assigned, revoked


def test_every_request_gets_its_score_and_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad records get a dead letter, tombstones nothing."""
    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        requests((0, 0), (1, 0), (0, 1)),
        raw((0, 2, b"{"), (0, 3, None), (1, 1, b"[]")),
        labelled(3),
    )
    made.run(monkeypatch)

    labels = made.topics.labels()
    assert sorted(label.article.id for label in labels) == ["a0.0", "a0.1", "a1.0"]
    assert all(label.status == "labelled" and label.oracle_tier for label in labels)
    assert len(made.topics.records[LETTERS]) == 2
    assert made.topics.offsets == {0: 4, 1: 2}
    assert made.topics.claims() == {}


def test_no_call_is_made_before_its_claim_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed, not only written."""
    topics = Topics()
    unclaimed: list[str] = []

    def look(prompt: Any) -> None:
        offset = int(prompt.article_id.rpartition(".")[2])
        if topics.claims().get(offset) != 1:
            unclaimed.append(prompt.article_id)

    places = [(0, offset) for offset in range(12)]
    made = scene(
        Scripted(LABEL, when_asked=look),
        assigned(0),
        requests(*places),
        labelled(12),
        topics=topics,
    )
    made.run(monkeypatch)

    assert unclaimed == []
    assert len(made.provider.asked) == 12


def test_an_answer_whose_commit_failed_is_not_paid_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The record comes again; its answer is still here."""
    provider = Scripted(LABEL, is_held=True)

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(3)
        return []

    made = scene(
        provider,
        assigned(0),
        requests((0, 0), (0, 1)),
        asked(2),
        failing("commit"),
        release,
        needing_scene(lambda s: s.until(lambda: s.consumer.sought == {0: 0})),
        requests((0, 0), (0, 1)),
        labelled(2),
    )
    made.run(monkeypatch)

    assert sorted(provider.asked) == ["a0.0", "a0.1"]
    labels = made.topics.labels()
    assert [label.article.id for label in labels] == ["a0.0", "a0.1"]
    assert [label.calls_without_record for label in labels] == [0, 0]
    assert made.topics.offsets == {0: 2}


@pytest.mark.parametrize("outcome", ["done", "not done"])
def test_a_commit_of_unknown_outcome_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, outcome: Literal["done", "not done"]
) -> None:
    """Nothing is doubled if it was committed, nothing is paid for again if it was not."""
    provider = Scripted(LABEL, is_held=True)

    def make(scene: OracleScene) -> Step:
        def step(_: ScriptedConsumer) -> list[Message]:
            scene.producer.mute = outcome
            provider.release(1)
            return []

        return step

    def come_again(scene: OracleScene) -> Step:
        return lambda _: (
            [Message(0, 0, request_record("a0.0")[1])] if scene.consumer.sought == {0: 0} else []
        )

    made = scene(
        provider,
        assigned(0),
        requests((0, 0)),
        asked(1),
        needing_scene(make),
        needing_scene(
            lambda s: s.until(lambda: bool(s.consumer.sought) or s.budget_store.read > 1)
        ),
        needing_scene(come_again),
        labelled(1),
    )
    made.run(monkeypatch)

    assert provider.asked == ["a0.0"]
    assert [label.calls_without_record for label in made.topics.labels()] == [0]
    assert made.topics.offsets == {0: 1}
    assert made.topics.claims() == {}


def test_a_claim_whose_commit_failed_leads_to_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again with its request, and counts once."""
    made = scene(
        Scripted(LABEL),
        assigned(0),
        failing("send_offsets"),
        requests((0, 0)),
        needing_scene(lambda s: s.until(lambda: s.consumer.sought == {0: 0})),
        requests((0, 0)),
        labelled(1),
    )
    made.run(monkeypatch)

    assert made.provider.asked == ["a0.0"]
    assert made.topics.calls_spent() == 1


def test_a_successor_says_which_calls_were_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first oracle dies in mid-call: its claim is on record, its answer is not."""
    topics = Topics()
    dying = Scripted(LABEL, is_held=True)
    first = scene(dying, assigned(0), requests((0, 0)), asked(1), topics=topics)
    first.drain_seconds = 0.0
    first.run(monkeypatch)
    assert topics.claims() == {0: 1}

    second = scene(Scripted(LABEL), assigned(0), requests((0, 0)), labelled(1), topics=topics)
    second.run(monkeypatch)

    (label,) = topics.labels()
    assert label.calls_without_record == 1
    assert label.usage is not None and label.usage.attempts == 1
    assert topics.calls_spent() == 2
    assert topics.claims() == {}


def test_a_claim_for_a_call_that_was_never_made_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The provider turned it away, and the oracle is told to stop: nothing was paid for."""
    made = scene(
        Scripted(ProviderResponse("busy", retry_after_seconds=60)),
        assigned(0),
        requests((0, 0), (0, 1)),
        asked(2),
        needing_scene(lambda s: s.until(lambda: len(s.observer.calls) >= 2)),
    )
    made.run(monkeypatch)

    assert made.topics.claims() == {}
    assert made.topics.calls_spent() == 0
    assert made.topics.labels() == []
    assert made.observer.abandoned == 2


def test_what_is_answered_before_a_partition_leaves_is_published_and_the_rest_is_its_new_owners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call under way stays on record as one whose answer nobody will hear of."""
    provider = Scripted(LABEL, is_held=True)

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(1)
        return []

    made = scene(
        provider,
        assigned(0, 1),
        requests((0, 0), (1, 0)),
        asked(2),
        release,
        labelled(1),
        revoked(0, 1),
        lambda _: [],
    )
    made.timeouts = limits(revoke_seconds=0.1)
    made.run(monkeypatch)

    (label,) = made.topics.labels()
    assert made.topics.claims() == {0: 1}
    assert made.topics.offsets[int(label.article.id[1])] == 1
    assert made.topics.calls_spent() == 2


def test_a_key_that_is_no_longer_valid_stops_the_oracle_with_what_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit 1; what was paid for is committed, what was not is free again."""
    made = scene(
        Scripted(LABEL, OracleRejects("401: set NEWSIEVE_ORACLE__API_KEY")),
        assigned(0),
        requests((0, 0), (0, 1)),
        labelled(5),
        concurrency=1,
    )
    with pytest.raises(OracleRejects, match="API_KEY"):
        made.run(monkeypatch)

    assert [label.article.id for label in made.topics.labels()] == ["a0.0"]
    assert made.topics.offsets == {0: 1}
    assert made.topics.claims() == {}
    assert made.topics.calls_spent() == 1
