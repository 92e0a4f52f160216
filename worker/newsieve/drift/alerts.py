"""Transitions as records for people: what happened, how sure it is, and what to do now.

Does not know where the records go.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any, Final

import orjson

from newsieve.drift.error_streams import MAE
from newsieve.drift.label_reader import BadLine
from newsieve.drift.monitor_state import (
    ALERT,
    OK,
    RECOVERING,
    RESOLVED,
    SUSPENDED,
    WARNING,
    ConditionPart,
    Identity,
    StreamPart,
    Transition,
    TransitionReason,
)
from newsieve.filters.sampling import LOW, SURFACED
from newsieve.records.encode import timestamp
from newsieve_schemas.drift import Cause

INCIDENTS: Final = uuid.UUID("3d0c7a52-6c1e-5b0f-9a77-52d3a7c8e914")
FINGERPRINT_DIGITS: Final = 32
MOST_CHANGES: Final = 3  # of articles, in a headline
MAX_MESSAGE_CHARACTERS: Final = 1_000  # of an error, which may quote its line
EVERYTHING: Final = "all"  # the scope of what concerns both strata

GUARANTEE: Final = (
    "in n healthy labels it reaches the threshold n / threshold times on average at most, however "
    "often it is looked at, if the healthy mean is at or below its baseline's upper limit"
)
RECOVERY_GUARANTEE: Final = (
    "in n labels it reaches the threshold n / threshold times on average at most while a blamed "
    "stream's mean is 0.10 or more above its baseline's upper limit"
)
ACTIONS: Final[dict[Cause, str]] = {
    "concept_drift": "Retrain the student: articles, oracle and serving are as they were, and it "
    "errs more.",
    "data_drift": "Retrain the student on recent articles, and look at what the sources send now.",
    "oracle_drift": "Hold: the oracle labels its anchors differently. Pin its model, or accept it, "
    "which makes a new baseline. The student may be as good as ever.",
    "serving_defect": "Roll back: the running student does not reproduce its canaries. Compare "
    "adapter, tokeniser and library versions.",
    "benign_shift": "Raise the sampling rate for a while: articles have changed, errors have not.",
    "unknown": "Find the cause: without anchors it is not known whether the student or the oracle "
    "has changed. Label a few frozen articles again, and look at the examples.",
}
ADVICE: Final[dict[TransitionReason, str]] = {
    "oracle_changed": "Compare the oracles on the anchors, then accept the new one, which makes a "
    "new baseline, or reject it and pin the old one.",
    "no_labels": "See whether the oracle runs, has budget left and is sent requests.",
    "no_baseline": "Let the next labels make a baseline, if they are known to be healthy; or give "
    "the monitor the folder of the workers' student, with its baseline.jsonl.",
    "rebaseline": "Nothing: the next labels make the baseline. Until then nothing is tested.",
}
GROWING: Final = (
    "Look at it in working hours: an alert follows if the evidence goes on growing. No label is "
    "needed for that but the usual ones."
)


@dataclass(frozen=True, slots=True)
class AlertSubject:
    """What an alert says of the filter and the student at work."""

    filter_version: str
    filter_hash: str
    label_hash: str
    student: str


def fingerprint(identity: Identity) -> str:
    """Return the key of a monitor's records."""
    parts = orjson.dumps([identity.filter, identity.student_version, identity.stratum])
    return hashlib.sha256(parts).hexdigest()[:FINGERPRINT_DIGITS]


def incident_id(identity: Identity, episode: int) -> str:
    """Return an id that is the same for all transitions of one episode, and on every replay."""
    return str(uuid.uuid5(INCIDENTS, f"{fingerprint(identity)}\n{episode}"))


def replay_line(step: Transition, command: str, runbook_url: str) -> bytes:
    """Return the DriftReplayLine of a transition. `command` reproduces it."""
    record = {
        "line": step.position,
        "filter": step.identity.filter,
        "student_version": step.identity.student_version,
        "stratum": step.identity.stratum,
        **_common_fields(step, command, runbook_url),
        "onset": step.labels.onset,
    }
    return orjson.dumps(record)


