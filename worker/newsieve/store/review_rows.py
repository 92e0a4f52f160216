"""The rows of reviews: samples, the articles of a sample, and what a person said of one.

It knows neither tables nor what a record says.
"""

from __future__ import annotations

from typing import NamedTuple


class LabelledText(NamedTuple):
    """A scored text with an oracle's label: the bytes of both records."""

    content_hash: bytes
    record: bytes
    label: bytes


class NewItem(NamedTuple):
    """An article of a sample that is being stored. Reviewers are given the lowest `place` first."""

    content_hash: bytes
    pi: float | None
    place: float


class StoredSample(NamedTuple):
    """A sample: which articles of which filter it was drawn from, and how many there were.

    `reviews` is how many people are to review each of its articles; `since_ms` and `drawn_ms` are
    between which times the articles of the frame were scored.
    """

    id: int
    filter: str
    label_hash: str
    seed: str
    since_ms: int
    drawn_ms: int
    frame: int
    reviews: int


class ReviewItem(NamedTuple):
    """An article of a sample, as it was when it was drawn. `record` is its ScoredArticle, `label`
    an OracleScore, or None; `pi` is None where the disagreement was the reason to draw it."""

    id: int
    sample_id: int
    content_hash: bytes
    pi: float | None
    record: bytes
    label: bytes | None
    title: str | None
    content: str | None


class StoredReview(NamedTuple):
    """What a person said of an article: `record` is an OracleScore."""

    content_hash: bytes
    reviewer: str
    record: bytes


class NewReview(NamedTuple):
    """A review that is to be stored; `filter` and `label_hash` say what its scores mean."""

    filter: str
    label_hash: str
    content_hash: bytes
    reviewer: str
    record: bytes
