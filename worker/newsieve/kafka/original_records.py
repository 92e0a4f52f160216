"""Fetches the records that dead letters hold only a part of from their original positions, and
counts those that cannot be had, by the reason.

It knows nothing of what becomes of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from newsieve.errors import OutputTooLarge
from newsieve.kafka.config import Cluster
from newsieve.kafka.topic_reader import record_at
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.records.oversize_letter import whole

GONE: Final = "the record that they hold a part of is not there any more"
ANOTHER: Final = "another record stands where theirs was"
_DIGITS: Final = re.compile("[0-9]{1,18}")  # as many as any offset has
TOO_LARGE: Final = "their record is larger than message.max.bytes in kafka.options"


class Originals:
    """The original records of one replay."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.missed: Counter[str] = Counter()  # letters, by why they cannot be put back

    def restored(self, letter: RawRecord, why: Mapping[str, str], topic: str) -> RawRecord | None:
        """The letter with the whole of its record, if that still stands in this topic. Raises
        BrokerUnavailable or TopicsWrong."""
        partition, offset = (_number(why.get(name, "")) for name in ("partition", "offset"))
        original = None
        if partition is not None and offset is not None and why.get("topic") == topic:
            original = record_at(self._cluster, (topic, partition), offset)
        found = whole(letter, original) if original is not None else None
        if found is None:
            self.missed[GONE if original is None else ANOTHER] += 1
        return found

    def fits(self, record: OutRecord, publisher: TransactionalProducer) -> bool:
        """Whether the producer takes the record."""
        try:
            publisher.require_fit([record])
        except OutputTooLarge:
            self.missed[TOO_LARGE] += 1
            return False
        return True


def _number(text: str) -> int | None:
    """The number in a header, None if it is none: anybody who may write dead letters may have
    written it."""
    return int(text) if _DIGITS.fullmatch(text) else None
