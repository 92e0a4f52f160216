"""fit: trains the adapter and the head, on this machine or, under torchrun, on several devices.

With a held-out split, the epoch that is best on validation leaves the run. With
cross-validation, one student a fold is trained to be judged, then the one to ship on all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import PartialState

from newsieve.inference.manifest import ADAPTER
from newsieve.stream.logs import get_logger
from newsieve_training.data.split import TRAIN, VALIDATION
from newsieve_training.fit.adapter_trainer import AdapterJob, AdapterTrainer
from newsieve_training.fit.environment import Machine, machine_facts
from newsieve_training.fit.epochs import without_seconds
from newsieve_training.fit.warm_start import import_warm_start, start_facts
from newsieve_training.pipeline.files import file_hash, files_below, hash_of, write_json
from newsieve_training.pipeline.graph import FIT, START, start_of
from newsieve_training.pipeline.recipe import HOLDOUT
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage, run_stage_as_follower

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
                import_warm_start(run, start)
        PartialState().wait_for_everyone()
    if machine.threads:
        torch.set_num_threads(machine.threads)
    continued = start_facts(run)
    if continued is not None and machine.is_leader:
        _log.info("fit.continues", **continued)

    def make(place: StageWorkspace) -> Mapping[str, Any]:
        return _make(run, place, machine, run.path(TENSORBOARD) if tensorboard else None)

    return run_stage(run, FIT, make) if machine.is_leader else run_stage_as_follower(run, FIT, make)


def _make(
    run: Run, place: StageWorkspace, machine: Machine, curves: Path | None
) -> Mapping[str, Any]:
    """Train what an interrupted fit has not finished; write history and metadata."""
    start = run.path(START, ADAPTER) if start_of(run) else None
    fitting = AdapterTrainer(run.recipe, run.filter, place, machine, start, curves)
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


def _adapters(run: Run) -> Iterator[AdapterJob]:
    rows = run.rows(TRAIN)
    if run.recipe.split.kind == HOLDOUT:
        yield AdapterJob(FINAL, rows, run.rows(VALIDATION))
        return
    for fold in range(run.recipe.split.folds):
        kept = [row for row in rows if row["fold"] != fold]
        yield AdapterJob(fold_name(fold), kept, [row for row in rows if row["fold"] == fold])
    yield AdapterJob(FINAL, rows, [])


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
        "dimensions": len(run.filter.definition.dimensions),
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
        START: start_facts(run),
        **{name: facts[name] for name in ("device", "threads", "processes", "python", "versions")},
    }
