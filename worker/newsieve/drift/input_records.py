"""Reads the records of a live monitor's four input topics.

    oracle.scores   a label, or an anchor's
    scored          a scored or blocked article
    canaries        a worker's report of its canaries
    control         an operator's decision

A record about another filter, or about labels of another meaning, is None. The record's time is
given; nothing else of its position matters to what it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, get_args

from pydantic import ValidationError

from newsieve.drift.condition_alert import CanaryResult
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.decision_log import Decision, DecisionKind
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import MONITOR, AnchorLabel, BadLine, Label, LabelReader
from newsieve.errors import InvalidEvent, InvalidScore, NotAnObject
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import Stratum
from newsieve.records.json_parsing import parse
from newsieve.validation_text import validation_message
from newsieve_schemas.drift import CanaryReport, ControlDecision
from newsieve_schemas.topics import CANARIES, CONTROL, MAX_MESSAGE_BYTES, ORACLE_SCORES, SCORED

LONGEST_NAME: Final = 500  # characters; names are kept in states, whose size is bounded
HASH: Final = re.compile("sha256:[0-9a-f]{64}")
KINDS: Final[frozenset[str]] = frozenset(get_args(DecisionKind))
STRATA: Final[frozenset[str]] = frozenset(get_args(Stratum))
ABOUT_ORACLES: Final = frozenset({"accept_oracle", "reject_oracle"})

Record = TypeVar("Record", CanaryReport, ControlDecision)
Payload = Label | AnchorLabel | ScoreSample | CanaryResult | Decision


class Event(NamedTuple):
    """The content of one input record, and the filter and student that it is about."""

    filter: str
    student: str
    payload: Payload


class EventReader:
    """Reads the input records of some filters."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = {item.name: item for item in filters}
        self._labels = {item.name: LabelReader(item.name, ErrorStreams(item)) for item in filters}
        self._by_topic: dict[str, Callable[[dict[str, Any], bytes, int], Event | None]] = {
            ORACLE_SCORES: self._label,
            SCORED: self._article,
            CANARIES: self._canaries,
            CONTROL: self._decision,
        }

    def read(self, topic: str, value: bytes, timestamp_ms: int) -> Event | None:
        """Return what a record says. `topic` is its topic's name without the prefix. Raises
        RecordError."""
        fields = parse(value, MAX_MESSAGE_BYTES)
        if type(fields) is not dict:
            raise NotAnObject("not a JSON object")
        return self._by_topic[topic](fields, value, timestamp_ms)

    def _label(self, fields: dict[str, Any], value: bytes, timestamp_ms: int) -> Event | None:
        filter_ = self._filter_of(fields)
        if filter_ is None:
            return None
        labels = self._labels[filter_.name].read([(timestamp_ms, value)])
        if not labels:
            return None
        payload = labels[0]
        if isinstance(payload, BadLine):
            raise payload.error
        _require_short("oracle", payload.oracle_key)
        if isinstance(payload, AnchorLabel):
            return Event(filter_.name, "", payload)
        _require_short("policy", payload.policy)
        if payload.stratum not in STRATA or payload.purpose != MONITOR:
            raise InvalidEvent(
                f"no OracleScore: stratum {payload.stratum!r:.60}, purpose {payload.purpose!r}"
            )
        return Event(filter_.name, _student(payload.student_version), payload)

    def _article(self, fields: dict[str, Any], _: bytes, timestamp_ms: int) -> Event | None:
        filter_ = self._filter_of(fields)
        if filter_ is None:
            return None
        try:
            article, scores = fields["article"], fields["scores"]
            names = filter_.definition.dimension_names
            payload = ScoreSample(
                timestamp_ms,
                None if scores is None else [_score(scores[name]) for name in names],
                _text(fields, "tier"),
                int(fields["tokens"] or 0),
                bool(fields["truncated"]),
                _text(article, "language"),
                _text(article, "source"),
            )
            return Event(filter_.name, _student(fields["student"]), payload)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidEvent(f"not a ScoredArticle: {type(error).__name__}: {error}") from None

    def _canaries(self, fields: dict[str, Any], _: bytes, timestamp_ms: int) -> Event | None:
        report = _checked(CanaryReport, fields)
        if report.filter not in self._filters:
            return None
        largest = max((item.difference for item in report.canaries), default=0.0)
        result = CanaryResult(
            timestamp_ms, report.student, report.passed, largest, report.tolerance
        )
        return Event(report.filter, report.student, result)

    def _decision(self, fields: dict[str, Any], _: bytes, timestamp_ms: int) -> Event | None:
        """Return an operator's decision; notes of programs on the same topic are None."""
        decision = _checked(ControlDecision, fields)
        if decision.decision not in KINDS:
            return None
        names = ("filter", "student", "stratum", "oracle_key")
        about = {name: _text(decision.arguments, name) for name in names}
        for what, value in (*about.items(), ("scope", decision.scope)):
            _require_short(what, value)
        oracle_key = about["oracle_key"]
        if about["filter"] is None or (decision.decision in ABOUT_ORACLES and not oracle_key):
            raise InvalidEvent("a decision without a filter, or about no oracle")
        if about["filter"] not in self._filters:
            return None
        kind: Any = decision.decision  # one of KINDS
        payload = Decision(
            kind, timestamp_ms, oracle_key or "", about["student"], about["stratum"], decision.scope
        )
        return Event(about["filter"], about["student"] or "", payload)

    def _filter_of(self, fields: Mapping[str, Any]) -> Filter | None:
        """Return the filter that a record is about, if its labels mean what ours do."""
        name, label_hash = (_text(fields, key) for key in ("filter", "label_hash"))
        if name is None or label_hash is None:
            raise InvalidEvent(
                "neither a ScoredArticle nor an OracleScore: no filter, no label hash"
            )
        filter_ = self._filters.get(name)
        return filter_ if filter_ is not None and filter_.has_meaning(label_hash) else None


def _score(value: Any) -> float:
    if type(value) not in (float, int) or not SCORE_MIN <= value <= SCORE_MAX:
        raise InvalidScore(f"a score of {value!r:.60}")
    return float(value)


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value is not None and type(value) is not str:
        raise InvalidEvent(f"{name} is {value!r:.60}, not a string")
    return value


def _require_short(what: str, value: str | None) -> None:
    if value is not None and len(value) > LONGEST_NAME:
        raise InvalidEvent(f"{what} has {len(value):,} characters, more than {LONGEST_NAME}")


def _student(value: Any) -> str:
    if type(value) is not str or not HASH.fullmatch(value):
        raise InvalidEvent(f"student is {value!r:.60}, not a hash")
    return value


def _checked(model: type[Record], fields: Mapping[str, Any]) -> Record:
    try:
        return model.model_validate(fields, extra="ignore")
    except ValidationError as error:
        raise InvalidEvent(f"not a {model.__name__}: {validation_message(error)}") from None
