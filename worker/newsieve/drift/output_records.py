"""Records that a live monitor writes: alerts, its state and requests for anchor labels; and its
state read back.

All times in them are the stream's, so that the same stream makes the same records. The formats of
snapshots are in `snapshot_formats`.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, NamedTuple

import orjson
from pydantic import ValidationError

from newsieve.drift.alerts import EVERYTHING, AlertSubject, drift_alert, fingerprint, incident_id
from newsieve.drift.anchor_file import AnchorArticle
from newsieve.drift.label_reader import ANCHOR
from newsieve.drift.monitor_state import CALM, Identity, Transition
from newsieve.drift.snapshot import Snapshot
from newsieve.drift.snapshot_formats import FORMAT, read_detector
from newsieve.errors import TopicsWrong
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED
from newsieve.records.decode import Headers
from newsieve.records.encode import OutRecord, event_id, filter_headers, opening_headers, timestamp
from newsieve.validation_text import validation_message
from newsieve_schemas import events
from newsieve_schemas.drift import DriftState
from newsieve_schemas.topics import DRIFT_ALERTS, DRIFT_STATE, ORACLE_REQUESTS, topic_name

ANCHOR_POLICY: Final = "anchors"


class RestoredMonitor(NamedTuple):
    """A snapshot that was read from the state topic, with the filter that it was written for."""

    filter: str
    label_hash: str
    filter_hash: str
    updated_at: str
    format: int
    snapshot: Snapshot  # its detector in that format


class DriftRecordEncoder:
    """Encodes the records of one filter. `student` is written where no student is known."""

    def __init__(
        self,
        filter_: Filter,
        prefix: str,
        source: str,
        student: str,
        command: str,
        runbook_url: str,
    ) -> None:
        """`source` is the ce_source, `command` reproduces an alert, `runbook_url` has no
        section."""
        self.student = student
        self._filter = filter_
        self._topics = {
            suffix: topic_name(prefix, suffix)
            for suffix in (DRIFT_ALERTS, DRIFT_STATE, ORACLE_REQUESTS)
        }
        self._source = source.encode()
        self._command = command
        self._runbook_url = runbook_url
        self._identity = {
            "filter": filter_.name,
            "filter_version": filter_.version,
            "filter_hash": filter_.filter_hash,
            "label_hash": filter_.label_hash,
        }

    def alert_fields(self, step: Transition) -> dict[str, Any]:
        """Return the fields of a transition's DriftAlert."""
        filter_ = self._filter
        student = step.identity.student_version or self.student
        subject = AlertSubject(filter_.version, filter_.filter_hash, filter_.label_hash, student)
        return drift_alert(step, subject, self._command, self._runbook_url)

    def alert(self, step: Transition) -> OutRecord:
        """Return the DriftAlert record of a transition."""
        fields = self.alert_fields(step)
        parts = [fields[name] for name in ("fingerprint", "incident_id", "state", "previous_state")]
        fact = "\n".join([*parts, step.reason, str(step.position), events.DRIFT_ALERT])
        headers = [
            *self._headers(events.DRIFT_ALERT, fact, step.position),
            ("state", step.state.encode()),
            ("severity", step.severity.encode()),
        ]
        key = fields["fingerprint"].encode()
        return OutRecord(self._topics[DRIFT_ALERTS], key, orjson.dumps(fields), headers)

    def state(self, snapshot: Snapshot, timestamp_ms: int) -> OutRecord:
        """Return the DriftState record of a snapshot, which is a tombstone for a retired
        monitor."""
        identity, key = snapshot.identity, fingerprint(snapshot.identity)
        if snapshot.detector is None:
            return OutRecord(self._topics[DRIFT_STATE], key.encode(), None, [])
        is_calm = snapshot.state in CALM
        fields = {
            "fingerprint": key,
            "state": snapshot.state,
            "incident_id": None if is_calm else incident_id(identity, snapshot.episode),
            "filter": identity.filter,
            "student": identity.student_version or self.student,
            "scope": identity.stratum if identity.stratum in (LOW, SURFACED) else EVERYTHING,
            "oracle_key": snapshot.oracle_key,
            "detector": {
                "format": FORMAT,
                "filter_hash": self._filter.filter_hash,
                "label_hash": self._filter.label_hash,
                "student_version": identity.student_version,
                "stratum": identity.stratum,
                "episode": snapshot.episode,
                "snapshot": snapshot.detector,
            },
            "updated_at": timestamp(timestamp_ms),
        }
        value = orjson.dumps(fields)
        headers = self._headers(events.DRIFT_STATE, value.decode(), timestamp_ms)
        return OutRecord(self._topics[DRIFT_STATE], key.encode(), value, headers)

    def anchor_request(self, anchor: AnchorArticle, timestamp_ms: int) -> OutRecord:
        """Return the OracleRequest record of an anchor. It says nothing of a student."""
        requested_at = timestamp(timestamp_ms)
        fields: dict[str, Any] = {
            "article": anchor.article,
            **self._identity,
            "student": self.student,
            "dtype": None,
            "scores": None,
            "weighted_average": None,
            "score": None,
            "content_rules": [],
            "tier": None,
            "suspect": [],
            "sampling": {
                "selected": True,
                "policy": ANCHOR_POLICY,
                "epoch": ANCHOR_POLICY,
                "stratum": LOW,
                "purpose": ANCHOR,
                "pi": 1.0,
                "u": 0.0,
            },
            "requested_at": requested_at,
        }
        fact = "\n".join([anchor.id, anchor.article["content_hash"], ANCHOR, str(requested_at)])
        headers = self._headers(events.ORACLE_REQUESTED, fact, timestamp_ms)
        headers.append(("outcome", b"scored"))
        topic = self._topics[ORACLE_REQUESTS]
        return OutRecord(topic, anchor.id.encode(), orjson.dumps(fields), headers)

    def _headers(self, event_type: str, fact: str, timestamp_ms: int) -> Headers:
        return [
            *opening_headers(event_type, self._source),
            *filter_headers(self._filter.name, self._filter.version),
            ("ce_id", event_id(fact)),
            ("ce_time", (timestamp(timestamp_ms) or "").encode()),
        ]


def read_state(key: bytes, value: bytes) -> RestoredMonitor:
    """Return the snapshot in a DriftState record. Raises TopicsWrong."""
    try:
        state = DriftState.model_validate_json(value, extra="ignore")
        fields = state.detector
        identity = Identity(state.filter, fields["student_version"], fields["stratum"])
        detector = read_detector(fields["format"], fields["snapshot"])
        snapshot = Snapshot(identity, state.state, fields["episode"], state.oracle_key, detector)
        if type(snapshot.episode) is not int or {*map(type, identity)} != {str}:
            raise ValueError("no snapshot of ours")
        return RestoredMonitor(
            state.filter,
            fields["label_hash"],
            fields["filter_hash"],
            state.updated_at,
            fields["format"],
            snapshot,
        )
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        reason = validation_message(error) if isinstance(error, ValidationError) else str(error)
        raise unreadable(key, reason) from None


def unreadable(key: bytes, reason: str) -> TopicsWrong:
    """Return the error for a record of the state topic that cannot be read, with its remedy."""
    return TopicsWrong(
        f"the state topic's record with key {key!r:.80} cannot be read: {reason}. A null value "
        "with that key forgets it: the monitor then begins anew"
    )
