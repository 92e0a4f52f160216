"""What the oracle's stream keeps, and what it does not decide, when it has to stop."""

from __future__ import annotations

import time

import pytest

from newsieve.errors import OracleRejects
from newsieve.oracle.failure_streak import SAME_FAILURES
from newsieve.oracle.labeling_task import FAILED_CALLS, UNANSWERED_CALLS
from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import ProviderResponse
from newsieve.programs.labeling.loop import IDLE_SECONDS
from tests.support.impatience import limits
from tests.support.oracle_fakes import LABEL, Clock, Scripted
from tests.support.oracle_scene import (
    OracleScene,
    Topics,
    asked,
    labelled,
    needing_scene,
    requests,
    scene,
)
from tests.support.requests import request_record
from tests.support.scripted import Message, ScriptedConsumer, Step, assigned, revoked


class Fast(Clock):
    """A real one, a thousand times as fast."""

    def __call__(self) -> float:
        return time.monotonic() * 1_000


class Stuck(Scripted):
    """Never comes back from the first request."""

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        reply = super().complete(prompt)
        if prompt.article_id == "a0.0":
            self._may_go.acquire()
        return reply


class Unable(Scripted):
    """Has one reply to the first request, and labels for all others."""

    def __init__(self, reply: ProviderResponse) -> None:
        super().__init__(LABEL)
        self._reply = reply

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        label = super().complete(prompt)
        return self._reply if prompt.article_id == "a0.0" else label


PLACES = [(0, offset) for offset in range(SAME_FAILURES)]
DENIED = ProviderResponse("denied", reason="401: set NEWSIEVE_ORACLE__API_KEY")
REJECTED = ProviderResponse("rejected", reason="400: bad schema")
FENCED = ProviderResponse(
    "answered", text="```json\nHm.\n```", model_version="v1", tokens=LABEL.tokens
)
FAILED = ProviderResponse("busy", reason="500: internal error", has_failed=True)
SILENT = ProviderResponse("unanswered", reason="no answer: not in time")


@pytest.mark.parametrize("reply", [REJECTED, FENCED, DENIED], ids=lambda reply: reply.outcome)
def test_requests_that_all_fail_alike_have_no_record_and_are_asked_again_after_the_mend(
    monkeypatch: pytest.MonkeyPatch, reply: ProviderResponse
) -> None:
    """Exit 1 with nothing final; what was paid for nothing is on record with the label."""
    topics = Topics()
    first = scene(Scripted(reply), assigned(0), requests(*PLACES), labelled(1), topics=topics)
    with pytest.raises(OracleRejects):
        first.run(monkeypatch)
    assert topics.labels() == [] and topics.offsets.get(0, 0) == 0

    second = scene(Scripted(LABEL), assigned(0), requests(*PLACES), labelled(5), topics=topics)
    second.run(monkeypatch)

    labels = topics.labels()
    assert [label.status for label in labels] == ["labelled"] * SAME_FAILURES
    paid = len(first.provider.asked) if reply is FENCED else 0
    assert sum(label.calls_without_record for label in labels) == paid
    assert topics.offsets == {0: SAME_FAILURES} and topics.claims() == {}


def test_answers_behind_one_that_stops_the_oracle_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that were still under way. They are published before their turn; whoever starts
    next neither asks nor publishes them again."""
    topics = Topics()
    provider = Scripted(DENIED, LABEL, is_held=True)

    def release(_: ScriptedConsumer) -> list[Message]:
        provider.release(4)
        return []

    first = scene(
        provider, assigned(0), requests(*PLACES[:4]), asked(4), release, labelled(9),
        topics=topics, concurrency=4, drain_seconds=5.0,
    )  # fmt: skip
    with pytest.raises(OracleRejects):
        first.run(monkeypatch)
    denied = provider.asked[0]
    kept = {label.article.id for label in topics.labels()}
    assert kept == set(provider.asked) - {denied} and len(kept) == 3
    assert topics.claims() == {}

    second = scene(Scripted(LABEL), assigned(0), requests(*PLACES), labelled(5), topics=topics)
    second.run(monkeypatch)

    assert sorted(second.provider.asked) == sorted({"a0.4", denied})
    assert sorted(label.article.id for label in topics.labels()) == [f"a0.{n}" for n in range(5)]
    assert topics.offsets == {0: SAME_FAILURES}
    assert topics.calls_spent() == SAME_FAILURES


def test_an_early_record_whose_commit_was_not_heard_of_is_not_published_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its offset is not committed, so only the ledger says that it is there."""
    topics, come = Topics(), requests(*PLACES[:2])

    def mute(made: OracleScene) -> Step:
        def step(_: ScriptedConsumer) -> list[Message]:
            made.producer.mute = "done"
            provider.release(2)
            return []

        return step

    def come_again(consumer: ScriptedConsumer) -> list[Message]:
        if not consumer.sought:
            consumer._steps.insert(0, come_again)
            return []
        return come(consumer)

    provider = Unable(DENIED)
    provider._is_held = True
    made = scene(
        provider, assigned(0), come, asked(2), needing_scene(mute), come_again, labelled(9),
        topics=topics,
    )  # fmt: skip
    with pytest.raises(OracleRejects):
        made.run(monkeypatch)

    assert [label.article.id for label in topics.labels()] == ["a0.1"]
    assert topics.claims() == {} and topics.calls_spent() == 1


