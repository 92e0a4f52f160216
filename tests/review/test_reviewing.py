"""Samples and reviews in the store: whole or not at all, for ever, each person's own."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from newsieve.errors import StoreFailed
from newsieve.programs.reviewing.service import NothingToReview, Reviewing, SampleWanted
from newsieve.review.judgement import InvalidReview, Judgement
from newsieve.store.retention import Retention, remove_expired
from newsieve.store.reviews import ReviewStore
from newsieve_schemas.oracle import OracleScore
from tests.support.reviews import (
    FILTER,
    NAMES,
    STUDENT_TIER,
    article_rows,
    content,
    make_store,
    open_store,
    review,
)
from tests.support.scored_records import START_MS

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, sys
from pathlib import Path
from newsieve.store.reviews import ReviewStore
from newsieve.programs.reviewing.service import Reviewing
from tests.support.reviews import FILTER, review
import newsieve.store.reviews as reviews

class Torn(list):
    def __iter__(self):
        for number, item in enumerate(list.__iter__(self)):
            if number == 3:
                os.kill(os.getpid(), 9)
            yield item

store = ReviewStore(Path(sys.argv[1]))
add = store.add_reviews
store.add_reviews = lambda new: add(Torn(new))
Reviewing(store).save(FILTER, [review(number, "ann") for number in range(6)])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def drawn(path: Path, size: int = 20, reviews: int = 1) -> Reviewing:
    """Return the reviews of a store of which all 40 articles, or some, are in a sample."""
    reviewing = make_store(path)
    reviewing.draw(FILTER, SampleWanted(size, reviews=reviews, seed="s"))
    return reviewing


def said_of(reviewing: Reviewing, number: int) -> list[OracleScore]:
    return [r for r in reviewing.reviews(FILTER) if r.article.id == f"a{number}"]


def test_a_sample_is_half_random_and_half_disagreement(path: Path) -> None:
    """Of the articles with their text that the filter has scored; ten are labelled."""
    sample = make_store(path).draw(FILTER, SampleWanted(12, seed="s"))
    at_random = [task for task in sample.tasks if task.item.pi is not None]
    chosen = [task for task in sample.tasks if task.item.pi is None]
    left = {f"a{n}" for n in range(10)} - {task.scored.article.id for task in at_random}
    by_difference = sorted(left, key=lambda name: -int(name[1:]))
    assert sample.sample.frame == 40
    assert {task.item.pi for task in at_random} == {6 / 40}
    assert {task.scored.article.id for task in chosen} == set(by_difference[:6])


def test_articles_that_cannot_be_shown_or_mean_something_else_are_not_drawn(path: Path) -> None:
    """Blocked, superseded, older than --since, without their text, of other labels."""
    with open_store(path, articles=5, labels=0) as writer:
        blocked = {"outcome": "blocked", "scores": None, "score": None, "tier": None}
        rows = [
            *list(article_rows(5, 5.0))[1:],  # the text has not come
            *article_rows(6, 5.0, **blocked),
            *article_rows(7, 5.0, ms=START_MS - 10_000),
        ]
        (text, outcome) = article_rows(8, 5.0)
        other = outcome._replace(
            record=outcome.record.replace(FILTER.label_hash.encode(), b"-" * 71)
        )  # type: ignore[union-attr]
        writer.write([*rows, text, other], {})
    reviewing = Reviewing(ReviewStore(path))
    sample = reviewing.draw(FILTER, SampleWanted(50, since_ms=START_MS))
    assert {task.scored.article.id for task in sample.tasks} == {f"a{n}" for n in range(5)}
    assert sample.sample.frame == 5
    with pytest.raises(NothingToReview):
        reviewing.draw(FILTER, SampleWanted(50, since_ms=START_MS * 2))


def test_a_record_that_is_no_scored_article_is_not_given_to_anybody(path: Path) -> None:
    """Whoever may write to the topic may write anything."""
    with open_store(path, articles=2, labels=0) as writer:
        text, outcome = article_rows(2, 5.0)
        fields = orjson.loads(outcome.record)  # type: ignore[union-attr]
        broken = outcome._replace(record=orjson.dumps(fields | {"scores": "many"}))  # type: ignore[union-attr]
        writer.write([text, broken], {})
    sample = Reviewing(ReviewStore(path)).draw(FILTER, SampleWanted(10))
    assert (sample.sample.frame, len(sample.tasks)) == (3, 2)


def test_the_same_seed_gives_the_same_sample_again(path: Path) -> None:
    """It is stored once."""
    reviewing = make_store(path)
    first = reviewing.draw(FILTER, SampleWanted(10, seed="s"))
    again = reviewing.draw(FILTER, SampleWanted(10, seed="s"))
    assert (first.is_new, again.is_new) == (True, False)
    assert again.tasks == first.tasks
    assert len(reviewing.report(FILTER).samples) == 1
    assert reviewing.draw(FILTER, SampleWanted(10)).is_new


def test_nobody_gets_an_article_twice_and_each_gets_as_many_people_as_wanted(path: Path) -> None:
    """Also where two samples have it; what somebody else has begun comes first."""
    reviewing = drawn(path, size=6, reviews=2)
    reviewing.draw(FILTER, SampleWanted(6, reviews=2, seed="other"))
    seen: dict[str, list[str]] = {"ann": [], "bob": [], "eve": []}
    for name, articles in seen.items():
        while (task := reviewing.next_task(FILTER, name)) is not None:
            number = int(task.scored.article.id[1:])
            assert task.item.content == content(number)
            reviewing.save(FILTER, [review(number, name)])
            articles.append(task.scored.article.id)
    assert len(seen["ann"]) == len(set(seen["ann"])) >= 6
    assert set(seen["ann"]) == set(seen["bob"])
    assert seen["eve"] == []
    assert reviewing.progress(FILTER, "ann") == (len(seen["ann"]), 0)


def test_a_begun_article_comes_first(path: Path) -> None:
    """So that people share articles from the start, and not at the end alone."""
    reviewing = drawn(path, size=20, reviews=2)
    for name in ("ann", "bob", "cas", "dia"):
        task = reviewing.next_task(FILTER, name)
        assert task is not None
        reviewing.save(FILTER, [review(int(task.scored.article.id[1:]), name)])
    people = [record.article.id for record in reviewing.reviews(FILTER)]
    assert (people[0] == people[1], people[2] == people[3], len(set(people))) == (True, True, 2)


def test_a_review_is_an_oracles_record_with_the_persons_own_key(path: Path) -> None:
    """It has what the person said, the tier of that, the student's scores, and how it was drawn."""
    reviewing = drawn(path)
    reviewing.save(FILTER, [review(3, "ann", 8, "so\n<b>much</b>", wonder=0)])
    (record,) = reviewing.reviews(FILTER)
    assert record.oracle.name.startswith("human/ann//")
    assert record.oracle_scores == dict.fromkeys(NAMES, 8) | {"wonder": 0}
    assert record.reasoning == "so\n<b>much</b>"
    assert record.oracle_tier == "impact"
    assert record.student_tier == STUDENT_TIER
    assert record.label_hash == FILTER.label_hash
    assert (record.status, record.usage, record.reused) == ("labelled", None, False)


