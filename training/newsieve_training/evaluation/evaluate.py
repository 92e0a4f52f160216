"""evaluate: measures the student on articles it was not trained on, beside three baselines.

With cross-validation every article is evaluated by the student that never saw it, and so are the
baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.inference.scorer import Tokens
from newsieve_training.data.label_aggregation import decided, label_scores
from newsieve_training.data.split import TEST, TRAIN, VALIDATION
from newsieve_training.evaluation import baselines
from newsieve_training.evaluation.metrics import quality, without_ranks
from newsieve_training.evaluation.predict import load_embedder, load_forward, predict, tokens_of
from newsieve_training.evaluation.results import (
    STUDENT,
    Metrics,
    Quality,
    SliceQuality,
    WorstArticle,
)
from newsieve_training.evaluation.slices import slices_of, worst_of
from newsieve_training.fit.epochs import FINAL
from newsieve_training.fit.stage import checkpoint, fold_name
from newsieve_training.pipeline.files import Row, read_jsonl, write_jsonl
from newsieve_training.pipeline.graph import EVALUATE, FIT
from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, require_up_to_date, run_stage

MEAN: Final = "mean"
RAW_DECIMALS: Final = 6

Floats = npt.NDArray[np.float64]
Scores = dict[str, Floats]
Known = TypeVar("Known")


def evaluate(run: Run) -> bool:
    """Judge the run's student. Returns False when that was done already."""
    return run_stage(run, EVALUATE, lambda workspace: _write(run, workspace))


def test_split(run: Run) -> str:
    """Name the split whose figures are the student's: no weights were trained on it, nor chosen
    by it. With cross-validation the same articles say which calibration curves are kept."""
    return CROSS_VALIDATION if run.recipe.split.kind == CROSS_VALIDATION else TEST


def selection_split(run: Run) -> str:
    """Name the split that may choose the epoch, the calibration and the residuals."""
    return CROSS_VALIDATION if run.recipe.split.kind == CROSS_VALIDATION else VALIDATION


def source_split(name: str) -> str:
    """Name the data file that holds the articles of an evaluated split."""
    return TRAIN if name == CROSS_VALIDATION else name


@dataclass(frozen=True)
class Evaluated:
    """The articles of a split as they were evaluated: (N, D) labels, raw and rounded scores."""

    rows: Sequence[Row]
    rules: Sequence[Sequence[str]]
    oracle: Floats
    raw: Floats
    student: Floats

    def only(self, indices: npt.NDArray[np.intp]) -> Evaluated:
        rows, rules = [self.rows[i] for i in indices], [self.rules[i] for i in indices]
        return Evaluated(
            rows, rules, self.oracle[indices], self.raw[indices], self.student[indices]
        )


def evaluated(run: Run, name: str, filter_: Filter) -> Evaluated:
    """Read the articles of a split with the scores that `evaluate` predicted for them."""
    rows = decided(run.rows(source_split(name)), filter_)
    raw = np.array([row["raw"] for row in read_jsonl(run.path("predictions", f"{name}.jsonl"))])
    rules = [row["content_rules"] for row in rows]
    return Evaluated(rows, rules, label_scores(rows, filter_), raw, round_scores(raw))


def _write(run: Run, workspace: StageWorkspace) -> Mapping[str, Any]:
    work, judging = _Evaluation(run), test_split(run)
    by_split = {name: work.scores(name) for name in dict.fromkeys([selection_split(run), judging])}
    metrics = Metrics(
        judged_on=judging,
        quality={name: work.quality(name, scores) for name, scores in by_split.items()},
        slices=work.slices(judging, by_split[judging]),
        worst=work.worst(judging, by_split[judging]),
    )
    metrics.write(workspace.out)
    for name, scores in by_split.items():
        write_jsonl(workspace.out / "predictions" / f"{name}.jsonl", work.rows(name, scores))
    return {}


