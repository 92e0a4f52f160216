"""Turns the records of a sample's articles and of reviews into what is compared, exported and shown
to reviewers.

It knows neither the store nor files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from newsieve.errors import DecodeError, InputFileInvalid
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import as_content
from newsieve.records.json_lines import numbered, read_object
from newsieve.review.judgement import tier_of
from newsieve.review.report import ORACLE, STUDENT, Rater, Rating
from newsieve.review.task_files import Task
from newsieve.validation_text import validation_message
from newsieve_schemas.label_row import LabelLine, LabelRow, OracleLabel
from newsieve_schemas.oracle import HUMAN, LABELLED, OracleScore
from newsieve_schemas.scored import ScoredArticle

MONITOR = "monitor"


class ReviewWithText(NamedTuple):
    """A review with the rendered content of the article that it is about."""

    record: OracleScore
    content: str | None


class FileLabel(NamedTuple):
    """An oracle's label in a file of labels: the oracle key's name, and the scores."""

    oracle: str
    scores: Mapping[str, int]


def scored_article(record: bytes) -> ScoredArticle | None:
    """Return the ScoredArticle in a record; None where it is none, or has no scores."""
    try:
        scored = ScoredArticle.model_validate_json(record)
    except ValidationError:
        return None
    return scored if scored.scores is not None else None


def oracle_score(record: bytes | None) -> OracleScore | None:
    """Return the OracleScore in a record; None where it is none, or has no label."""
    if record is None:
        return None
    try:
        score = OracleScore.model_validate_json(record)
    except ValidationError:
        return None
    return score if score.status == LABELLED and score.oracle_scores is not None else None


def ratings(
    filter_: Filter,
    scored: ScoredArticle,
    label: OracleScore | None,
    reviews: Iterable[OracleScore],
    file_labels: Sequence[FileLabel] = (),
) -> dict[Rater, Rating]:
    """Return what student, oracles and people say of an article. Scores of other dimensions than
    the filter's are left out."""
    names = filter_.definition.dimension_names
    found: dict[Rater, Rating] = {}

    def add(
        rater: Rater, scores: Mapping[str, float] | None, tier: str | None, pi: float | None
    ) -> None:
        if scores is not None and scores.keys() == set(names):
            found[rater] = Rating([scores[name] for name in names], tier, pi)

    add(Rater(STUDENT, scored.student), scored.scores, scored.tier, 1.0)
    if label is not None:
        pi = label.effective_pi if label.sampling.purpose == MONITOR else None
        add(Rater(ORACLE, label.oracle.name), label.oracle_scores, label.oracle_tier, pi)
    for item in file_labels:
        tier = tier_of(filter_, dict(item.scores), scored.content_rules)
        add(Rater(ORACLE, item.oracle), item.scores, tier, 1.0)
    for review in reviews:
        add(Rater(HUMAN, review.oracle.model), review.oracle_scores, review.oracle_tier, 1.0)
    return found


def task_of(scored: ScoredArticle, content: str | None) -> Task:
    """Return a sample's article as reviewers are given it."""
    return Task(scored.article, content)


def label_rows(reviews: Iterable[ReviewWithText]) -> Iterator[LabelRow]:
    """Yield a line of a label file for each review, also for those of what cannot be judged."""
    for record, content in reviews:
        label = None
        if record.oracle_scores is not None:
            label = OracleLabel(
                oracle=record.oracle.name,
                scored_at=record.labelled_at,
                scores=record.oracle_scores,
            )
        yield LabelRow(
            **record.article.model_dump(),
            content=content and as_content(content),
            filter=record.filter,
            filter_version=record.filter_version,
            label_hash=record.label_hash,
            status=record.status,
            suspect=record.suspect,
            oracle_scores=label,
            reasoning=record.reasoning,
            failure=record.failure,
            oracle_key=record.oracle,
        )


def judged_articles(
    reviews: Iterable[ReviewWithText], fewest_reviews: int
) -> Iterator[dict[str, Any]]:
    """Yield each article that so many people or more have scored, as ingestion would send it: once,
    without a label. Of two texts of one article the later reviewed one counts."""
    articles: dict[str, ReviewWithText] = {}
    counts: dict[str, int] = {}
    for review in reviews:
        if review.record.status == LABELLED:
            article = review.record.article
            counts[article.content_hash] = counts.get(article.content_hash, 0) + 1
            articles[article.id] = review
    for record, content in articles.values():
        if counts[record.article.content_hash] >= fewest_reviews:
            fields = record.article.model_dump(exclude={"content_hash"})
            yield {**fields, "content": content and as_content(content)}


def file_labels(name: str, lines: Iterable[bytes], filter_: Filter) -> dict[str, list[FileLabel]]:
    """Return an oracle's labels in a file of `newsieve oracle label`, by the hash of the text;
    lines without a label, or of another filter, are passed over. Raises InputFileInvalid."""
    found: dict[str, list[FileLabel]] = {}
    for number, line in numbered(lines):
        try:
            label = LabelLine(read_object(line))
            if label.has_no_label or label.filter_name != filter_.name:
                continue
            row = label.label_of_article()
        except DecodeError as error:
            raise InputFileInvalid(f"{name}, line {number}: {error}") from None
        except ValidationError as error:
            message = validation_message(error)
            raise InputFileInvalid(f"{name}, line {number}: no label row: {message}") from None
        if not filter_.is_label_of(row.label_hash, row.title, row.content):
            raise InputFileInvalid(
                f"{name}, line {number}: labelled for another version of {filter_.name}"
            )
        if row.oracle_scores is not None:
            label_of_file = FileLabel(row.oracle_key.name, row.oracle_scores.scores)
            found.setdefault(row.content_hash, []).append(label_of_file)
    return found
