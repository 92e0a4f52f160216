"""The tables of the store, and how a database file is opened.

One process fills it, others add reviews, any number of threads read: the file is in WAL mode, so
readers see whole transactions and never wait for a writer. It does not know what the rows are
made of.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from newsieve.errors import StoreFailed

VERSION: Final = 1
BUSY_MILLISECONDS: Final = 10_000  # for another process that has the file for a moment
CACHE_KIB: Final = 65_536  # of the writer: random places of its indexes
READER_CACHE_KIB: Final = 2_048  # of each thread that reads
MMAP_BYTES: Final = 1 << 30  # pages that all connections share
# Truncated to this after a checkpoint, or a burst's log would stay.
JOURNAL_BYTES: Final = 64 << 20

# A text is stored once, however many filters score it and however often it is sent.
#   texts.story       the id of the first text that says the same
#   stories.article_id  the first article of the story, which the id of a text stands for
#   outcomes.fact     the record's ce_id: the same fact is stored once
#   outcomes.tier     "blocked" where a content rule blocked the article
#   outcomes.is_listed  0: a copy of a listed outcome's story, or superseded
#   outcomes.superseded_by  the newer decision of the same filter about the same article and text
# What people were shown and said is in the tables of reviews, with copies of all that it is about:
# retention removes nothing from them, and no topic has it.
#   review_samples.frame  how many articles could be drawn
#   review_items.pi   the probability of being drawn; null for articles of largest disagreement
SCHEMA: Final = """
CREATE TABLE positions (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, content_hash BLOB NOT NULL UNIQUE,
    story INTEGER NOT NULL, came_ms INTEGER NOT NULL, is_whole INTEGER NOT NULL,
    title TEXT, content TEXT, sketch BLOB NOT NULL);
CREATE INDEX texts_of_story ON texts (story);
CREATE INDEX texts_by_age ON texts (came_ms);
CREATE TABLE story_bands (
    band INTEGER NOT NULL, text_id INTEGER NOT NULL, PRIMARY KEY (band, text_id)) WITHOUT ROWID;
CREATE TABLE stories (id INTEGER PRIMARY KEY, article_id TEXT NOT NULL);
CREATE VIRTUAL TABLE search USING fts5 (
    title, content, content='', tokenize="unicode61 remove_diacritics 2");
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, fact BLOB NOT NULL UNIQUE, text_id INTEGER NOT NULL,
    story INTEGER NOT NULL, is_listed INTEGER NOT NULL, superseded_by INTEGER,
    copies INTEGER NOT NULL DEFAULT 0,
    filter TEXT NOT NULL, tier TEXT NOT NULL, score REAL, source TEXT, language TEXT,
    article_id TEXT NOT NULL, dated_ms INTEGER NOT NULL, scored_ms INTEGER NOT NULL,
    latency_ms INTEGER, record BLOB NOT NULL);
CREATE INDEX listed_by_tier ON outcomes (filter, tier, id, score, language, source, dated_ms)
    WHERE is_listed;
CREATE INDEX listed_by_filter ON outcomes (filter, id, score, language, source, dated_ms)
    WHERE is_listed;
CREATE INDEX listed_by_source ON outcomes (source, id) WHERE is_listed;
CREATE INDEX listed_of_story ON outcomes (story, filter, tier) WHERE is_listed;
CREATE INDEX current_of_story ON outcomes (story, filter, tier, id) WHERE superseded_by IS NULL;
CREATE INDEX current_of_text ON outcomes (text_id, filter) WHERE superseded_by IS NULL;
CREATE INDEX outcomes_by_age ON outcomes (scored_ms);
CREATE INDEX outcomes_of_text ON outcomes (text_id, filter);
CREATE INDEX outcomes_of_article ON outcomes (article_id);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY, fact BLOB NOT NULL UNIQUE, text_id INTEGER NOT NULL,
    filter TEXT NOT NULL, oracle TEXT NOT NULL, labelled_ms INTEGER NOT NULL,
    record BLOB NOT NULL);