def test_what_cannot_be_judged_is_refused(path: Path) -> None:
    """It has no scores, and is not asked for again."""
    reviewing = drawn(path)
    refused = review(3, "ann")._replace(judgement=Judgement(None, "no idea"))
    reviewing.save(FILTER, [refused])
    (record,) = reviewing.reviews(FILTER)
    assert (record.status, record.oracle_scores, record.reasoning) == ("refused", None, "no idea")
    assert reviewing.progress(FILTER, "ann")[0] == 1
    assert reviewing.report(FILTER).reviewers == {"ann": (0, 1)}


def test_reviews_are_stored_all_or_none(path: Path) -> None:
    """One that is of no sample, or says something else than before, stops all of the file."""
    reviewing = drawn(path, size=40)
    assert reviewing.save(FILTER, [review(1, "ann"), review(2, "ann")]) == (2, 0)
    for wrong in (review(99, "ann"), review(1, "ann", 7), review(3, "ann", 7)):
        with pytest.raises(InvalidReview, match=wrong.where):
            reviewing.save(FILTER, [review(3, "ann"), wrong, review(4, "ann")])
        assert len(reviewing.reviews(FILTER)) == 2
    assert reviewing.save(FILTER, [review(1, "ann"), review(1, "bob", 7)]) == (1, 1)


def test_a_process_that_is_killed_leaves_all_reviews_or_none(path: Path) -> None:
    """Between two rows of one transaction."""
    reviewing = drawn(path, size=40)
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert reviewing.reviews(FILTER) == []
    assert reviewing.save(FILTER, [review(number, "ann") for number in range(6)]) == (6, 0)