def test_answers_are_kept_when_a_partition_leaves_before_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first request is still waiting for its answer: its new owner asks for it alone."""
    topics = Topics()
    first = scene(
        Stuck(LABEL),
        assigned(0),
        requests((0, 0), (0, 1), (0, 2)),
        needing_scene(lambda s: s.until(lambda: len(s.observer.calls) >= 2)),
        revoked(0),
        lambda _: [],
        topics=topics,
        concurrency=3,
    )
    first.timeouts = limits(revoke_seconds=0.1)
    first.run(monkeypatch)
    assert {label.article.id for label in topics.labels()} == {"a0.1", "a0.2"}
    assert topics.claims() == {0: 1}

    second = scene(Scripted(LABEL), assigned(0), requests(*PLACES[:3]), labelled(3), topics=topics)
    second.run(monkeypatch)

    assert second.provider.asked == ["a0.0"]
    assert [label.article.id for label in topics.labels()][2:] == ["a0.0"]
    assert topics.labels()[2].calls_without_record == 1
    assert topics.offsets == {0: 3}


def test_a_lone_failure_is_recorded_when_another_article_has_its_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rejected or badly answered: the stream goes on, each request with one record."""
    made = scene(
        Scripted(REJECTED, FENCED, FENCED, LABEL),
        assigned(0),
        requests(*PLACES),
        labelled(5),
        concurrency=1,
    )
    made.run(monkeypatch)

    statuses = {label.article.id: label.status for label in made.topics.labels()}
    assert list(statuses.values()) == ["invalid", "invalid", "labelled", "labelled", "labelled"]
    assert made.topics.offsets == {0: 5}


def test_a_bad_answer_before_refusals_alone_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no label to decide about it and no room for other requests: a person has to."""
    refused = ProviderResponse(
        "refused", reason="moderated", model_version="v1", tokens=LABEL.tokens
    )
    places = [(0, offset) for offset in range(40)]
    made = scene(
        Scripted(FENCED, FENCED, refused), assigned(0), requests(*places), labelled(99),
        concurrency=1,
    )  # fmt: skip

    with pytest.raises(OracleRejects, match="are no labels"):
        made.run(monkeypatch)
    assert {label.status for label in made.topics.labels()} == {"refused"}


def test_while_a_result_is_withheld_the_loop_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second request for its text waits for it, and cannot be asked."""
    same = Message(0, 1, request_record("a0.0")[1])
    made = scene(
        Scripted(FENCED),
        assigned(0),
        lambda consumer: [*requests((0, 0))(consumer), same],
        needing_scene(lambda s: s.until(lambda: bool(s.observer.reasons))),
        lambda _: [],
        lambda _: [],
        lambda _: [],
    )
    waited: list[float] = []
    consume = made.consumer.consume

    def noting(count: int, seconds: float) -> list[Message]:
        waited.append(seconds)
        return consume(count, seconds)

    monkeypatch.setattr(made.consumer, "consume", noting)
    made.run(monkeypatch)

    assert waited[-1] == IDLE_SECONDS


def test_a_provider_that_is_silent_to_all_leaves_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that lasts; then all are labelled."""
    made = scene(
        Scripted(*[SILENT] * 20, LABEL), assigned(0), requests(*PLACES), labelled(5), concurrency=4
    )
    made.clock = Fast()
    made.run(monkeypatch)

    assert [label.status for label in made.topics.labels()] == ["labelled"] * 5


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    ("reply", "calls"), [(SILENT, UNANSWERED_CALLS), (FAILED, FAILED_CALLS)], ids=["silent", "500"]
)
def test_an_article_that_is_never_answered_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, reply: ProviderResponse, calls: int, concurrency: int
) -> None:
    """They go first, and that they are answered says whose fault it is."""
    places = [(0, offset) for offset in range(30)]
    made = scene(
        Unable(reply), assigned(0), requests(*places), labelled(30), concurrency=concurrency
    )
    made.clock = Fast()
    made.run(monkeypatch)

    labels = made.topics.labels()
    assert [label.status for label in labels] == ["invalid", *["labelled"] * 29]
    assert calls <= made.provider.asked.count("a0.0") <= calls + 2
    assert (labels[0].usage is None) == (reply is FAILED)
    assert made.topics.claims() == {}
