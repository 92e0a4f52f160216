"""What people were given to review, and what they said: samples, copies of articles, reviews.

Its rows are in the store's file, and only there: retention leaves them, and each change is on disk
when its method returns. Any number of processes may write beside the one that fills the store. It
knows neither HTTP nor what a review says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final

from newsieve.errors import StoreFailed
from newsieve.store.review_rows import (
    LabelledText,
    NewItem,
    NewReview,
    ReviewItem,
    StoredReview,
    StoredSample,
)
from newsieve.store.schema import open_to_add, open_to_read

WAIT_SECONDS: Final = 10.0
_ITEM: Final = (
    "i.id, i.sample_id, i.content_hash, i.pi, i.record, i.label, t.title, t.content "
    "FROM review_items i JOIN review_texts t ON t.content_hash = i.content_hash"
)
_SAMPLE: Final = "id, filter, label_hash, seed, since_ms, drawn_ms, frame, reviews"
# An outcome that counts: the article was scored by a student of these labels, nothing newer takes
# its place, and its text is there. No other part of a record can contain a label's hash.
_IS_CANDIDATE: Final = (
    "o.filter = :filter AND o.tier != 'blocked' AND o.superseded_by IS NULL "
    "AND o.scored_ms >= :since_ms AND t.is_whole "
    "AND instr(o.record, CAST(:label_hash AS BLOB))"
)
_LATEST_LABEL: Final = (
    "(SELECT l.record FROM labels l JOIN texts x ON x.id = l.text_id "
    "WHERE x.content_hash = {hash} AND l.filter = :filter "
    "AND instr(l.record, CAST(:label_hash AS BLOB)) ORDER BY l.labelled_ms DESC, l.id DESC LIMIT 1)"
)
_COUNT: Final = (
    "(SELECT count(*) FROM reviews r WHERE r.filter = s.filter AND r.label_hash = s.label_hash "
    "AND r.content_hash = i.content_hash{of})"
)
# What a person may be given: not reviewed by this one, and by fewer people than it is to be.
_IS_WAITING: Final = (
    "s.filter = :filter AND s.label_hash = :label_hash "
    f"AND {_COUNT.format(of=' AND r.reviewer = :reviewer')} = 0 "
    f"AND {_COUNT.format(of='')} < s.reviews"
)


class ReviewStore:
    """The reviews in a store. Each method opens the file anew, so that any thread may call it."""

    def __init__(self, path: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        """The file need not exist yet; methods raise StoreFailed while it does not, when it cannot
        be read or written, or when others write to it for longer than `wait_seconds`."""
        self._path = path
        self._wait_milliseconds = int(wait_seconds * 1_000)

    def scored_texts(self, filter_name: str, label_hash: str, since_ms: int) -> Iterator[bytes]:
        """Yield the hash of every text that the filter has scored since then."""
        with _reading(self._path) as connection:
            rows = connection.execute(
                "SELECT DISTINCT t.content_hash FROM outcomes o JOIN texts t ON t.id = o.text_id "  # noqa: S608 - names alone
                f"WHERE {_IS_CANDIDATE}",
                {"filter": filter_name, "label_hash": label_hash, "since_ms": since_ms},
            )
            yield from (row[0] for row in rows)

    def labelled_texts(
        self, filter_name: str, label_hash: str, since_ms: int
    ) -> Iterator[LabelledText]:
        """Yield those of the scored texts that an oracle has labelled, each with its latest
        outcome and its latest label."""
        label = _LATEST_LABEL.format(hash="t.content_hash")
        with _reading(self._path) as connection:
            rows = connection.execute(
                f"SELECT t.content_hash, o.record, {label}, max(o.id) FROM outcomes o "  # noqa: S608 - names alone
                "JOIN texts t ON t.id = o.text_id WHERE o.text_id IN "
                f"(SELECT text_id FROM labels WHERE filter = :filter) AND {_IS_CANDIDATE} "
                "GROUP BY o.text_id",
                {"filter": filter_name, "label_hash": label_hash, "since_ms": since_ms},
            )
            for content_hash, record, label_record, _ in rows:
                if label_record is not None:
                    yield LabelledText(content_hash, record, label_record)

    def add_sample(self, sample: StoredSample, items: Sequence[NewItem]) -> int:
        """Store a sample, whose own `id` is ignored, with copies of its articles. Returns its id.
        An article that retention has removed meanwhile is left out."""
        label = _LATEST_LABEL.format(hash=":content_hash")
        with self._transaction() as connection:
            cursor = connection.execute(
                f"INSERT INTO review_samples ({_SAMPLE}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names alone
                sample[1:],
            )
            sample_id = int(cursor.lastrowid or 0)
            for item in items:
                values = {**sample._asdict(), **item._asdict(), "sample_id": sample_id}
                connection.execute(
                    "INSERT OR IGNORE INTO review_texts SELECT content_hash, title, content "
                    "FROM texts WHERE content_hash = :content_hash AND is_whole",
                    values,
                )
                connection.execute(
                    "INSERT INTO review_items (sample_id, content_hash, pi, place, record, label) "  # noqa: S608 - names alone
                    f"SELECT :sample_id, :content_hash, :pi, :place, o.record, {label} "
                    "FROM outcomes o JOIN texts t ON t.id = o.text_id "
                    f"WHERE t.content_hash = :content_hash AND {_IS_CANDIDATE} "
                    "ORDER BY o.id DESC LIMIT 1",
                    values,
                )
        return sample_id

    def take_up(self, filter_name: str, earlier: Collection[str], label_hash: str) -> None:
        """Give the samples and reviews of earlier label hashes this one, but for reviews of a text
        that has one of the same person under it."""
        for table in ("review_samples", "reviews"):
            for former in earlier:
                of = (filter_name, former)
                with _reading(self._path) as connection:
                    known = connection.execute(
                        f"SELECT 1 FROM {table} WHERE filter = ? AND label_hash = ? LIMIT 1",  # noqa: S608 - names alone
                        of,
                    ).fetchone()
                if known is not None:
                    with self._transaction() as connection:
                        connection.execute(
                            f"UPDATE OR IGNORE {table} SET label_hash = ? "  # noqa: S608 - names alone
                            "WHERE filter = ? AND label_hash = ?",
                            (label_hash, *of),
                        )

    def remove_items(self, item_ids: Sequence[int]) -> None:
        """Take articles out of their samples: nobody is given them any more."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM review_items WHERE id = ?", [(item,) for item in item_ids]
            )

    def next_item(
        self, filter_name: str, label_hash: str, reviewer: str, offset: float
    ) -> ReviewItem | None:
        """Return the article that a person is to review next, None when there is no more. Those
        come first that somebody else has reviewed; `offset` is where in the order, from 0 to 1,
        this person begins, so that two seldom read the same article at the same time."""
        with _reading(self._path) as connection:
            row = connection.execute(
                f"SELECT {_ITEM} JOIN review_samples s ON s.id = i.sample_id WHERE {_IS_WAITING} "
                f"ORDER BY {_COUNT.format(of='')} > 0 DESC, i.place < :offset, i.place, i.id "
                "LIMIT 1",
                {
                    "filter": filter_name,
                    "label_hash": label_hash,
                    "reviewer": reviewer,
                    "offset": offset,
                },
            ).fetchone()
        return None if row is None else ReviewItem._make(row)

    def progress(self, filter_name: str, label_hash: str, reviewer: str) -> tuple[int, int]:
        """Return how many articles a person has reviewed, and how many are waiting for this one."""
        with _reading(self._path) as connection:
            waiting = connection.execute(
                "SELECT count(DISTINCT i.content_hash) FROM review_items i "  # noqa: S608 - names alone
                "JOIN review_texts t ON t.content_hash = i.content_hash "
                f"JOIN review_samples s ON s.id = i.sample_id WHERE {_IS_WAITING}",
                {"filter": filter_name, "label_hash": label_hash, "reviewer": reviewer},
            ).fetchone()
            done = connection.execute(
                "SELECT count(*) FROM reviews WHERE filter = ? AND label_hash = ? AND reviewer = ?",
                (filter_name, label_hash, reviewer),
            ).fetchone()
        return int(done[0]), int(waiting[0])

    def samples(self, filter_name: str, label_hash: str) -> list[StoredSample]:
        """Return the samples of labels with this meaning, oldest first."""
        with _reading(self._path) as connection:
            rows = connection.execute(
                f"SELECT {_SAMPLE} FROM review_samples WHERE filter = ? AND label_hash = ? "  # noqa: S608 - names alone
                "ORDER BY id",
                (filter_name, label_hash),
            ).fetchall()
        return [StoredSample._make(row) for row in rows]

    def items(self, sample_id: int) -> list[ReviewItem]:
        """Return the articles of a sample, in the order in which they are given to people."""
        with _reading(self._path) as connection:
            rows = connection.execute(
                f"SELECT {_ITEM} WHERE i.sample_id = ? ORDER BY i.place, i.id",
                (sample_id,),
            ).fetchall()
        return [ReviewItem._make(row) for row in rows]

    def item_of_text(
        self, filter_name: str, label_hash: str, content_hash: bytes
    ) -> ReviewItem | None:
        """Return the latest item that a text is in, None where no sample has it."""
        with _reading(self._path) as connection:
            row = connection.execute(
                f"SELECT {_ITEM} JOIN review_samples s ON s.id = i.sample_id WHERE s.filter = ? "
                "AND s.label_hash = ? AND i.content_hash = ? ORDER BY i.id DESC LIMIT 1",
                (filter_name, label_hash, content_hash),
            ).fetchone()
        return None if row is None else ReviewItem._make(row)

    def reviews(self, filter_name: str, label_hash: str) -> list[StoredReview]:
        """Return all reviews of a filter whose scores mean the same, oldest first."""
        with _reading(self._path) as connection:
            rows = connection.execute(
                "SELECT content_hash, reviewer, record FROM reviews WHERE filter = ? "
                "AND label_hash = ? ORDER BY id",
                (filter_name, label_hash),
            ).fetchall()
        return [StoredReview._make(row) for row in rows]

    def texts(self, content_hashes: Sequence[bytes]) -> dict[bytes, tuple[str | None, str | None]]:
        """Return the title and content of articles in samples, by the hash of the text."""
        found = {}
        with _reading(self._path) as connection:
            for content_hash in content_hashes:
                for row in connection.execute(
                    "SELECT title, content FROM review_texts WHERE content_hash = ?",
                    (content_hash,),
                ):
                    found[content_hash] = (row[0], row[1])
        return found

    def add_reviews(self, reviews: Sequence[NewReview]) -> list[bool]:
        """Store reviews, all of them or none. Returns for each whether it is new: a person's first
        review of an article stays. An oracle's label that came meanwhile is copied, too."""
        with self._transaction() as connection:
            are_new = []
            label = _LATEST_LABEL.format(hash=":content_hash")
            for review in reviews:
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO reviews (filter, label_hash, content_hash, reviewer, "
                    "record) VALUES (?, ?, ?, ?, ?)",
                    review,
                )
                are_new.append(cursor.rowcount == 1)
                connection.execute(
                    f"UPDATE review_items SET label = {label} "  # noqa: S608 - names alone
                    "WHERE content_hash = :content_hash AND label IS NULL AND sample_id IN "
                    "(SELECT id FROM review_samples WHERE filter = :filter "
                    "AND label_hash = :label_hash)",
                    review._asdict(),
                )
        return are_new

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _opened(
            self._path, lambda: open_to_add(self._path, self._wait_milliseconds)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _reading(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return _opened(path, lambda: open_to_read(path))


@contextmanager
def _opened(path: Path, connect: Callable[[], sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
    """Open a store for the block. Raises StoreFailed."""
    if not path.is_file():
        raise StoreFailed(
            f"there is no store {path}: `newsieve serve` makes it, and serve.store names it"
        )
    try:
        with closing(connect()) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreFailed(f"the reviews in {path}: {error}") from None
