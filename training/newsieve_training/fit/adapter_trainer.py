"""Trains one adapter, from its rows to its files, whatever interrupts it.

Checkpoints from the middle of an epoch lie in the workspace of the fit. A killed fit goes on from
the last whole one, with the same batches and random numbers as if nothing had happened. Where
memory runs out, fewer articles are on the device at once, and the batch stays what it is.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from peft import PeftModel
from safetensors import SafetensorError
from transformers import set_seed
from transformers.integrations import TensorBoardCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from newsieve.filters.registry import Filter
from newsieve.inference.manifest import MODEL_CARD
from newsieve.stream.logs import get_logger
from newsieve_training.data.label_aggregation import label_scores
from newsieve_training.errors import FitFailed
from newsieve_training.fit.base_model import tokeniser_of
from newsieve_training.fit.environment import Machine
from newsieve_training.fit.epochs import Epoch
from newsieve_training.fit.history import History, HistorySnapshot
from newsieve_training.fit.model import (
    all_parameters,
    build,
    continue_from,
    require_trainable,
    save,
    trainable_parameters,
)
from newsieve_training.fit.trainer import StudentTrainer, arguments
from newsieve_training.pipeline.files import Row, write_json
from newsieve_training.pipeline.recipe import HOLDOUT, Recipe
from newsieve_training.pipeline.result_files import Part, as_json, read_result
from newsieve_training.pipeline.stage import StageWorkspace

_log = get_logger("fit")


@dataclass(frozen=True)
class AdapterJob:
    """An adapter to train: the rows it is trained on, and those that validate it meanwhile."""

    name: str
    rows: Sequence[Row]
    validation: Sequence[Row]


class ParameterCounts(Part):
    """How many parameters of a student are trained, and how many it has."""

    trainable_parameters: int
    all_parameters: int


class TrainedAdapter(Part):
    """What training one adapter gave, beside its weights. Its file is written last."""

    epochs: list[Epoch]
    micro_batch: int
    parameters: ParameterCounts


class AdapterTrainer:
    """Trains the adapters of one run, one after the other, in the workspace of the fit."""

    def __init__(
        self,
        recipe: Recipe,
        filter_: Filter,
        workspace: StageWorkspace,
        machine: Machine,
        start: Path | None,
        curves: Path | None,
    ) -> None:
        """Take an adapter file to continue from, `start`, and a folder for TensorBoard, `curves`;
        None: from the base, and no curves."""
        self._recipe = recipe
        self._workspace = workspace
        self._machine = machine
        self._start = start
        self._curves = curves
        self._filter = filter_
        self._tokeniser = tokeniser_of(recipe.base, recipe.base.max_tokens)
        self._chooses_best = recipe.split.kind == HOLDOUT
        logging.set_verbosity_error()

    def train(self, adapter: AdapterJob) -> TrainedAdapter:
        """Train an adapter, unless an interrupted fit finished it, and return how that went.

        The weights are written below the workspace's `out`.
        """
        path = self._finished_file(adapter)
        return read_result(TrainedAdapter, path) if path.is_file() else self._train(adapter)

    def _finished_file(self, adapter: AdapterJob) -> Path:
        return self._workspace.folder / f"{adapter.name}.json"

    def _train(self, adapter: AdapterJob) -> TrainedAdapter:
        """Train one adapter, with fewer articles at once each time that memory runs out."""
        fit, world = self._recipe.fit, self._machine.world
        if fit.batch_size % world:
            raise FitFailed(
                f"fit.batch_size {fit.batch_size} is not a multiple of {world} processes"
            )
        share = fit.batch_size // world
        micro_batch = _largest_part(share, fit.micro_batch or share) or 1
        while True:
            trained = self._attempt(adapter, micro_batch)
            if trained is not None:
                return trained
            smaller = _largest_part(share, micro_batch // 2)
            if smaller is None or world > 1:
                raise FitFailed(
                    f"memory ran out with {micro_batch} articles on the device at once: set "
                    "fit.micro_batch lower, or fit.gradient_checkpointing = true. The fit then "
                    "starts anew, because its recipe is another"
                )
            _log.warning("micro_batch.halved", before=micro_batch, now=smaller)
            micro_batch = smaller

    def _attempt(self, adapter: AdapterJob, micro_batch: int) -> TrainedAdapter | None:
        """Train an adapter with this micro-batch; return None when memory ran out."""
        try:
            return self._finish(adapter, micro_batch)
        except torch.OutOfMemoryError:
            pass
        except (SafetensorError, RuntimeError) as error:
            if not _is_about_writing(error):
                raise
            raise FitFailed(
                f"a checkpoint cannot be written below {self._workspace.folder} ({error}): make "
                "room, and run again"
            ) from None
        gc.collect()  # outside the handler, which holds the failed model
        torch.cuda.empty_cache()
        return None

    def _finish(self, adapter: AdapterJob, micro_batch: int) -> TrainedAdapter:
        interrupted = self._interrupted(adapter)
        trainer = self._trainer(adapter, micro_batch, interrupted)
        model, expected = trainer.model, trainable_parameters(trainer.model)
        trainer.train(resume_from_checkpoint=interrupted)
        require_trainable(model, expected, "after training")
        if self._chooses_best and self._recipe.base.head_bias:
            trainer.center_head()
        trained = TrainedAdapter(
            epochs=trainer.history.epochs,
            micro_batch=micro_batch,
            parameters=ParameterCounts(
                trainable_parameters=expected, all_parameters=all_parameters(model)
            ),
        )
        if self._machine.is_leader:
            self._keep(adapter, model, trained)
        trainer.accelerator.wait_for_everyone()
        return trained

    def _trainer(
        self, adapter: AdapterJob, micro_batch: int, interrupted: str | None
    ) -> StudentTrainer:
        recipe, names = self._recipe, self._filter.definition.dimension_names
        args = arguments(
            recipe.fit,
            self._work(adapter),
            micro_batch=micro_batch,
            world=self._machine.world,
            validates=bool(adapter.validation),
            choose_best=self._chooses_best,
        )
        history = History(names, recipe.fit.early_stopping_epochs)
        if interrupted is not None:
            snapshot = HistorySnapshot.read(Path(interrupted))
            history.restore(snapshot, is_leader=self._machine.is_leader)
            if history.is_over:  # all that is left is to restore the best
                args.num_train_epochs = len(history.epochs)
        set_seed(recipe.fit.seed)
        validation = self._examples(adapter.validation)
        trainer = StudentTrainer(
            fit=recipe.fit,
            history=history,
            names=names,
            model=self._model(adapter),
            args=args,
            train_dataset=self._examples(adapter.rows),
            eval_dataset=sorted(validation, key=lambda row: -len(row["input_ids"])),
        )
        if self._curves is not None and self._machine.is_leader:
            trainer.add_callback(_tensorboard(self._curves / adapter.name))
        return trainer

    def _model(self, adapter: AdapterJob) -> PeftModel:
        model = build(self._recipe, label_scores(adapter.rows, self._filter).mean(axis=0))
        is_fold = adapter.validation and not self._chooses_best  # that student knows what judges it
        if self._start is not None and not is_fold:
            continue_from(model, self._start)
        return model

    def _examples(self, rows: Sequence[Row]) -> list[Row]:
        tokens = self._tokeniser.encode([row["text"] for row in rows])
        targets = label_scores(rows, self._filter).tolist()
        return [
            {"input_ids": item.ids, "labels": target}
            for item, target in zip(tokens, targets, strict=True)
        ]

    def _work(self, adapter: AdapterJob) -> Path:
        return (self._workspace.folder / adapter.name).absolute()

    def _interrupted(self, adapter: AdapterJob) -> str | None:
        """Return the last whole checkpoint of a killed fit, and delete those that are not."""
        work = self._work(adapter)
        if self._machine.is_leader:
            for folder in work.glob("checkpoint-*"):
                if not (folder / HistorySnapshot.FILE).is_file():
                    shutil.rmtree(folder)
        PartialState().wait_for_everyone()
        last = get_last_checkpoint(str(work)) if work.is_dir() else None
        if last is not None and self._machine.is_leader:
            _repair_path(Path(last) / TRAINER_STATE_NAME, work)
        PartialState().wait_for_everyone()
        return last

    def _keep(self, adapter: AdapterJob, model: PeftModel, trained: TrainedAdapter) -> None:
        """Save the adapter, then that it is finished, then delete its checkpoints."""
        folder = self._workspace.out / "checkpoints" / adapter.name
        save(model, folder)
        (folder / MODEL_CARD).unlink(missing_ok=True)  # PEFT's own, of blanks
        write_json(self._finished_file(adapter), as_json(trained))
        shutil.rmtree(self._work(adapter), ignore_errors=True)


def _is_about_writing(error: Exception) -> bool:
    """Say whether an error is about a full disk, for which both writers have no error class."""
    return isinstance(error, SafetensorError) or "inline_container" in str(error)


def _repair_path(state_file: Path, work: Path) -> None:
    """Replace the best checkpoint's path, which is absolute: the run may have been moved."""
    state = json.loads(state_file.read_bytes())
    if state["best_model_checkpoint"] is not None:
        best = work / Path(state["best_model_checkpoint"]).name
        write_json(state_file, {**state, "best_model_checkpoint": str(best)})


def _largest_part(share: int, at_most: int) -> int | None:
    """Return the largest size up to `at_most` that divides a batch's share without remainder."""
    return next((size for size in range(min(share, at_most), 0, -1) if share % size == 0), None)


def _tensorboard(folder: Path) -> TensorBoardCallback:
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoardCallback(SummaryWriter(str(folder)))
