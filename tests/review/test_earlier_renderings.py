"""Samples and reviews that were made under an earlier rendering are taken up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from newsieve.programs.reviewing.service import Reviewing, SampleWanted
from newsieve.store.reviews import ReviewStore
from tests.support.reviews import FILTER, make_store, review

(EARLIER,) = FILTER.earlier_label_hashes


def make_earlier(path: Path) -> None:
    """Let all samples and reviews be of the earlier rendering."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE review_samples SET label_hash = ?", (EARLIER,))
        connection.execute("UPDATE reviews SET label_hash = ?", (EARLIER,))


def test_samples_and_reviews_of_the_earlier_rendering_are_taken_up(tmp_path: Path) -> None:
    """People read the same articles: nobody is given one again, and the same seed draws no more."""
    path = tmp_path / "newsieve.db"
    reviewing = make_store(path)
    drawn = reviewing.draw(FILTER, SampleWanted(10, seed="s"))
    first = int(drawn.tasks[0].scored.article.id[1:])
    reviewing.save(FILTER, [review(first, "ann")])
    before = reviewing.progress(FILTER, "ann")
    make_earlier(path)

    later = Reviewing(ReviewStore(path))

    assert later.progress(FILTER, "ann") == before == (1, 9)
    assert [item.article.id for item in later.reviews(FILTER)] == [f"a{first}"]
    assert not later.draw(FILTER, SampleWanted(10, seed="s")).is_new


def test_a_review_that_was_made_again_meanwhile_stays(tmp_path: Path) -> None:
    """The earlier one of the same person and text does not take its place."""
    path = tmp_path / "newsieve.db"
    reviewing = make_store(path)
    reviewing.draw(FILTER, SampleWanted(40))
    reviewing.save(FILTER, [review(1, "ann", 2)])
    make_earlier(path)
    store = ReviewStore(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO reviews (filter, label_hash, content_hash, reviewer, record) "
            "SELECT filter, ?, content_hash, reviewer, X'7b7d' FROM reviews",
            (FILTER.label_hash,),
        )

    store.take_up(FILTER.name, FILTER.earlier_label_hashes, FILTER.label_hash)

    assert [item.record for item in store.reviews(FILTER.name, FILTER.label_hash)] == [b"{}"]
