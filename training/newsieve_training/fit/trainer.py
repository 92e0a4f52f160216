"""Adapts transformers.Trainer to students: a thin subclass and its arguments.

Two learning rates, a loss in score points, micro-batches of like length in an order that a resumed
fit repeats, checkpoints in the middle of an epoch that count only when they are whole, and the
number of trainable parameters asserted after every load.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import (
    EvalPrediction,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from newsieve_training.fit.batch_order import length_grouped_order
from newsieve_training.fit.history import History, mean_errors
from newsieve_training.fit.model import (
    center_head_bias,
    is_head,
    require_trainable,
    trainable_parameters,
)
from newsieve_training.pipeline.files import Row
from newsieve_training.pipeline.recipe import Fit

HUBER_DELTA: Final = 1.0  # score points; beyond, an error counts linearly
EVALUATION_BATCH: Final = 32
KEPT_CHECKPOINTS: Final = 2
LOGGED_STEPS: Final = 10  # between TensorBoard's points


def arguments(
    fit: Fit, folder: Path, *, micro_batch: int, world: int, validates: bool, choose_best: bool
) -> TrainingArguments:
    """Return the library's arguments for this fit. `micro_batch` articles are on each of `world`
    devices at once, and steps add up as many of them as the batch needs."""
    made = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=fit.epochs,
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=EVALUATION_BATCH,
        gradient_accumulation_steps=max(1, fit.batch_size // (micro_batch * world)),
        learning_rate=fit.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=fit.warmup,
        max_grad_norm=fit.clip,
        bf16=fit.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        eval_strategy="epoch" if validates else "no",
        save_strategy="epoch" if choose_best else "no",
        save_total_limit=KEPT_CHECKPOINTS,
        load_best_model_at_end=choose_best,
        metric_for_best_model="mae" if choose_best else None,
        greater_is_better=False if choose_best else None,
        logging_steps=LOGGED_STEPS,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to=[],
        seed=fit.seed,
        data_seed=fit.seed,
    )
    made._n_gpu = min(made.n_gpu, 1)  # noqa: SLF001 - several are torchrun's, not DataParallel's
    return made


class StudentTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped to us
    """Trains the adapter and the head of one student."""

    def __init__(self, *, fit: Fit, history: History, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(
            data_collator=collate,
            compute_metrics=lambda prediction: _mean_errors(prediction, names),
            **kwargs,
        )
        self.history = history
        self._fit = fit
        self._trainable = trainable_parameters(self.model)
        self._loss: Callable[[Tensor, Tensor], Tensor] = (
            nn.HuberLoss(delta=HUBER_DELTA) if fit.loss == "huber" else nn.MSELoss()
        )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.add_callback(history)
        self.add_callback(_Checkpoints(fit.checkpoint_steps))
        if sys.stderr.isatty():
            self.add_callback(_ProgressBar)

    def center_head(self) -> None:
        """Move the head's bias by the mean error on validation, and record the errors then."""
        predicted = self.predict(self.eval_dataset)
        labels, scores = np.asarray(predicted.label_ids), np.asarray(predicted.predictions)
        moved = (labels - scores).mean(axis=0)
        center_head_bias(self.model, moved)
        loss = self._loss(torch.as_tensor(scores + moved), torch.as_tensor(labels))
        self.history.center_best(scores + moved, labels, float(loss), moved)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        trained = [
            (name, parameter)
            for name, parameter in (model or self.model).named_parameters()
            if parameter.requires_grad
        ]
        head = [parameter for name, parameter in trained if is_head(name)]
        adapter = [parameter for name, parameter in trained if not is_head(name)]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": adapter, "lr": self._fit.learning_rate},
                {"params": head, "lr": self._fit.head_learning_rate},
            ],
            weight_decay=self._fit.weight_decay,
        )
        return self.optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: Any = False,  # noqa: FBT002 - the base class's
        **_: Any,
    ) -> Any:
        scores = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        loss = self._loss(scores, inputs["labels"])
        if model.training:
            self.history.add(scores, inputs["labels"], loss)
        return (loss, {"scores": scores}) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(row["input_ids"]) for row in rows]
        group = self._fit.micro_batch or self._fit.batch_size  # halved or not: the order stays
        return _ByLength(lengths, group, self._fit.seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> None:
        """Keep the order of the data set, which is sorted by length."""

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        snapshot = self.history.snapshot()  # waits for all processes
        if self.is_world_process_zero():
            snapshot.write(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        require_trainable(self.model, self._trainable, "after resuming")

    def _load_best_model(self) -> None:
        super()._load_best_model()
        require_trainable(self.model, self._trainable, "after restoring the best epoch")


class _ByLength(Sampler[int]):
    """Draws articles in `length_grouped_order`, another order in each epoch."""

    def __init__(self, lengths: Sequence[int], group: int, seed: int) -> None:
        self._lengths = lengths
        self._group = group
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(length_grouped_order(self._lengths, self._group, self._seed, self._epoch))


class _Checkpoints(TrainerCallback):  # type: ignore[misc]  # as above
    """Asks for a checkpoint every so many steps. The last step of an epoch has a checkpoint of its
    own, after the validation."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        in_epoch = state.max_steps // int(args.num_train_epochs)
        if self._steps and state.global_step % self._steps == 0 and state.global_step % in_epoch:
            control.should_save = True


class _ProgressBar(ProgressCallback):  # type: ignore[misc]  # as above
    """Shows the bar alone, since standard output is for results."""

    def on_log(self, *_: Any, **__: Any) -> None:
        """Print nothing: the history file has the figures."""


def collate(examples: Sequence[Row]) -> dict[str, Tensor]:
    """Build a batch, padded on the right to its longest article."""
    width = max(len(example["input_ids"]) for example in examples)
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    mask = torch.zeros(len(examples), width, dtype=torch.long)
    for row, example in enumerate(examples):
        ids[row, : len(example["input_ids"])] = torch.tensor(example["input_ids"])
        mask[row, : len(example["input_ids"])] = 1
    labels = torch.tensor([example["labels"] for example in examples], dtype=torch.float32)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _mean_errors(prediction: EvalPrediction, names: Sequence[str]) -> dict[str, float]:
    scores = np.asarray(prediction.predictions, dtype=np.float64)
    return mean_errors(scores, np.asarray(prediction.label_ids, dtype=np.float64), names)
