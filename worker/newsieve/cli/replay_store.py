"""What `newsieve drift replay` remembers of a file of any length: in a temporary file.

A few monitors are at hand; the others rest as snapshots until a line is about them again. Ids
are remembered exactly. SQLite keeps both in a file that nobody sees and that goes with the
process; while they are few they stay in memory.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson

from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import Identity
from newsieve.drift.stratum_monitor import StratumMonitor

AT_HAND: Final = 64  # monitors, 20 kB each
HASH_BYTES: Final = 8  # of a student and its oracle, and as many of an id
ANONYMOUS: Final = ""  # SQLite's name for a temporary file
TABLES: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE monitor (identity BLOB PRIMARY KEY, snapshot BLOB) WITHOUT ROWID;
    CREATE TABLE seen (name BLOB PRIMARY KEY) WITHOUT ROWID;
    BEGIN;
"""
Restore = Callable[[Identity, Any], StratumMonitor]


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"the temporary file for a long replay: {error}") from None


def open_shelf() -> sqlite3.Connection:
    """Raises OSError when there is no room for temporary files."""
    with _in_words():
        connection = sqlite3.connect(ANONYMOUS, isolation_level=None)
        connection.executescript(TABLES)
        return connection


class SeenInFile:
    """Every label of a file."""

    def __init__(self, shelf: sqlite3.Connection) -> None:
        self._shelf = shelf

    def add(self, label: Label) -> bool:
        """Remember a label that has an id. False when it was remembered already."""
        whose = orjson.dumps([label.student_version, label.oracle_key])
        name = _hash(whose) + _hash((label.id or "").encode())  # ids of one lie together
        with _in_words():
            inserted = self._shelf.execute("INSERT OR IGNORE INTO seen VALUES (?)", (name,))
        return inserted.rowcount == 1


class Shelf:
    """Monitors by identity, any number."""

    def __init__(self, shelf: sqlite3.Connection, restore: Restore) -> None:
        self._shelf = shelf
        self._restore = restore
        self._at_hand: OrderedDict[Identity, StratumMonitor] = OrderedDict()

    def get(self, identity: Identity, /) -> StratumMonitor | None:
        if identity in self._at_hand:
            self._at_hand.move_to_end(identity)
            return self._at_hand[identity]
        with _in_words():
            found = self._shelf.execute(
                "SELECT snapshot FROM monitor WHERE identity = ?", (_name(identity),)
            ).fetchone()
        if found is None:
            return None
        self[identity] = self._restore(identity, orjson.loads(found[0]))
        return self._at_hand[identity]

    def __setitem__(self, identity: Identity, monitor: StratumMonitor, /) -> None:
        self._at_hand[identity] = monitor
        if len(self._at_hand) > AT_HAND:
            oldest, resting = self._at_hand.popitem(last=False)
            row = (_name(oldest), orjson.dumps(resting.snapshot()))
            with _in_words():
                self._shelf.execute("INSERT OR REPLACE INTO monitor VALUES (?, ?)", row)


def _name(identity: Identity) -> bytes:
    return orjson.dumps([identity.filter, identity.student_version, identity.stratum])


def _hash(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=HASH_BYTES).digest()
