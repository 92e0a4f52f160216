"""fit: trains the adapter and the head, on this machine or, under torchrun, on several devices.

With a held-out split, the epoch that is best on validation is kept. With cross-validation, one
student a fold is trained to be judged, then the one to ship on all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import PartialState

from newsieve.inference.manifest import ADAPTER
from newsieve.stream.logs import get_logger
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.split import TRAIN, VALIDATION
from newsieve_training.fit.adapter_trainer import AdapterJob, AdapterTrainer, ParameterCounts
from newsieve_training.fit.environment import Environment, Machine, environment_of
from newsieve_training.fit.epochs import FINAL, TrainingHistory
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.fit.warm_start import import_warm_start, read_warm_start
from newsieve_training.pipeline.files import file_hash, files_below, hash_of
from newsieve_training.pipeline.graph import FIT, START, start_of
from newsieve_training.pipeline.recipe import HOLDOUT
from newsieve_training.pipeline.result_files import as_json
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage, run_stage_as_follower

_log = get_logger("fit")

TENSORBOARD: Final = "tensorboard"


def fold_name(fold: int) -> str:
    return f"fold-{fold}"


def checkpoint(run: Run, name: str) -> Path:
    """Return the folder of the adapter of this name."""
    return run.path("checkpoints", name)


def fit(
    run: Run,
    machine: Machine = Machine(),  # noqa: B008 - frozen
    *,
    start: Path | None = None,
    tensorboard: bool = False,
) -> bool:
    """Train the adapters that are missing. Returns False when none is.

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
    continued = read_warm_start(run)
    if continued is not None and machine.is_leader:
        _log.info("fit.continues", **as_json(continued))

    def body(workspace: StageWorkspace) -> Mapping[str, Any]:
        return _train(run, workspace, machine, run.path(TENSORBOARD) if tensorboard else None)

    run_it = run_stage if machine.is_leader else run_stage_as_follower
    return run_it(run, FIT, body)


def _train(
    run: Run, workspace: StageWorkspace, machine: Machine, curves: Path | None
) -> Mapping[str, Any]:
    """Train what an interrupted fit has not finished; write history and metadata."""
    start = run.path(START, ADAPTER) if start_of(run) else None
    trainer = AdapterTrainer(run.recipe, run.filter, workspace, machine, start, curves)
    trained = {job.name: trainer.train(job) for job in _jobs(run)}
    history = TrainingHistory({name: item.epochs for name, item in trained.items()})
    parameters, environment = trained[FINAL].parameters, environment_of(machine)
    metadata = _metadata(run, parameters, environment)
    if machine.is_leader:
        history.write(workspace.out)
        metadata.write(workspace.out)
    adapters = workspace.out / "checkpoints"
    weights = {name: file_hash(adapters / name) for name in files_below(adapters)}
    return {
        **as_json(parameters),
        **environment._asdict(),
        "start": start_of(run),
        "result": hash_of(weights, history.without_seconds(), as_json(metadata)),
    }


def _jobs(run: Run) -> Iterator[AdapterJob]:
    rows = run.rows(TRAIN)
    if run.recipe.split.kind == HOLDOUT:
        yield AdapterJob(FINAL, rows, run.rows(VALIDATION))
        return
    for fold in range(run.recipe.split.folds):
        kept = [row for row in rows if row["fold"] != fold]
        yield AdapterJob(fold_name(fold), kept, [row for row in rows if row["fold"] == fold])
    yield AdapterJob(FINAL, rows, [])


def _metadata(run: Run, parameters: ParameterCounts, environment: Environment) -> TrainingMetadata:
    """Collect the configuration of the fit."""
    recipe, rows = run.recipe, DataManifest.read(run.folder).rows
    return TrainingMetadata(
        filter=run.state["filter"],
        base_model=recipe.base.name,
        revision=recipe.base.revision,
        input="title, blank line, content; no prompt",
        articles=sum(rows.values()),
        splits=rows,
        split_kind=recipe.split.kind,
        dimensions=len(run.filter.definition.dimensions),
        epochs=recipe.fit.epochs,
        batch_size=recipe.fit.batch_size,
        optimizer="AdamW",
        learning_rate=recipe.fit.learning_rate,
        head_learning_rate=recipe.fit.head_learning_rate,
        weight_decay=recipe.fit.weight_decay,
        warmup=recipe.fit.warmup,
        max_tokens=recipe.base.max_tokens,
        loss=recipe.fit.loss,
        seed=recipe.fit.seed,
        precision=recipe.fit.precision,
        lora=recipe.lora,
        trainable_parameters=parameters.trainable_parameters,
        all_parameters=parameters.all_parameters,
        trainable_share=round(parameters.trainable_parameters / parameters.all_parameters, 6),
        start=read_warm_start(run),
        **environment._asdict(),
    )
