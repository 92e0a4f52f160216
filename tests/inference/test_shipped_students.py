"""The students in the repository are real: they reproduce their canaries and read the text."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from tokenizers import Tokenizer

import newsieve.demo
from newsieve.errors import RecordError
from newsieve.filters.article import Article
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.inference.student import Student, check_canaries, load_student, raw_scores
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from tests.support.filters import BUILTIN, load

DEMO = Path(newsieve.demo.__file__).parent
SHIPPED = [
    reference
    for reference in BUILTIN.references
    if (load(reference).student_folder / "student.json").is_file()
]
BUDGET_TOKENS = 2_048


def demo_articles() -> list[Article]:
    """The demo's readable articles."""
    policy = DecodePolicy(10**7, id_from_key=False)
    found = {}
    for line in (DEMO / "articles.jsonl").read_bytes().split(b"\n"):
        try:
            article = decode(RawRecord(line, None, None, None, {}), policy)
        except RecordError:
            continue
        found[article.id] = article
    return list(found.values())


def articles() -> dict[str, str]:
    """The demo's readable articles: id to text."""
    return {article.id: article.text for article in demo_articles()}


def labels(filter_: Filter) -> dict[str, list[float]]:
    """The demo's labels of one filter, by article id."""
    rows = map(json.loads, (DEMO / "labels.jsonl").read_text().splitlines())
    names = filter_.definition.dimension_names
    return {r["id"]: [r["scores"][n] for n in names] for r in rows if r["filter"] == filter_.name}


def score(student: Student, texts: Sequence[str]) -> np.ndarray:
    return round_scores(raw_scores(student, texts, BUDGET_TOKENS))


def test_the_demo_has_two_students() -> None:
    """uplifting and sustainability."""
    assert SHIPPED == ["sustainability/v1", "uplifting/v4"]


@pytest.mark.parametrize("reference", SHIPPED)
def test_a_shipped_student_reads_the_text(reference: str) -> None:
    """On labelled articles it never saw, other in kind and language than its training's, it beats
    the labels' mean and ranks as the oracle does; with the texts shuffled against the labels
    both are gone."""
    filter_ = load(reference)
    student = load_student(filter_, filter_.student_folder, dtype="fp32")
    check_canaries(student)
    texts, known = articles(), labels(filter_)
    assert set(known) == set(texts)
    oracle = np.array([known[name] for name in texts])
    weights = np.array([dimension.weight for dimension in filter_.definition.dimensions])

    scores = score(student, list(texts.values()))

    shuffled = scores[np.random.default_rng(0).permutation(len(scores))]
    mean_error = np.abs(oracle.mean(axis=0) - oracle).mean()
    assert np.abs(scores - oracle).mean() < 0.96 * mean_error
    assert np.abs(shuffled - oracle).mean() > mean_error
    assert spearmanr(scores @ weights, oracle @ weights).statistic > 0.35
    assert abs(spearmanr(shuffled @ weights, oracle @ weights).statistic) < 0.15


def scripts_of(texts: Iterable[str]) -> set[str]:
    """The first word of a letter's name: LATIN, CYRILLIC …"""
    letters = {letter for letter in "".join(texts) if letter.isalpha()}
    return {unicodedata.name(letter).split()[0] for letter in letters}


@pytest.mark.parametrize("reference", SHIPPED)
def test_canaries_have_every_script_of_the_vocabulary(reference: str) -> None:
    """And 8 % of its tokens, rare ones among them: what nobody scores, nobody sees change."""
    folder = load(reference).student_folder
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    lines = (folder / "canaries.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line)["text"] for line in lines if line]
    tokens = {token for text in texts for token in tokenizer.encode(text).ids}

    assert scripts_of(texts) >= scripts_of(tokenizer.get_vocab())
    assert len(tokens) > 0.08 * tokenizer.get_vocab_size()
