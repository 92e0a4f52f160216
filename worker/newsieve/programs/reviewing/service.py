"""Reviews, whoever asks for them, a page or a command: draws samples from the store, gives people
their articles, stores what they say, and makes the report.

It knows neither HTTP nor files.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from newsieve.errors import NeedsPerson
from newsieve.filters.registry import Filter
from newsieve.review.judgement import InvalidReview, Judgement, review_record, told
from newsieve.review.records import (
    FileLabel,
    ReviewWithText,
    oracle_score,
    ratings,
    scored_article,
)
from newsieve.review.report import (
    Comparison,
    Reliability,
    ReviewedArticle,
    comparisons,
    reliability,
)
from newsieve.review.sampling import disagreement, draw, starting_place
from newsieve.review.task_files import FileReview
from newsieve.store.review_rows import NewItem, NewReview, ReviewItem, StoredSample
from newsieve.store.reviews import ReviewStore
from newsieve.store.rows import EPOCH
from newsieve_schemas.oracle import LABELLED, OracleScore
from newsieve_schemas.scored import ScoredArticle

SEED_BYTES: Final = 6
POLICY_EPOCH: Final = "sample-{}"  # keys the draw, as in a record of sampling


def utc_time() -> dt.datetime:
    """Return the time in UTC, by the clock of this machine."""
    return dt.datetime.now(dt.UTC)


class NothingToReview(NeedsPerson):
    """No article can be drawn for people to review."""


class SampleWanted(NamedTuple):
    """Which sample is wanted: its size, the first time at which its articles were scored, and how
    many people are to review each; a seed of None is drawn."""

    size: int
    since_ms: int = 0
    reviews: int = 1
    seed: str | None = None


class ReviewTask(NamedTuple):
    """An article of a sample that a person can be given."""

    item: ReviewItem
    scored: ScoredArticle


class DrawnSample(NamedTuple):
    """A sample with its articles; `is_new` is False where one of this seed was there already."""

    sample: StoredSample
    tasks: list[ReviewTask]
    is_new: bool


class Saved(NamedTuple):
    """How many reviews are new, and how many were there already, in the same words."""

    new: int
    known: int


class SampleSummary(NamedTuple):
    """A sample, how many articles it has of each half, and how many of them are reviewed."""

    sample: StoredSample
    at_random: int
    by_disagreement: int
    reviewed: int


class ReviewReport(NamedTuple):
    """All that the reviews of one filter say. `reviewers` has for each person how many articles
    were scored, and how many could not be judged."""

    filter: Filter
    samples: list[SampleSummary]
    reviewers: dict[str, tuple[int, int]]
    comparisons: list[Comparison]
    reliability: list[Reliability]


class Reviewing:
    """Reviews of one store."""

    def __init__(self, store: ReviewStore, now: Callable[[], dt.datetime] = utc_time) -> None:
        """`now` gives the time, in UTC. Methods raise StoreFailed where there is no store."""
        self._store = store
        self._now = now
        self._taken_up: set[str] = set()  # filters

    def draw(self, filter_: Filter, wanted: SampleWanted) -> DrawnSample:
        """Draw a sample and store it; one with the same seed is returned as it is. Raises
        NothingToReview where no article can be drawn."""
        store, name, meaning = self._store, filter_.name, self._meaning(filter_)
        for sample in store.samples(name, meaning):
            if sample.seed == wanted.seed:
                return DrawnSample(sample, self._tasks(sample.id), is_new=False)
        seed = wanted.seed or secrets.token_hex(SEED_BYTES)
        drawn, frame = draw(
            store.scored_texts(name, meaning, wanted.since_ms),
            self._disagreements(filter_, wanted.since_ms),
            wanted.size,
            seed,
        )
        if not drawn:
            raise NothingToReview(
                f"the store has no article that {filter_.reference} scored in this time, with its "
                "text"
            )
        sample = StoredSample(
            id=0,
            filter=name,
            label_hash=meaning,
            seed=seed,
            since_ms=wanted.since_ms,
            drawn_ms=int((self._now() - EPOCH).total_seconds() * 1_000),
            frame=frame,
            reviews=wanted.reviews,
        )
        sample_id = store.add_sample(sample, [NewItem(*item) for item in drawn])
        # A record on a topic may be anybody's: one that is no ScoredArticle cannot be reviewed.
        store.remove_items(
            [item.id for item in store.items(sample_id) if scored_article(item.record) is None]
        )
        return DrawnSample(sample._replace(id=sample_id), self._tasks(sample_id), is_new=True)

    def next_task(self, filter_: Filter, reviewer: str) -> ReviewTask | None:
        """Return what a person is to review next, None when there is no more."""
        item = self._store.next_item(
            filter_.name, self._meaning(filter_), reviewer, starting_place(reviewer)
        )
        return _task(item) if item is not None else None

    def progress(self, filter_: Filter, reviewer: str) -> tuple[int, int]:
        """Return how many articles a person has reviewed, and how many are waiting for this one."""
        return self._store.progress(filter_.name, self._meaning(filter_), reviewer)

    def task_of(self, filter_: Filter, content_hash: bytes) -> ReviewTask | None:
        """Return a text as it is in the latest sample that has it, None where none has."""
        item = self._store.item_of_text(filter_.name, self._meaning(filter_), content_hash)
        return _task(item) if item is not None else None

    def save(self, filter_: Filter, reviews: Sequence[FileReview]) -> Saved:
        """Store reviews, all of them or none. What is there already in the same words changes
        nothing. Raises InvalidReview, which names each review that cannot be stored."""
        known = {
            (record.article.content_hash, record.oracle.model): _said(record)
            for record in self.reviews(filter_)
        }
        new: list[NewReview] = []
        errors: list[str] = []
        for review in reviews:
            task = self.task_of(filter_, review.content_hash)
            if task is None:
                errors.append(f"{review.where}: no sample in this store has this article")
                continue
            key = (task.scored.article.content_hash, review.reviewer)
            if known.setdefault(key, review.judgement) != review.judgement:
                errors.append(
                    f"{review.where}: {review.reviewer} has reviewed this article already, and "
                    "said something else"
                )
                continue
            new.append(self._new_review(filter_, task, review))
        if errors:
            raise InvalidReview(told(errors))
        are_new = self._store.add_reviews(new)
        return Saved(sum(are_new), len(are_new) - sum(are_new))

    def reviews(self, filter_: Filter) -> list[OracleScore]:
        """Return all reviews of a filter whose scores mean what they mean now, oldest first."""
        stored = self._store.reviews(filter_.name, self._meaning(filter_))
        return [OracleScore.model_validate_json(item.record) for item in stored]

    def reviews_with_text(self, filter_: Filter) -> list[ReviewWithText]:
        """Return all reviews of a filter, each with its article's content."""
        stored = self._store.reviews(filter_.name, self._meaning(filter_))
        texts = self._store.texts([item.content_hash for item in stored])
        return [
            ReviewWithText(
                OracleScore.model_validate_json(item.record), texts[item.content_hash][1]
            )
            for item in stored
        ]

    def report(
        self, filter_: Filter, file_labels: Mapping[str, Sequence[FileLabel]] | None = None
    ) -> ReviewReport:
        """Return what all reviews of a filter say. `file_labels` are more labels of oracles, by the
        hash of the text."""
        by_text: dict[str, list[OracleScore]] = {}
        reviewers: dict[str, tuple[int, int]] = {}
        for review in self.reviews(filter_):
            by_text.setdefault(review.article.content_hash, []).append(review)
            scored, refused = reviewers.get(review.oracle.model, (0, 0))
            is_scored = review.status == LABELLED
            reviewers[review.oracle.model] = (scored + is_scored, refused + (not is_scored))
        samples: list[SampleSummary] = []
        articles: list[ReviewedArticle] = []
        for sample in self._store.samples(filter_.name, self._meaning(filter_)):
            tasks = self._tasks(sample.id)
            reviewed = [task for task in tasks if task.scored.article.content_hash in by_text]
            at_random = sum(task.item.pi is not None for task in tasks)
            samples.append(SampleSummary(sample, at_random, len(tasks) - at_random, len(reviewed)))
            for item, article in reviewed:
                content_hash = article.article.content_hash
                said = ratings(
                    filter_,
                    article,
                    oracle_score(item.label),
                    by_text[content_hash],
                    (file_labels or {}).get(content_hash, ()),
                )
                articles.append(ReviewedArticle(sample.id, sample.frame, item.pi, said))
        names = filter_.definition.dimension_names
        return ReviewReport(
            filter_,
            samples,
            reviewers,
            comparisons(articles, names),
            reliability(articles, names),
        )

    def _meaning(self, filter_: Filter) -> str:
        """Return the filter's label hash. Before the first use of a filter, its samples and reviews
        that were made under earlier renderings are taken up: people read the same articles."""
        if filter_.reference not in self._taken_up:
            self._store.take_up(filter_.name, filter_.earlier_label_hashes, filter_.label_hash)
            self._taken_up.add(filter_.reference)
        return filter_.label_hash

    def _disagreements(self, filter_: Filter, since_ms: int) -> dict[bytes, float]:
        """Return how far oracle and student differ on each text that both have scored."""
        found: dict[bytes, float] = {}
        for text in self._store.labelled_texts(filter_.name, filter_.label_hash, since_ms):
            scored, label = scored_article(text.record), oracle_score(text.label)
            if scored is None or label is None:
                continue
            difference = disagreement(scored.scores or {}, label.oracle_scores or {})
            if difference is not None:
                found[text.content_hash] = difference
        return found

    def _tasks(self, sample_id: int) -> list[ReviewTask]:
        tasks = map(_task, self._store.items(sample_id))
        return [task for task in tasks if task is not None]

    def _new_review(self, filter_: Filter, task: ReviewTask, review: FileReview) -> NewReview:
        record = review_record(
            filter_,
            task.scored,
            review.reviewer,
            review.judgement,
            task.item.pi,
            POLICY_EPOCH.format(task.item.sample_id),
            self._now().isoformat(),
        )
        return NewReview(
            filter_.name,
            filter_.label_hash,
            review.content_hash,
            review.reviewer,
            record.model_dump_json().encode(),
        )


def _said(review: OracleScore) -> Judgement:
    scores = review.oracle_scores
    return Judgement(None if scores is None else dict(scores), review.reasoning)


def _task(item: ReviewItem) -> ReviewTask | None:
    scored = scored_article(item.record)
    return ReviewTask(item, scored) if scored is not None else None
