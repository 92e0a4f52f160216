"""What people read of a transition."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from newsieve.drift.alerts import headline, incident_id, replay_line
from newsieve.drift.error_streams import FAIL
from newsieve.drift.monitor_state import (
    Identity,
    LabelSummary,
    StreamPart,
    Transition,
    TransitionReason,
)
from newsieve_schemas.drift import Cause, State
from tests.support.drift import STREAMS

ROOT = Path(__file__).resolve().parents[2]


def part_of(name: str, *numbers: float) -> StreamPart:
    """A part of one of uplifting's streams, or of `fail`."""
    streams = {stream.name: stream for stream in (*STREAMS.table, FAIL)}
    return StreamPart(streams[name], *numbers)


MAE = part_of("mae", 0.6, 1.03, 1.24, 1.15, 1.33)
BENEFIT = part_of("abs:collective_benefit", 0.3, 0.9, 1.31, 1.1, 1.5)
STEP = Transition(
    identity=Identity("uplifting", "s", "surfaced"),
    episode=7,
    state="alert",
    previous_state="warning",
    reason="evidence",
    severity="warning",
    cause="unknown",
    position=9,
    value=11_842.0,
    threshold=10_000,
    parts=(MAE, BENEFIT),
    last_published="warning",
    labels=LabelSummary(
        tested=400,
        recent=200,
        mean_error=MAE,
        onset=(3, 5),
        oracle_key="a",
        policy="p1",
        examples=("x",),
    ),
)


def said(*parts: StreamPart, error: StreamPart | None = None, **facts: object) -> str:
    labels = replace(STEP.labels, mean_error=error)
    return headline(replace(STEP, parts=parts, labels=labels, **facts))  # type: ignore[arg-type]


def test_a_headline_has_the_numbers() -> None:
    """What, where, from what to what, how sure, and which dimension most."""
    assert headline(STEP) == (
        "MAE on surfaced articles rose from 1.03 to 1.24 (last 200 labels, 95 % 1.15–1.33); "
        "mostly collective_benefit (+0.41)"
    )


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (part_of("bias-", 1, -0.02, 0.35, 0.25, 0.45),
         "The mean of student minus oracle on surfaced articles moved from +0.02 to −0.35 "
         "(last 200 labels, 95 % −0.45 to −0.25)"),
        (part_of("b+:wonder", 1, -0.1, 0.3, 0.2, 0.4),
         "Student minus oracle in wonder on surfaced articles moved from −0.10 to +0.30 "
         "(last 200 labels, 95 % +0.20 to +0.40)"),
        (part_of("tier", 1, 0.2, 0.314, 0.25, 0.37),
         "The share of different tiers on surfaced articles rose from 20.0 % to 31.4 % "
         "(last 200 labels, 95 % 25.0 %–37.0 %)"),
        (part_of("fail", 1, 0, 0.05, 0.03, 0.09),
         "The share of refused or invalid answers on surfaced articles rose from 0.0 % to 5.0 % "
         "(last 200 labels, 95 % 3.0 %–9.0 %)"),
        (part_of("abs:wonder", 1, 0.9, 1.4, 1.2, 1.6),
         "The error of wonder on surfaced articles rose from 0.90 to 1.40 "
         "(last 200 labels, 95 % 1.20–1.60)"),
        (part_of("wabs", 1, 0.5, 0.8, 0.7, 0.9),
         "The error of the weighted average on surfaced articles rose from 0.50 to 0.80 "
         "(last 200 labels, 95 % 0.70–0.90)"),
    ],
)  # fmt: skip
def test_the_stream_to_blame_is_named_when_the_error_has_not_grown(
    part: StreamPart, sentence: str
) -> None:
    """A bias with its true sign, a rate in per cent."""
    usual = part_of("mae", 0, 1.0, 1.02, 0.9, 1.1)

    assert said(part, error=usual) == said(part) == sentence


def test_an_incident_that_ends_says_what_is_now_and_what_was_usual() -> None:
    """Of the stream that it was about."""
    assert said(MAE, error=MAE, state="resolved").startswith(
        "MAE on surfaced articles is back: now 1.24, 1.03 was usual"
    )
    assert "is coming back" in said(MAE, error=MAE, state="recovering")


@pytest.mark.parametrize("why", get_args(TransitionReason))
@pytest.mark.parametrize("state", get_args(State))
def test_every_step_has_a_sentence_and_a_place_in_the_runbook(
    why: TransitionReason, state: State
) -> None:
    """Whatever led to it; and every cause has a section."""
    runbook = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
    sections = {title.lower().replace(" ", "-") for title in re.findall(r"(?m)^## (.+)$", runbook)}
    for cause in get_args(Cause):
        labels = replace(STEP.labels, other_oracle_key="b")
        step = replace(STEP, reason=why, state=state, cause=cause, labels=labels)

        line = replay_line(step, "newsieve drift replay f", "https://r.example/book").decode()

        anchor = re.search(r'"runbook":"https://r.example/book#([a-z-]+)"', line)
        assert anchor and anchor[1] in sections
        assert len(headline(step)) > 20


def test_an_incident_has_the_same_id_on_every_replay() -> None:
    """A monitor's and an episode's own."""
    other = Identity("uplifting", "s", "low")

    assert incident_id(STEP.identity, 7) == incident_id(STEP.identity, 7)
    assert len({incident_id(i, at) for i in (STEP.identity, other) for at in (7, 8)}) == 4