class _Evaluation:
    """Scores the articles of a run by students and baselines, and computes their figures."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._recipe = run.recipe
        self._filter = run.filter
        self._parameters = require_up_to_date(run, FIT)["trainable_parameters"]
        self._articles: dict[str, list[Row]] = {}
        self._tokens: dict[str, list[Tokens]] = {}
        self._embedded = self._embeddings()

    def scores(self, name: str) -> Scores:
        """Return (N, D) raw scores of the student and rounded ones of the baselines, in the
        order of the data."""
        if name != CROSS_VALIDATION:
            everything = np.arange(len(self._rows(name)))
            return self._judge(FINAL, np.arange(len(self._rows(TRAIN))), name, everything)
        folds = np.array([row["fold"] for row in self._rows(TRAIN)])
        scores: Scores = {}
        for fold in range(self._recipe.split.folds):
            inside = np.flatnonzero(folds == fold)
            part = self._judge(fold_name(fold), np.flatnonzero(folds != fold), TRAIN, inside)
            for key, values in part.items():
                scores.setdefault(key, np.zeros((len(folds), values.shape[1])))[inside] = values
        return scores

    def _judge(
        self,
        adapter: str,
        seen: npt.NDArray[np.intp],
        name: str,
        unseen: npt.NDArray[np.intp],
    ) -> Scores:
        """Score unseen articles by one student and by baselines fitted on the same articles."""
        folder = checkpoint(self._run, adapter)
        forward = load_forward(self._recipe, self._filter, folder, self._parameters)
        trained_on = [self._rows(TRAIN)[index] for index in seen]
        labels = label_scores(trained_on, self._filter)
        texts = [row["text"] for row in trained_on]
        wanted = [self._rows(name)[index]["text"] for index in unseen]
        tokens = self._tokens_of(name)
        return {
            STUDENT: predict(forward, [tokens[index] for index in unseen], f"scoring {name}"),
            MEAN: baselines.mean(labels, len(unseen)),
            "tf_idf": baselines.tf_idf(texts, labels, wanted),
            "frozen_base": baselines.frozen_base(
                self._embedded[TRAIN][seen], labels, self._embedded[name][unseen]
            ),
        }

    def quality(self, name: str, scores: Scores) -> dict[str, Quality]:
        rows, seed = self._rows(source_split(name)), self._recipe.split.seed
        rules, oracle = [row["content_rules"] for row in rows], label_scores(rows, self._filter)
        by_scorer = {
            key: quality(self._filter, round_scores(values), oracle, rules, seed)
            for key, values in scores.items()
        }
        return {**by_scorer, MEAN: without_ranks(by_scorer[MEAN])}

    def slices(self, name: str, scores: Scores) -> dict[str, dict[str, SliceQuality]]:
        rows = self._rows(source_split(name))
        lengths = [len(item.ids) for item in self._tokens_of(source_split(name))]
        student = round_scores(scores[STUDENT])
        return slices_of(self._filter, rows, lengths, student, label_scores(rows, self._filter))

    def worst(self, name: str, scores: Scores) -> list[WorstArticle]:
        rows = self._rows(source_split(name))
        student = round_scores(scores[STUDENT])
        return worst_of(self._filter, rows, student, label_scores(rows, self._filter))

    def rows(self, name: str, scores: Scores) -> Iterator[Row]:
        """Yield the rows of the predictions file, in the order of the data."""
        names = self._filter.definition.dimension_names
        raw, student = scores[STUDENT], round_scores(scores[STUDENT]).tolist()
        for index, row in enumerate(self._rows(source_split(name))):
            yield {
                "id": row["id"],
                "content_rules": row["content_rules"],
                "oracle": row["scores"],
                "student": dict(zip(names, student[index], strict=True)),
                "raw": raw[index].round(RAW_DECIMALS).tolist(),
            }

    def _rows(self, name: str) -> list[Row]:
        """Return a split's rows with the rules they meet now, which `prepare` cannot know."""
        return self._once(self._articles, name, lambda: decided(self._run.rows(name), self._filter))

    def _tokens_of(self, name: str) -> list[Tokens]:
        return self._once(
            self._tokens,
            name,
            lambda: tokens_of(self._recipe, [row["text"] for row in self._rows(name)]),
        )

    def _embeddings(self) -> dict[str, Floats]:
        """Return the base's hidden states of all articles, and free the base's memory."""
        splits = (TRAIN, selection_split(self._run), test_split(self._run))
        embedder = load_embedder(self._recipe)
        return {
            name: predict(embedder, self._tokens_of(name), f"base model on {name}")
            for name in dict.fromkeys(map(source_split, splits))
        }

    @staticmethod
    def _once(known: dict[str, Known], name: str, make: Callable[[], Known]) -> Known:
        if name not in known:
            known[name] = make()
        return known[name]