def error_line(bad: BadLine) -> bytes:
    """Return the DriftReplayError of a line that is no label."""
    message = str(bad.error)[:MAX_MESSAGE_CHARACTERS]
    return orjson.dumps({"line": bad.position, "error": bad.error.name, "message": message})


def drift_alert(
    step: Transition, subject: AlertSubject, command: str, runbook_url: str
) -> dict[str, Any]:
    """Return the DriftAlert of a live transition, whose positions are milliseconds."""
    stratum = step.identity.stratum
    return {
        "fingerprint": fingerprint(step.identity),
        "filter": step.identity.filter,
        "filter_version": subject.filter_version,
        "filter_hash": subject.filter_hash,
        "label_hash": subject.label_hash,
        "student": subject.student,
        "scope": stratum if stratum in (LOW, SURFACED) else EVERYTHING,
        **_common_fields(step, command, runbook_url),
        "previous_state": step.last_published,
        "onset": [timestamp(moment) for moment in step.labels.onset] if step.labels.onset else None,
        "sampling_policy": step.labels.policy,
        "raised_at": timestamp(step.position),
        "repeated": step.is_reminder,
    }


def _common_fields(step: Transition, command: str, runbook_url: str) -> dict[str, Any]:
    """Return the fields that both kinds of record have. `runbook_url` has no section."""
    return {
        "incident_id": incident_id(step.identity, step.episode),
        "state": step.state,
        "previous_state": step.previous_state,
        "severity": step.severity,
        "oracle_key": step.labels.oracle_key,
        "headline": headline(step),
        "evidence": {
            "value": step.value,
            "threshold": step.threshold,
            "guarantee": _guarantee(step),
        },
        "streams": [_stream_fields(part) for part in step.parts],
        "labels": step.labels.tested,
        "cause": step.cause,
        "example_article_ids": step.labels.examples,
        "action": {
            "text": _advice(step),
            "runbook": f"{runbook_url}#{_section(step)}",
            "command": command,
        },
    }


def _stream_fields(part: StreamPart | ConditionPart) -> dict[str, Any]:
    """Return one of an alert's streams. A condition's size is no estimate and has no interval: it
    takes the place of the estimate and of both ends, which the record must have."""
    if isinstance(part, ConditionPart):
        numbers = (0.0, part.size, (part.size, part.size))
    else:
        numbers = (part.baseline, part.estimate, (part.low, part.high))
    baseline, estimate, interval = numbers
    return {
        "name": part.name,
        "share": part.share,
        "baseline": baseline,
        "estimate": estimate,
        "interval": interval,
    }


def headline(step: Transition) -> str:
    """Return the alert's one sentence, with the numbers."""
    where, other = f"on {step.identity.stratum} articles", step.labels.other_oracle_key
    sentences: dict[TransitionReason, str] = {
        "oracle_changed": f"Labels {where} come from another oracle, {other} instead of "
        f"{step.labels.oracle_key}: nothing is tested until it is accepted or rejected",
        "no_labels": f"No labels {where} for long: nothing is tested",
        "labels_again": f"There are labels {where} again: testing goes on",
        "rejected": f"The other oracle was rejected: testing goes on {where}",
        "no_baseline": f"There is no baseline for labels {where}: nothing is tested",
        "rebaseline": f"The next labels {where} make a new baseline: nothing is tested until then",
        "replaced": f"Another student has taken over {where}: this one is no longer watched",
    }
    if step.reason == "canaries":
        return _canaries(step)
    if step.reason == "articles":
        return _articles(step)
    if step.reason in sentences:
        return sentences[step.reason]
    if step.reason == "baseline" or (step.state == OK and not step.parts):
        usual = (
            f": MAE {step.labels.mean_error.baseline:.2f} is usual"
            if step.labels.mean_error
            else ""
        )
        begins = "Watching" if step.reason == "baseline" else "Nothing unusual"
        return f"{begins} {where}{usual}"
    return _change(step, where)


