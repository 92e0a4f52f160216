"""Which records are delivered: those of a filter, a tier, a source, or above a score. Pure.

A condition on a field that a record does not have is not met. It knows no topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from newsieve.records.decode import RawRecord, header


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions that a record has to meet, all of them; an empty one is met by all records.

    `filter_name` may be followed by a version, as in `uplifting/v4`; `sources` are in lower case.
    """

    filter_name: str | None = None
    tiers: frozenset[str] = frozenset()
    min_score: float | None = None
    sources: frozenset[str] = frozenset()

    def are_met_by(self, record: RawRecord) -> bool:
        """Return whether the record meets all conditions. A null value (a tombstone) never does."""
        if record.value is None:
            return False
        return (
            self._has_filter(record)
            and (not self.tiers or _text(record, "tier") in self.tiers)
            and (
                (self.min_score is None and not self.sources) or self._has_score_and_source(record)
            )
        )

    def _has_filter(self, record: RawRecord) -> bool:
        name, _, version = (self.filter_name or "").partition("/")
        return not name or (
            _text(record, "filter") == name
            and (not version or _text(record, "filter_version") == version)
        )

    def _has_score_and_source(self, record: RawRecord) -> bool:
        fields = _object(record)
        score, article = fields.get("score"), fields.get("article")
        if self.min_score is not None:
            is_number = isinstance(score, int | float) and not isinstance(score, bool)
            if not is_number or score < self.min_score:  # type: ignore[operator]  # a number
                return False
        source = article.get("source") if isinstance(article, dict) else None
        return not self.sources or (isinstance(source, str) and source.lower() in self.sources)


def _text(record: RawRecord, name: str) -> str | None:
    """Return a header's text, or the field's of this name where there is no such header."""
    value = header(record.headers, name)
    if value is not None:
        return value.decode("utf-8", "replace")
    field = _object(record).get(name)
    return field if isinstance(field, str) else None


def _object(record: RawRecord) -> Mapping[str, Any]:
    """Return the value as a JSON object, empty where it is none."""
    try:
        value = orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
