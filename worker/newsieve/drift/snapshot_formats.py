"""Formats of drift snapshots, and the migration from an earlier format to today's.

Format 1 had no names of streams and packed its arrays tighter: differences in thousandths, the
evidence in hundredths of its logarithm, fingerprints of three bytes, and all of it compressed once
more. A new format adds an entry to `MIGRATIONS`, which takes a snapshot one format further. A new
stream needs none: snapshots name their streams, and arrays are aligned by name when they are read.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson

from newsieve.drift.array_codec import decode_array, encode_array

FORMAT: Final = 2

Detector = dict[str, Any]
Migration = Callable[[Detector, Sequence[str]], Detector]

SHORT_BYTES: Final = 3  # of a fingerprint of format 1
POINT: Final = 1_000  # thousandths of a score point, in format 1
LOG_POINT: Final = 100  # hundredths of a logarithm to base 10, in format 1
RENAMED_STATES: Final = {
    "awaits_verdict": "awaits_cause",
    "told": "published",
    "told_at": "published_at",
    "told_severity": "published_severity",
}


def read_detector(format_: Any, snapshot: Any) -> Detector:
    """Return the detector in a record's snapshot, in the format it was written with. Raises
    ValueError or zlib.error for anything that no format explains."""
    if type(format_) is not int or not 1 <= format_ <= FORMAT:
        raise ValueError(f"its format is {format_!r:.20}, not 1 to {FORMAT}")
    if format_ == 1:
        snapshot = orjson.loads(zlib.decompress(base64.b85decode(snapshot)))
    if type(snapshot) is not dict:
        raise ValueError("the snapshot is not an object")
    return snapshot


def migrate(detector: Detector, format_: int, dimensions: Sequence[str]) -> Detector:
    """Return a detector in today's format. `dimensions` are its filter's."""
    for number in range(format_, FORMAT):
        detector = MIGRATIONS[number](detector, dimensions)
    return detector


def _from_1(detector: Detector, dimensions: Sequence[str]) -> Detector:
    if "standing" in detector:
        return _monitor_from_1(detector, dimensions)
    if "signal" in detector:
        return {
            "condition": _condition_from_1(detector["signal"]),
            "students": detector["students"],
        }
    anchors, suspects = detector["anchors"], detector.get("suspects")
    if anchors is not None:
        anchors = {**anchors, "monitor": _monitor_from_1(anchors["monitor"], dimensions)}
    if suspects is not None:
        suspects = {
            "seen": _fingerprints_from_1(suspects["seen"]),
            "errors": suspects["tallies"],
        }
    return {
        "seen": _fingerprints_from_1(detector["seen"]),
        "anchors": anchors,
        "attribution": detector["guard"],
        "canaries": _condition_from_1(detector["canaries"]),
        "moved_at": detector["moved_at"],
        "decisions": detector["decided"],
        "ticked_at": detector["ticked_at"],
        "suspects": suspects,
    }


def _monitor_from_1(monitor: Mapping[str, Any], dimensions: Sequence[str]) -> Detector:
    streams, test = _streams_of_1(dimensions), monitor["trial"]
    state = {RENAMED_STATES.get(name, name): value for name, value in monitor["standing"].items()}
    return {
        "streams": streams,
        "state": state,
        "collected": monitor["tally"],
        "test": None if test is None else _test_from_1(test, [*streams, "fail"]),
    }


def _test_from_1(test: Mapping[str, Any], rows: Sequence[str]) -> Detector:
    window = test["window"]
    differences = decode_array(window["differences"], np.int16) / POINT
    evidence = decode_array(window["evidence"], np.int16) / LOG_POINT
    return {
        **{name: test[name] for name in ("baseline", "labels", "bank", "onset", "opened_at")},
        "window": {
            **window,
            "differences": encode_array(differences.astype(np.float32)),
            "evidence": encode_array(evidence.astype(np.float32)),
        },
        "frozen": test["held"],
        "attributed": [rows[index] for index in test["blamed"]],
        "recovery": test["recovery"],
    }


def _streams_of_1(dimensions: Sequence[str]) -> list[str]:
    """Return the streams that format 1 did not name, in their order."""
    kinds = {kind: [f"{kind}:{name}" for name in dimensions] for kind in ("abs", "b+", "b-")}
    return ["mae", *kinds["abs"], "bias+", "bias-", *kinds["b+"], *kinds["b-"], "wabs", "tier"]


def _condition_from_1(condition: Mapping[str, Any]) -> Detector:
    parts = [[name, share, size] for name, share, _, size, *_ in condition["parts"]]
    renamed = {
        ("published_at" if key == "told_at" else key): value for key, value in condition.items()
    }
    return {**renamed, "parts": parts}


def _fingerprints_from_1(seen: str) -> str:
    known = decode_array(seen, np.uint8).tobytes()
    starts = range(0, len(known), SHORT_BYTES)
    numbers = [int.from_bytes(known[start : start + SHORT_BYTES], "big") for start in starts]
    return encode_array(np.array(numbers, dtype=np.uint64))


MIGRATIONS: Final[dict[int, Migration]] = {1: _from_1}
