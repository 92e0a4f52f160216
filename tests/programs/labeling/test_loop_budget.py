"""Which requests are asked for and which are not: the budget, labels on record, a full backlog."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from newsieve.filters.sampling import LOW, SURFACED, EpochDraw, SamplingPolicy
from newsieve.filters.secret_key import SecretKey
from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import ProviderResponse
from tests.support.oracle_fakes import LABEL, Scripted
from tests.support.oracle_scene import Topics, labelled, requests, scene
from tests.support.requests import EPOCH, POLICY, request_record
from tests.support.scripted import Message, ScriptedConsumer, assigned


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


def flood(count: int, first: int = 0) -> list[Message]:
    """Requests of one host."""
    return [
        Message(n % 2, n // 2, request_record(f"f{n}", url=f"https://flood.example/{n}")[1])
        for n in range(first, first + count)
    ]


def others(count: int, first: int) -> list[Message]:
    """Each of a host of its own."""
    return [
        Message(n % 2, n // 2, request_record(f"o{n}", url=f"https://h{n}.example/")[1])
        for n in range(first, first + count)
    ]


def test_a_source_that_floods_has_its_share_and_the_others_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own requests are cut to it, those of the others are not."""
    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        lambda _: [*flood(20), *others(6, 20)],
        labelled(26),
        calls_per_day=12,
        source_share=0.25,
    )
    made.run(monkeypatch)

    labels = made.topics.labels()
    asked = [label for label in labels if label.status == "labelled"]
    floods = [label for label in labels if label.article.id.startswith("f")]
    assert sum(label in floods for label in asked) == 3 and len(asked) == 9
    (share,) = {label.effective_pi for label in floods}
    us = sorted(label.sampling.u or 0 for label in floods)
    assert share == us[3]  # the first that is dropped
    assert {label.effective_pi for label in labels if label not in floods} == {1.0}
    (failure,) = {label.failure for label in floods if label.status == "over_budget"}
    assert failure and "its source's share" in failure


def test_what_a_source_had_outlives_the_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor goes on from the ledgers, whichever partitions it gets."""
    topics = Topics()
    how: dict[str, Any] = {"topics": topics, "calls_per_day": 12, "source_share": 0.5}
    first = scene(Scripted(LABEL), assigned(0, 1), lambda _: flood(4), labelled(4), **how)
    first.run(monkeypatch)
    second = scene(Scripted(LABEL), assigned(0), lambda _: flood(8, 4)[::2], labelled(8), **how)
    second.run(monkeypatch)
    third = scene(Scripted(LABEL), assigned(1), lambda _: flood(8, 4)[1::2], labelled(12), **how)
    third.run(monkeypatch)

    statuses = [label.status for label in topics.labels()]
    assert statuses[:4] == ["labelled"] * 4
    assert statuses.count("labelled") == 6 and topics.calls_spent() == 6


class Misled(Scripted):
    """Gives no label for every other article of the flood."""

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        reply = super().complete(prompt)
        host, number = prompt.article_id[0], int(prompt.article_id[1:])
        return replace(reply, text="no label") if host == "f" and number % 2 else reply


def test_further_calls_of_a_source_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Articles that bring no label, each to be asked for twice, take no more than their share."""
    made = scene(
        Misled(LABEL),
        assigned(0, 1),
        lambda _: [*flood(10), *others(10, 10)],
        labelled(20),
        calls_per_day=24,
        source_share=0.25,
    )
    made.run(monkeypatch)

    calls = Counter(name[0] for name in made.provider.asked)
    assert calls == {"f": 6, "o": 10}
    labels = [label for label in made.topics.labels() if label.article.id.startswith("f")]
    assert {label.usage.attempts for label in labels if label.usage is not None} == {1}
    assert {label.status for label in labels} == {"labelled", "invalid", "over_budget"}


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
        reply = ProviderResponse(
            "answered", text=LABEL.text, model_version=version, tokens=LABEL.tokens
        )
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
    monkeypatch.setattr("newsieve.programs.labeling.backlog.BACKLOG_REQUESTS", 4)
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


def keyed(*keys: SecretKey) -> list[Message]:
    """Requests as workers with these keys write them, five of each."""
    drawn = []
    for key in keys:
        policy = SamplingPolicy(POLICY, EPOCH, {LOW: 1.0, SURFACED: 1.0}, key)
        values = [
            request_record(f"{key.fingerprint}-{n}", policy=policy.name, u=None) for n in range(5)
        ]
        drawn += [value for _, value in values]
    return [Message(0, at, value) for at, value in enumerate(drawn)]


def test_with_the_workers_key_the_cut_is_theirs_though_no_record_says_u(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lowest u of all that waited have the labels, as if it were published."""
    key = SecretKey("k" * 32)
    made = scene(
        Scripted(LABEL), assigned(0, 1), lambda _: keyed(key), labelled(5), calls_per_day=2, key=key
    )
    made.run(monkeypatch)

    labels = made.topics.labels()
    draw = EpochDraw(EPOCH, key)
    us = {
        label.article.id: draw.u(label.article.id, label.article.content_hash) for label in labels
    }
    lowest = sorted(us, key=us.__getitem__)
    assert {label.article.id for label in labels if label.status == "labelled"} == {*lowest[:2]}
    assert {label.effective_pi for label in labels} == {us[lowest[2]]}
    assert all(label.sampling.u is None for label in labels) and not made.observer.other_keys


@pytest.mark.parametrize("key", [None, SecretKey("another" * 5)])
def test_an_oracle_without_the_workers_key_says_so_and_labels_all_the_same(
    key: SecretKey | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a draw of its own: what is left of each probability is on record as ever."""
    theirs = SecretKey("k" * 32)
    made = scene(
        Scripted(LABEL),
        assigned(0, 1),
        lambda _: keyed(theirs),
        labelled(5),
        calls_per_day=2,
        key=key,
    )
    made.run(monkeypatch)

    assert Counter(label.status for label in made.topics.labels()) == {
        "labelled": 2,
        "over_budget": 3,
    }
    (share,) = {label.effective_pi for label in made.topics.labels()}
    assert 0 < share < 1
    assert made.observer.other_keys == [theirs.fingerprint] * 5