CREATE INDEX labels_by_age ON labels (labelled_ms);
CREATE INDEX labels_of_text ON labels (text_id, filter);
CREATE TABLE letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    stage TEXT NOT NULL, error TEXT NOT NULL, message TEXT NOT NULL, filter TEXT,
    failed_ms INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB NOT NULL,
    UNIQUE (partition, offset, failed_ms));
CREATE INDEX letters_by_age ON letters (failed_ms);
CREATE TABLE replays (partition INTEGER PRIMARY KEY, ranges TEXT NOT NULL);
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, fact BLOB NOT NULL UNIQUE, incident_id TEXT NOT NULL,
    filter TEXT NOT NULL, raised_ms INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX alerts_of_incident ON alerts (incident_id);
CREATE TABLE canaries (
    filter TEXT NOT NULL, student TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (filter, student)) WITHOUT ROWID;
CREATE TABLE tallies (
    filter TEXT NOT NULL, tier TEXT NOT NULL, hour INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (filter, tier, hour)) WITHOUT ROWID;
CREATE TABLE review_texts (
    content_hash BLOB PRIMARY KEY, title TEXT, content TEXT) WITHOUT ROWID;
CREATE TABLE review_samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT, filter TEXT NOT NULL, label_hash TEXT NOT NULL,
    seed TEXT NOT NULL, since_ms INTEGER NOT NULL, drawn_ms INTEGER NOT NULL,
    frame INTEGER NOT NULL, reviews INTEGER NOT NULL);
CREATE TABLE review_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sample_id INTEGER NOT NULL, content_hash BLOB NOT NULL,
    pi REAL, place REAL NOT NULL, record BLOB NOT NULL, label BLOB,
    UNIQUE (sample_id, content_hash));
CREATE INDEX review_items_of_text ON review_items (content_hash);
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT, filter TEXT NOT NULL, label_hash TEXT NOT NULL,
    content_hash BLOB NOT NULL, reviewer TEXT NOT NULL, record BLOB NOT NULL,
    UNIQUE (filter, label_hash, content_hash, reviewer));
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the store, and make it where there is none. Transactions are begun by hand.

    Raises StoreFailed for a file that is something else, or cannot be written.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts before the first table
            connection.execute("PRAGMA journal_mode = WAL")
            # what a power cut takes is read from the topics again
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
            _create(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreFailed(f"cannot use {path} as the store of pages: {error}") from None
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a store that exists, for one thread at a time. Raises sqlite3.Error, or StoreFailed for
    another version's."""
    address = f"file:{_quoted(path)}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    connection.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
    connection.row_factory = sqlite3.Row
    _require_version(connection, path)
    return connection


def open_to_add(path: Path, wait_milliseconds: int) -> sqlite3.Connection:
    """Open a store that exists, to write a few rows beside the process that fills it. They are on
    disk once committed: no topic has them. Raises as `open_to_read`."""
    connection = sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {wait_milliseconds}")
    connection.execute("PRAGMA synchronous = FULL")
    _require_version(connection, path)
    return connection


def store_bytes(path: Path) -> int:
    """Return how many bytes of the file are in use. Raises StoreFailed."""
    try:
        with closing(open_to_read(path)) as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
    except sqlite3.Error as error:
        raise StoreFailed(f"the store of pages cannot be read: {error}") from None
    return int((pages - free) * size)


def _create(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables where there are none. Raises StoreFailed for other tables than ours."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables or connection.execute("PRAGMA user_version").fetchone()[0]:
        _require_version(connection, path)
    else:
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")


def _require_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreFailed for a database with other tables than ours, and close it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        connection.close()
        raise StoreFailed(
            f"{path} is no store of this version of newsieve: name another file with "
            "NEWSIEVE_SERVE__STORE, which is filled from the topics; reviews stay in this one"
        )


def _quoted(path: Path) -> str:
    """Return the path as a part of a URI."""
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
