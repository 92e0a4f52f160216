"""fit: trains the adapter and the head, on this machine or, under torchrun, on several devices.

With a held-out split, the epoch that is best on validation leaves the run. With
cross-validation, one student a fold is trained to be judged, then the one to ship on all rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import save_file

from training.epochs import without_seconds
from training.files import file_hash, files_below, hash_of, write_json
from training.fitting import Adapter, Fitting
from training.gate import MAY_HAVE_SEEN
from training.machine import Machine, machine_facts
from training.model import is_head, read_adapter
from training.recipe import HOLDOUT
from training.run import Run
from training.split import TRAIN, VALIDATION
from training.stage import Workplace, assist, perform, require
from training.stages import FIT, PREPARE, START, start_of
from worker.engine.manifest import ADAPTER, Manifest, read_manifest
from worker.observe.logs import get_logger
from worker.rules.catalogue import load

_log = get_logger("fit")

FINAL: Final = "final"
TENSORBOARD: Final = "tensorboard"


def fold_name(fold: int) -> str:
    return f"fold-{fold}"


def checkpoint(run: Run, name: str) -> Path:
    """Where the adapter of this name lies."""
    return run.path("checkpoints", name)


def fit(
    run: Run,
    machine: Machine = Machine(),  # noqa: B008 - frozen
    *,
    start: Path | None = None,
    tensorboard: bool = False,
) -> bool:
    """Train what is missing. Returns False when nothing was.

    `start` is a student folder to continue from; the run remembers it. Raises FitFailed,
    StudentInvalid.
    """
    if start is not None:
        if machine.is_leader:
            with run.locked():
                _take_over(run, start)
        PartialState().wait_for_everyone()
    if machine.threads:
        torch.set_num_threads(machine.threads)

    def make(place: Workplace) -> Mapping[str, Any]:
        return _make(run, place, machine, run.path(TENSORBOARD) if tensorboard else None)

    return perform(run, FIT, make) if machine.is_leader else assist(run, FIT, make)


def _take_over(run: Run, student: Path) -> None:
    """Copy the student's adapter into the run, which then needs nothing from elsewhere; of a
    student of another filter without the head, which means something else."""
    require(run, PREPARE)
    manifest = read_manifest(student)
    tensors = read_adapter(student / ADAPTER)
    if manifest.label_hash != load(run.recipe.filter).label_hash:
        tensors = {name: tensor for name, tensor in tensors.items() if not is_head(name)}
    facts = {
        "run": str(manifest.training.get("run")),
        MAY_HAVE_SEEN: json.dumps(_may_have_seen(run, manifest)),
    }
    path = run.path(START, ADAPTER)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata=facts)
    os.replace(partial, path)


def _may_have_seen(run: Run, manifest: Manifest) -> bool:
    """Whether a student may have been trained on articles that judge this run. Not if its training
    articles are this run's, or those of the run that it extends; and with cross-validation only
    students that start from the base are judged."""
    ours = run.json("data", "manifest.json")["hashes"], run.facts["extends"] or {}
    theirs = manifest.data.get("hashes", {}).get(TRAIN)
    is_known = theirs is not None and theirs in [hashes.get(TRAIN) for hashes in ours]
    return run.recipe.split.kind == HOLDOUT and not is_known


def _start_facts(run: Run) -> dict[str, Any] | None:
    """What the fit continues from, for metadata and card."""
    adapter = start_of(run)
    if adapter is None:
        return None
    with safe_open(run.path(START, ADAPTER), "pt") as file:
        facts = file.metadata() or {}
    return {
        "adapter": adapter,
        "run": facts.get("run"),
        MAY_HAVE_SEEN: json.loads(facts.get(MAY_HAVE_SEEN, "true")),
    }


def _make(run: Run, place: Workplace, machine: Machine, curves: Path | None) -> Mapping[str, Any]:
    """Train what an interrupted fit has not finished; write history and metadata."""
    start = run.path(START, ADAPTER) if start_of(run) else None
    if start is not None:
        _log.info("fit.continues", **(_start_facts(run) or {}))
    fitting = Fitting(run.recipe, place, machine, start, curves)
    found = {adapter.name: fitting.trained(adapter) for adapter in _adapters(run)}
    facts = {**found[FINAL]["parameters"], **machine_facts(machine), "start": start_of(run)}
    history = {name: item["epochs"] for name, item in found.items()}
    metadata = _metadata(run, facts)
    if machine.is_leader:
        write_json(place.out / "training_history.json", history)
        write_json(place.out / "training_metadata.json", metadata)
    adapters = place.out / "checkpoints"
    weights = {name: file_hash(adapters / name) for name in files_below(adapters)}
    return {**facts, "result": hash_of(weights, without_seconds(history), metadata)}


def _adapters(run: Run) -> Iterator[Adapter]:
    rows = run.rows(TRAIN)
    if run.recipe.split.kind == HOLDOUT:
        yield Adapter(FINAL, rows, run.rows(VALIDATION))
        return
    for fold in range(run.recipe.split.folds):
        kept = [row for row in rows if row["fold"] != fold]
        yield Adapter(fold_name(fold), kept, [row for row in rows if row["fold"] == fold])
    yield Adapter(FINAL, rows, [])


def _metadata(run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, as a table for people."""
    recipe, manifest = run.recipe, run.json("data", "manifest.json")
    trainable, every = facts["trainable_parameters"], facts["all_parameters"]
    return {
        "filter": run.facts["filter"],
        "base_model": recipe.base.name,
        "revision": recipe.base.revision,
        "input": "title, blank line, content; no prompt",
        "articles": sum(manifest["rows"].values()),
        "splits": manifest["rows"],
        "split_kind": recipe.split.kind,
        "dimensions": len(load(recipe.filter).definition.dimensions),
        "epochs": recipe.fit.epochs,
        "batch_size": recipe.fit.batch_size,
        "optimizer": "AdamW",
        "learning_rate": recipe.fit.learning_rate,
        "head_learning_rate": recipe.fit.head_learning_rate,
        "weight_decay": recipe.fit.weight_decay,
        "warmup": recipe.fit.warmup,
        "max_tokens": recipe.base.max_tokens,
        "loss": recipe.fit.loss,
        "seed": recipe.fit.seed,
        "precision": recipe.fit.precision,
        "lora": recipe.settings("lora")["lora"],
        "trainable_parameters": trainable,
        "all_parameters": every,
        "trainable_share": round(trainable / every, 6),
        START: _start_facts(run),
        **{name: facts[name] for name in ("device", "threads", "processes", "python", "versions")},
    }
