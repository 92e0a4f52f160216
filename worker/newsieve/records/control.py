"""Makes records of the control topic: what an operator, or a program for itself, has decided.

It does not know what follows from a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from newsieve.records.decode import Headers
from newsieve.records.encode import OutRecord, event_id, opening_headers
from newsieve_schemas import events


def decision_record(
    topic: str,
    scope: str,
    decision: str,
    arguments: Mapping[str, Any],
    source: bytes,
    now: str,
    decided_by: str | None = None,
) -> OutRecord:
    """Return the record of a ControlDecision. `decided_by` names the person, None if no person is
    named; `source` is the ce_source, and `now` is in ISO 8601."""
    fields = {
        "scope": scope,
        "decision": decision,
        "arguments": arguments,
        "decided_by": decided_by,
        "decided_at": now,
    }
    value = orjson.dumps(fields)
    headers: Headers = [
        *opening_headers(events.CONTROL_DECIDED, source),
        ("ce_id", event_id(f"{scope}\n{value.decode()}")),
        ("ce_time", now.encode()),
    ]
    return OutRecord(topic, scope.encode(), value, headers)
