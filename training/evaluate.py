"""evaluate: how good the student is on articles it was not trained on, beside two baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training import baselines
from training.fit import FINAL, checkpoint, fold_name
from training.metrics import quality
from training.predict import load_forward, predict
from training.prepare import content_rules, label_scores
from training.run import Row, Run, hash_of, write_json, write_jsonl
from worker.rules.catalogue import Filter, load

STAGE: Final = "evaluate"
CROSS_VALIDATION: Final = "cross_validation"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Judged:
    """Rows that one student never saw, and the rows it was trained on."""

    split: str
    checkpoint: str
    rows: Sequence[Row]
    training: Sequence[Row]


def evaluate(run: Run) -> bool:
    """Judge the run's student. Returns False when that was done already."""
    recipe, filter_ = run.recipe, load(run.recipe.filter)
    inputs = inputs_now(run, filter_)
    if run.inputs_of(STAGE) == inputs:
        return False
    rows: dict[str, list[Row]] = {}
    scores: dict[str, dict[str, list[Floats]]] = {}
    for part in _parts(run, filter_):
        forward = load_forward(
            recipe, checkpoint(run, part.checkpoint), run.facts["trainable_parameters"]
        )
        labels = label_scores(part.training, filter_)
        texts = [row["text"] for row in part.training]
        found = {
            "student": predict(recipe, forward, part.rows),
            "mean": baselines.mean(labels, len(part.rows)),
            "tf_idf": baselines.tf_idf(texts, labels, [row["text"] for row in part.rows]),
        }
        rows.setdefault(part.split, []).extend(part.rows)
        for name, values in found.items():
            scores.setdefault(part.split, {}).setdefault(name, []).append(values)
    metrics = {
        split: {
            name: _quality(filter_, np.concatenate(values), rows[split], recipe.split.seed)
            for name, values in scores[split].items()
        }
        for split in rows
    }
    for split, members in rows.items():
        student = np.concatenate(scores[split]["student"])
        write_jsonl(run.path("predictions", f"{split}.jsonl"), _pairs(members, student, filter_))
    write_json(run.path("metrics.json"), metrics)
    run.record(STAGE, inputs)
    return True


def inputs_now(run: Run, filter_: Filter) -> str:
    """What a judgement rests on: the student, and the filter that makes tiers of its scores."""
    return hash_of(run.require("fit"), filter_.filter_hash)


def _parts(run: Run, filter_: Filter) -> Iterator[_Judged]:
    train = _rows(run, "train", filter_)
    if run.recipe.split.kind == CROSS_VALIDATION:
        for fold in range(run.recipe.split.folds):
            judged = [row for row in train if row["fold"] == fold]
            seen = [row for row in train if row["fold"] != fold]
            yield _Judged(CROSS_VALIDATION, fold_name(fold), judged, seen)
        return
    for split in ("validation", "test"):
        yield _Judged(split, FINAL, _rows(run, split, filter_), train)


def _rows(run: Run, split: str, filter_: Filter) -> list[Row]:
    """A split's rows with the rules they meet now: those may have changed since prepare."""
    rows = run.rows(split)
    rules = content_rules(rows, filter_)
    return [{**row, "content_rules": met} for row, met in zip(rows, rules, strict=True)]


def _quality(filter_: Filter, scores: Floats, rows: Sequence[Row], seed: int) -> dict[str, Any]:
    rules = [row["content_rules"] for row in rows]
    return quality(filter_, scores, label_scores(rows, filter_), rules, seed)


def _pairs(rows: Sequence[Row], student: Floats, filter_: Filter) -> Iterator[Row]:
    names = filter_.definition.dimension_names
    for row, scores in zip(rows, student.tolist(), strict=True):
        yield {
            "id": row["id"],
            "content_rules": row["content_rules"],
            "oracle": row["scores"],
            "student": dict(zip(names, scores, strict=True)),
        }
