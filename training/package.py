"""package: the student folder that a worker loads, if the student is good enough to ship."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.card import model_card
from training.errors import GateFailed, RunInvalid
from training.evaluate import CROSS_VALIDATION, inputs_now
from training.evaluate import STAGE as EVALUATE
from training.fit import FINAL, checkpoint, tokeniser_of
from training.predict import load_forward
from training.recipe import Gate, Recipe
from training.run import Row, Run, read_jsonl, write_jsonl, write_text
from worker.engine.manifest import (
    ADAPTER,
    ADAPTER_CONFIG,
    BASELINE,
    CANARIES,
    MANIFEST,
    MODEL_CARD,
    TOKENIZER,
    BaseName,
    Manifest,
)
from worker.engine.model import base_location
from worker.rules.catalogue import Filter, load
from worker.rules.sampling import LOW, SURFACED

CANARY_TEXTS: Final = Path(__file__).parent / "canaries.jsonl"
OPTIONAL_TOKENIZER_FILES: Final = ("tokenizer_config.json", "special_tokens_map.json")


def package(run: Run, folder: Path, failed_gate_reason: str | None = None) -> Path:
    """Write the student folder, all of it or nothing.

    Raises GateFailed, unless a reason is given, which then stands in the model card; RunInvalid
    when the student was not judged, or not as it and its filter now are.
    """
    recipe, filter_ = run.recipe, load(run.recipe.filter)
    if run.facts.get("label_hash") != filter_.label_hash:
        raise RunInvalid(
            f"the labels of {filter_.reference} mean something else than when they were prepared "
            "(dimensions, prompt or rendering): have them labelled again, and run "
            "`newsieve-train prepare`"
        )
    if run.require(EVALUATE) != inputs_now(run, filter_):
        raise RunInvalid(
            "the student or its filter has changed since it was judged: run "
            f"`newsieve-train evaluate {run.folder}` again"
        )
    metrics = json.loads(run.path("metrics.json").read_bytes())
    judged = CROSS_VALIDATION if CROSS_VALIDATION in metrics else "test"
    failures = gate_failures(recipe.gate, metrics[judged])
    if failures and failed_gate_reason is None:
        raise GateFailed(
            f"the student is not good enough to ship: {'; '.join(failures)}. To ship it all the "
            'same, give --allow-failed-gate "reason"'
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise GateFailed(f"{folder} is not empty and holds no student: it would be deleted")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _copy_model(run, recipe, partial)
    manifest = _manifest(run, recipe, filter_, metrics)
    write_text(partial / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    write_jsonl(partial / CANARIES, _canaries(run, recipe, filter_))
    write_jsonl(partial / BASELINE, _baseline(run, judged, filter_))
    card = model_card(manifest, recipe, metrics[judged], judged, failures, failed_gate_reason)
    write_text(partial / MODEL_CARD, card)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return folder


def gate_failures(gate: Gate, metrics: dict[str, Any]) -> list[str]:
    """What keeps this student from being shipped, in words."""
    student, words = metrics["student"], metrics["tf_idf"]
    failures = []
    if student["mae"] > gate.mae:
        failures.append(f"mean absolute error {student['mae']} above {gate.mae}")
    for name in ("spearman", "tier_agreement", "surfaced_agreement"):
        wanted = getattr(gate, name)
        if wanted is not None and student[name] < wanted:
            failures.append(f"{name.replace('_', ' ')} {student[name]} below {wanted}")
    if student["mae"] > words["mae"]:
        failures.append(f"TF-IDF with ridge does better ({words['mae']})")
    return failures


def _copy_model(run: Run, recipe: Recipe, folder: Path) -> None:
    for name in (ADAPTER, ADAPTER_CONFIG):
        shutil.copyfile(checkpoint(run, FINAL) / name, folder / name)
    base = Path(base_location(recipe.base.name))
    for name in (TOKENIZER, *OPTIONAL_TOKENIZER_FILES):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def _manifest(run: Run, recipe: Recipe, filter_: Filter, metrics: dict[str, Any]) -> Manifest:
    facts, today = run.facts, dt.datetime.now(dt.UTC).date().isoformat()
    return Manifest(
        format=1,
        filter=filter_.name,
        filter_version=filter_.definition.version,
        label_hash=filter_.label_hash,
        dimensions=list(filter_.definition.dimension_names),
        base=BaseName(name=recipe.base.name, revision=recipe.base.revision),
        pooling=recipe.base.pooling,
        head_bias=recipe.base.head_bias,
        max_tokens=recipe.base.max_tokens,
        trainable_parameters=facts["trainable_parameters"],
        training={**recipe.model_dump(mode="json"), "packaged_on": today},
        data={key: facts["data"][key] for key in ("rows", "hashes", "oracles", "tiers")},
        seeds=[recipe.fit.seed],
        versions=facts["versions"],
        metrics=metrics,
    )


def _canaries(run: Run, recipe: Recipe, filter_: Filter) -> Iterator[Row]:
    """Texts written for the purpose, with this machine's raw scores."""
    forward = load_forward(recipe, checkpoint(run, FINAL), run.facts["trainable_parameters"])
    names = filter_.definition.dimension_names
    rows = list(read_jsonl(CANARY_TEXTS))
    tokens = tokeniser_of(recipe).encode([row["text"] for row in rows])
    for row, item in zip(rows, tokens, strict=True):
        scores = forward([item.ids])[0].tolist()
        named = {name: round(score, 6) for name, score in zip(names, scores, strict=True)}
        yield {**row, "scores": named}


def _baseline(run: Run, judged: str, filter_: Filter) -> Iterator[Row]:
    """Out-of-sample pairs, numbers only: what the drift monitor measures against."""
    published = set(filter_.definition.published_tiers)
    pairs = list(read_jsonl(run.path("predictions", f"{judged}.jsonl")))
    names = filter_.definition.dimension_names
    scores = np.array([[pair["student"][name] for name in names] for pair in pairs])
    tiers = filter_.tiering.decide(scores, [pair["content_rules"] for pair in pairs]).tier
    for pair, tier in zip(pairs, tiers, strict=True):
        yield {
            "stratum": SURFACED if tier in published else LOW,
            "purpose": "reference",
            "pi": 1,
            "student": pair["student"],
            "oracle": pair["oracle"],
        }
