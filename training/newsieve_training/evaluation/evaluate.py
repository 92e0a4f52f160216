"""evaluate: how good the student is on articles it was not trained on, beside three baselines.

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
from newsieve_training.evaluation.metrics import quality, unranked
from newsieve_training.evaluation.predict import load_embedder, load_forward, predict, tokens_of
from newsieve_training.evaluation.slices import slices_of, worst_of
from newsieve_training.fit.stage import FINAL, checkpoint, fold_name
from newsieve_training.pipeline.files import Row, read_jsonl, write_json, write_jsonl
from newsieve_training.pipeline.graph import EVALUATE, FIT
from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, require_up_to_date, run_stage

STUDENT: Final = "student"
MEAN: Final = "mean"
RAW_DECIMALS: Final = 6

Floats = npt.NDArray[np.float64]
Scores = dict[str, Floats]
Known = TypeVar("Known")


def evaluate(run: Run) -> bool:
    """Judge the run's student. Returns False when that was done already."""
    return run_stage(run, EVALUATE, lambda place: _make(run, place))


def test_split(run: Run) -> str:
    """The split whose figures are the student's: no weights were trained on it, nor chosen by it.
    With cross-validation the same articles say which calibration curves are kept."""
    return CROSS_VALIDATION if run.recipe.split.kind == CROSS_VALIDATION else TEST


def selection_split(run: Run) -> str:
    """The split that may choose: epochs, calibration, residuals."""
    return CROSS_VALIDATION if run.recipe.split.kind == CROSS_VALIDATION else VALIDATION


def source_split(name: str) -> str:
    """The data file that holds the articles of a evaluated split."""
    return TRAIN if name == CROSS_VALIDATION else name


@dataclass(frozen=True)
class Evaluated:
    """A split's articles as they were evaluated: (N, D) labels, raw and rounded scores."""

    rows: Sequence[Row]
    rules: Sequence[Sequence[str]]
    oracle: Floats
    raw: Floats
    student: Floats

    def only(self, at: npt.NDArray[np.intp]) -> Evaluated:
        rows, rules = [self.rows[index] for index in at], [self.rules[index] for index in at]
        return Evaluated(rows, rules, self.oracle[at], self.raw[at], self.student[at])


def evaluated(run: Run, name: str, filter_: Filter) -> Evaluated:
    """What `evaluate` found about a split."""
    rows = decided(run.rows(source_split(name)), filter_)
    found = list(read_jsonl(run.path("predictions", f"{name}.jsonl")))
    raw = np.array([row["raw"] for row in found])
    rules = [row["content_rules"] for row in rows]
    return Evaluated(rows, rules, label_scores(rows, filter_), raw, round_scores(raw))


def _make(run: Run, place: StageWorkspace) -> Mapping[str, Any]:
    work = _Evaluation(run)
    found = {
        name: work.scores(name) for name in dict.fromkeys([selection_split(run), test_split(run)])
    }
    metrics = {name: work.quality(name, scores) for name, scores in found.items()}
    for name, scores in found.items():
        write_jsonl(place.out / "predictions" / f"{name}.jsonl", work.rows(name, scores))
    name = test_split(run)
    write_json(
        place.out / "metrics.json",
        {
            "judged_on": name,
            "quality": metrics,
            "slices": work.slices(name, found[name]),
            "worst": work.worst(name, found[name]),
        },
    )
    return {}


class _Evaluation:
    """The articles of a run with what students and baselines make of them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._recipe = run.recipe
        self._filter = run.filter
        self._parameters = require_up_to_date(run, FIT)["trainable_parameters"]
        self._articles: dict[str, list[Row]] = {}
        self._tokens: dict[str, list[Tokens]] = {}
        self._embedded = self._embeddings()

    def scores(self, name: str) -> Scores:
        """(N, D) raw scores of the student and rounded ones of the baselines, in the data's
        order."""
        if name != CROSS_VALIDATION:
            everything = np.arange(len(self._rows(name)))
            return self._judge(FINAL, np.arange(len(self._rows(TRAIN))), name, everything)
        folds = np.array([row["fold"] for row in self._rows(TRAIN)])
        found: Scores = {}
        for fold in range(self._recipe.split.folds):
            inside = np.flatnonzero(folds == fold)
            part = self._judge(fold_name(fold), np.flatnonzero(folds != fold), TRAIN, inside)
            for key, values in part.items():
                found.setdefault(key, np.zeros((len(folds), values.shape[1])))[inside] = values
        return found

    def _judge(
        self,
        adapter: str,
        seen: npt.NDArray[np.intp],
        name: str,
        unseen: npt.NDArray[np.intp],
    ) -> Scores:
        """What one student, and baselines that saw the same training articles, make of others."""
        folder = checkpoint(self._run, adapter)
        forward = load_forward(self._recipe, self._filter, folder, self._parameters)
        trained_on = [self._rows(TRAIN)[at] for at in seen]
        labels = label_scores(trained_on, self._filter)
        texts = [row["text"] for row in trained_on]
        wanted = [self._rows(name)[at]["text"] for at in unseen]
        tokens = self._tokens_of(name)
        return {
            STUDENT: predict(forward, [tokens[at] for at in unseen], f"scoring {name}"),
            MEAN: baselines.mean(labels, len(unseen)),
            "tf_idf": baselines.tf_idf(texts, labels, wanted),
            "frozen_base": baselines.frozen_base(
                self._embedded[TRAIN][seen], labels, self._embedded[name][unseen]
            ),
        }

    def quality(self, name: str, scores: Scores) -> dict[str, Any]:
        rows, seed = self._rows(source_split(name)), self._recipe.split.seed
        rules, oracle = [row["content_rules"] for row in rows], label_scores(rows, self._filter)
        found = {
            key: quality(self._filter, round_scores(values), oracle, rules, seed)
            for key, values in scores.items()
        }
        return {**found, MEAN: unranked(found[MEAN])}

    def slices(self, name: str, scores: Scores) -> dict[str, Any]:
        rows = self._rows(source_split(name))
        lengths = [len(item.ids) for item in self._tokens_of(source_split(name))]
        student = round_scores(scores[STUDENT])
        return slices_of(self._filter, rows, lengths, student, label_scores(rows, self._filter))

    def worst(self, name: str, scores: Scores) -> list[Row]:
        rows = self._rows(source_split(name))
        student = round_scores(scores[STUDENT])
        return worst_of(self._filter, rows, student, label_scores(rows, self._filter))

    def rows(self, name: str, scores: Scores) -> Iterator[Row]:
        """The predictions file: in the data's order."""
        names = self._filter.definition.dimension_names
        raw, student = scores[STUDENT], round_scores(scores[STUDENT]).tolist()
        for at, row in enumerate(self._rows(source_split(name))):
            yield {
                "id": row["id"],
                "content_rules": row["content_rules"],
                "oracle": row["scores"],
                "student": dict(zip(names, student[at], strict=True)),
                "raw": raw[at].round(RAW_DECIMALS).tolist(),
            }

    def _rows(self, name: str) -> list[Row]:
        """A split's rows with the rules they meet now: those may have changed since prepare."""
        return self._once(self._articles, name, lambda: decided(self._run.rows(name), self._filter))

    def _tokens_of(self, name: str) -> list[Tokens]:
        return self._once(
            self._tokens,
            name,
            lambda: tokens_of(self._recipe, [row["text"] for row in self._rows(name)]),
        )

    def _embeddings(self) -> dict[str, Floats]:
        """What the base says of all articles; its memory is free again before a student's."""
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
