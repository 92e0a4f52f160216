"""A store with scored and labelled articles that people can review."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from newsieve.filters.article import Article
from newsieve.filters.rendering import content_hash, render
from newsieve.programs.reviewing.service import Reviewing, SampleWanted
from newsieve.review.judgement import judgement
from newsieve.review.records import task_of
from newsieve.review.task_files import FileReview, json_lines
from newsieve.store.reviews import ReviewStore
from newsieve.store.rows import Row, label_row, outcome_row, text_row
from newsieve.store.writer import StoreWriter
from tests.support.filters import load
from tests.support.scored_records import START_MS, identity, labelled, scored

FILTER = load("uplifting")
NAMES = FILTER.definition.dimension_names
STUDENT_TIER = "connection"


def title(number: int) -> str:
    return f"Village {number} opens its well"


def content(number: int) -> str:
    chance = random.Random(number)
    return " ".join(chance.choices(["well", "water", "street", "people", "town", "year"], k=30))


def hash_of(number: int) -> bytes:
    """Return the hash of an article's text, as the store has it."""
    text = render(title(number), content(number))
    return bytes.fromhex(content_hash(text).removeprefix("sha256:"))


def article_rows(
    number: int, student: float, oracle: int | None = None, **fields: Any
) -> Iterator[Row]:
    """Yield the rows of an article: text, outcome, and a label where the oracle gave one."""
    article = identity(title(number), content(number), id=f"a{number}")
    text = Article(
        article["id"], title(number), content(number), None, None, None, None, "",
        article["content_hash"], (),
    )  # fmt: skip
    meaning = {"label_hash": FILTER.label_hash, "filter_hash": FILTER.filter_hash}
    ms = fields.pop("ms", START_MS + number)
    yield text_row(text, ms)
    scores = dict.fromkeys(NAMES, student)
    yield outcome_row(scored(article, **{"scores": scores, "ms": ms, **meaning, **fields}))
    if oracle is not None:
        label = dict.fromkeys(NAMES, oracle)
        yield label_row(labelled(article, label, ms=ms + 1, student_scores=scores, **meaning))


@contextmanager
def open_store(path: Path, articles: int = 40, labels: int = 10) -> Iterator[StoreWriter]:
    """Make a store; the first articles are labelled, the n-th with a difference of n tenths."""
    writer = StoreWriter(path)
    try:
        for number in range(articles):
            is_labelled = number < labels
            rows = article_rows(number, 5 + number / 10, 5 if is_labelled else None)
            writer.write(list(rows), {})
        yield writer
    finally:
        writer.close()


def make_store(path: Path, articles: int = 40, labels: int = 10) -> Reviewing:
    with open_store(path, articles, labels):
        return Reviewing(ReviewStore(path))


def review(
    number: int, reviewer: str, score: int = 6, note: str | None = None, **scores: int
) -> FileReview:
    """Return a person's review of an article, with one score for all dimensions but some."""
    judged = judgement(dict.fromkeys(NAMES, score) | scores, note, FILTER)
    return FileReview(f"a{number}", hash_of(number), reviewer, judged)


def filled(line: Mapping[str, Any], score: int, **fields: Any) -> str:
    """Return a line of a sample's file with a score for all dimensions."""
    return json.dumps({**line, "scores": dict.fromkeys(NAMES, score), **fields})


def playground(folder: Path) -> None:
    """Make a store with a sample, newsieve.db, and a file in which somebody has reviewed it."""
    reviewing = make_store(folder / "newsieve.db")
    sample = reviewing.draw(FILTER, SampleWanted(20, reviews=2, seed="playground"))
    tasks = [task_of(task.scored, task.item.content) for task in sample.tasks]
    lines = [json.loads(line) for line in json_lines(tasks, FILTER).splitlines()]
    text = "".join(filled(line, 6) + "\n" for line in lines)
    (folder / "reviewed.jsonl").write_text(text)