def _canaries(step: Transition) -> str:
    if step.state != ALERT:
        return "The student reproduces its canaries again"
    return (
        f"The student does not reproduce its canaries: a score is off by {step.value:.3f}, "
        f"{step.threshold:g} is tolerated"
    )


def _articles(step: Transition) -> str:
    if step.state == OK:
        return "Articles are as they were"
    parts = [part for part in step.parts if isinstance(part, ConditionPart)]
    changes = ", ".join(f"{part.name} {part.size:.2f}" for part in parts[:MOST_CHANGES])
    return f"Articles have shifted for two windows running: {changes}"


def _change(step: Transition, where: str) -> str:
    parts = [part for part in step.parts if isinstance(part, StreamPart)]
    first, error = parts[0], step.labels.mean_error
    has_grown = error is not None and error.low > error.baseline
    shown = error if error is not None and (has_grown or first.name == MAE) else first
    usual, now = _number(shown, shown.baseline), _number(shown, shown.estimate)
    sample = f"(last {step.labels.recent} labels, 95 % {_range(shown)})"
    if step.state in (RECOVERING, RESOLVED):
        verb = "is coming back" if step.state == RECOVERING else "is back"
        return f"{shown.stream.title} {where} {verb}: now {now}, {usual} was usual {sample}"
    verb = (
        "moved" if shown.stream.is_signed else "rose" if shown.estimate > shown.baseline else "went"
    )
    sentence = f"{shown.stream.title} {where} {verb} from {usual} to {now} {sample}"
    most = next((part for part in parts if _rise(part) > 0), None)
    if shown.name != MAE or most is None:
        return sentence
    return f"{sentence}; mostly {most.stream.dimension} ({_rise(most):+.2f})"


def _rise(part: StreamPart) -> float:
    """Return by how much a dimension's absolute error has grown, and 0 for any other stream."""
    return part.estimate - part.baseline if part.stream.dimension is not None else 0.0


def _number(part: StreamPart, value: float) -> str:
    """Return a value as people read it: a share in per cent, a bias as student minus oracle."""
    if part.stream.unit == "share":
        return f"{value:.1%}".replace("%", " %")
    if part.stream.is_signed:
        sign = -1 if part.stream.kind == "bias_down" else 1
        return f"{sign * value:+.2f}".replace("-", "−")
    return f"{value:.2f}"


def _range(part: StreamPart) -> str:
    ends = [_number(part, value) for value in (part.low, part.high)]
    if part.stream.is_signed:
        return " to ".join(reversed(ends) if part.stream.kind == "bias_down" else ends)
    return "–".join(ends)


def _guarantee(step: Transition) -> str:
    if step.reason == "canaries":
        return "fixed texts: either their scores are reproduced or they are not"
    if step.reason == "articles":
        return "an effect's size, in two windows running; no claim about chance"
    return RECOVERY_GUARANTEE if step.state in (RECOVERING, RESOLVED) else GUARANTEE


def _advice(step: Transition) -> str:
    if step.reason in ADVICE:
        return ADVICE[step.reason]
    if step.state in (ALERT, RECOVERING) or (step.reason == "articles" and step.state != OK):
        return ACTIONS[step.cause]
    return GROWING if step.state == WARNING else "Nothing: this is for your information."


def _section(step: Transition) -> str:
    section = "no-baseline" if step.reason == "no_baseline" else "drift"
    if step.state == SUSPENDED:
        section = "oracle-changed" if step.reason == "oracle_changed" else "no-labels"
    elif step.state in (ALERT, RECOVERING) or step.reason == "articles":
        section = step.cause.replace("_", "-")
    return section