def test_two_people_and_the_collector_write_at_the_same_time(path: Path) -> None:
    """Each waits a moment for the others; nobody's review is lost, or stored as another's."""
    with open_store(path) as writer:
        reviewing = Reviewing(ReviewStore(path))
        sample = reviewing.draw(FILTER, SampleWanted(20, reviews=2, seed="s"))
        errors: list[BaseException] = []

        def work(name: str, score: int) -> None:
            try:
                while (task := reviewing.next_task(FILTER, name)) is not None:
                    number = int(task.scored.article.id[1:])
                    reviewing.save(FILTER, [review(number, name, score)])
            except BaseException as error:  # noqa: BLE001 - told below
                errors.append(error)

        people = [threading.Thread(target=work, args=pair) for pair in (("ann", 3), ("bob", 8))]
        for person in people:
            person.start()
        for number in range(100, 130):
            writer.write(list(article_rows(number, 5.0)), {("articles.raw", 0): number})
        for person in people:
            person.join()
    records = reviewing.reviews(FILTER)
    assert errors == []
    assert len(records) == 2 * len(sample.tasks) > 30
    scores = {"ann": 3, "bob": 8}
    assert all(
        record.oracle_scores == dict.fromkeys(NAMES, scores[record.oracle.model])
        for record in records
    )


def test_retention_leaves_reviews_and_the_articles_they_are_about(path: Path) -> None:
    """Years later the report, the export and the rest of the sample are what they were."""
    with open_store(path) as writer:
        reviewing = Reviewing(ReviewStore(path))
        reviewing.draw(FILTER, SampleWanted(40, seed="s"))
        reviewing.save(FILTER, [review(number, "ann") for number in range(12)])
        before = reviewing.report(FILTER)
        retention = Retention(1_000, 10**12)
        while remove_expired(writer, path, retention, START_MS + 10**12):
            pass
        assert writer.connection.execute("SELECT count(*) FROM texts").fetchone() == (0,)
    assert reviewing.report(FILTER) == before
    assert {item.content for item in reviewing.reviews_with_text(FILTER)} == {
        content(number) for number in range(12)
    }
    assert reviewing.next_task(FILTER, "ann") is not None


def test_a_label_that_comes_after_the_draw_is_compared_too(path: Path) -> None:
    """It is copied with the review, and outlives the store's own."""
    with open_store(path, labels=0) as writer:
        reviewing = Reviewing(ReviewStore(path))
        reviewing.draw(FILTER, SampleWanted(40, seed="s"))
        writer.write(list(article_rows(7, 5.7, oracle=9)), {})
        reviewing.save(FILTER, [review(7, "ann")])
    kinds = {item.first.kind for item in reviewing.report(FILTER).comparisons}
    assert kinds == {"oracle", "student"}


def test_reviews_of_another_prompt_are_not_mixed_in(path: Path) -> None:
    """Their scores mean something else, as those of any oracle."""
    reviewing = drawn(path, size=40)
    reviewing.save(FILTER, [review(1, "ann")])
    other = type(FILTER)(FILTER.definition, FILTER.prompt + " More.", FILTER.folder)
    assert reviewing.reviews(other) == []
    assert reviewing.next_task(other, "ann") is None
    with pytest.raises(InvalidReview, match="no sample"):
        reviewing.save(other, [review(2, "ann")])


def test_a_missing_store_or_another_file_is_said(path: Path) -> None:
    """Nothing is made in its place."""
    reviewing = Reviewing(ReviewStore(path))
    with pytest.raises(StoreFailed, match="newsieve serve"):
        reviewing.reviews(FILTER)
    assert not path.exists()
    path.write_bytes(b"no database at all, but long enough for one" * 100)
    with pytest.raises(StoreFailed, match="not a database"):
        reviewing.reviews(FILTER)


def test_a_store_that_stays_locked_is_said(path: Path) -> None:
    """Whoever reviews waits for others to have written, but not for ever."""
    drawn(path, size=40)
    reviewing = Reviewing(ReviewStore(path, wait_seconds=0.05))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert reviewing.next_task(FILTER, "ann") is not None  # who reads does not wait
    with pytest.raises(StoreFailed, match="locked"):
        reviewing.save(FILTER, [review(1, "ann")])
    other.execute("ROLLBACK")
    other.close()
    assert reviewing.save(FILTER, [review(1, "ann")]) == (1, 0)
