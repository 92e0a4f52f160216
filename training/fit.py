"""fit: trains the adapter and the head. On transformers.Trainer, with a thin subclass.

With a held-out split, the epoch that is best on validation leaves the run. With
cross-validation, one student a fold is trained to be judged, then the one to ship on all rows.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import (
    EvalPrediction,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import PredictionOutput, get_last_checkpoint

from training.errors import FitFailed
from training.prepare import label_scores
from training.recipe import Fit, Recipe
from training.run import SHORT_HASH, Row, Run, hash_of, write_json
from worker.engine.manifest import ADAPTER, TOKENIZER
from worker.engine.model import StudentModel, base_location, load_backbone
from worker.engine.tokenise import Tokeniser
from worker.rules.catalogue import load

STAGE: Final = "fit"
FINAL: Final = "final"
TRAINED: Final = "trained.json"
HUBER_DELTA: Final = 1.0  # score points; beyond, an error counts linearly
EVALUATION_BATCH: Final = 32


def fold_name(fold: int) -> str:
    return f"fold-{fold}"


def checkpoint(run: Run, name: str) -> Path:
    """Where the adapter of this name lies."""
    return run.path("checkpoints", name)


def tokeniser_of(recipe: Recipe) -> Tokeniser:
    return Tokeniser(Path(base_location(recipe.base.name)) / TOKENIZER, recipe.base.max_tokens)


def fit(run: Run, threads: int | None = None) -> bool:
    """Train what is missing. Returns False when nothing was."""
    inputs = hash_of(run.require("prepare"))
    if run.inputs_of(STAGE) == inputs:
        return False
    if threads:
        torch.set_num_threads(threads)
    trained = {}
    for name, rows, judged in _adapters(run):
        done = _finished(checkpoint(run, name), inputs)
        trained[name] = done or _train(run, name, inputs, rows, judged)
    history = {name: item.history for name, item in trained.items()}
    write_json(run.path("training_history.json"), history)
    trainable = trained[FINAL].trainable_parameters
    run.record(STAGE, inputs, trainable_parameters=trainable, versions=_versions())
    return True


def _adapters(run: Run) -> Iterator[tuple[str, Sequence[Row], Sequence[Row]]]:
    """Of each adapter its name, the rows it is trained on, and those it is judged by meanwhile."""
    rows = run.rows("train")
    if run.recipe.split.kind == "holdout":
        yield FINAL, rows, run.rows("validation")
        return
    for fold in range(run.recipe.split.folds):
        kept = [row for row in rows if row["fold"] != fold]
        yield fold_name(fold), kept, [row for row in rows if row["fold"] == fold]
    yield FINAL, rows, []


@dataclass(frozen=True)
class _Trained:
    inputs: str
    trainable_parameters: int
    history: list[dict[str, float]]


def _finished(folder: Path, inputs: str) -> _Trained | None:
    """What an interrupted fit with the same inputs finished here."""
    path = folder / TRAINED
    trained = _Trained(**json.loads(path.read_bytes())) if path.is_file() else None
    return trained if trained and trained.inputs == inputs else None


def _train(
    run: Run, name: str, inputs: str, rows: Sequence[Row], judged: Sequence[Row]
) -> _Trained:
    """Train one adapter and save it as this name's checkpoint."""
    recipe = run.recipe
    choose_best = recipe.split.kind == "holdout"
    set_seed(recipe.fit.seed)
    filter_ = load(recipe.filter)
    targets = label_scores(rows, filter_)
    model = build(recipe, targets.mean(axis=0))
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    tokeniser = tokeniser_of(recipe)
    work = checkpoint(run, f"{name}.{inputs[:SHORT_HASH]}.work")
    trainer = _StudentTrainer(
        fit=recipe.fit,
        model=model,
        args=_arguments(recipe.fit, work, evaluate=bool(judged), choose_best=choose_best),
        train_dataset=_examples(rows, targets, tokeniser),
        eval_dataset=_examples(judged, label_scores(judged, filter_), tokeniser),
        data_collator=_collate,
        compute_metrics=_mean_absolute_error,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if sys.stderr.isatty():
        trainer.add_callback(_ProgressBar)
    interrupted = get_last_checkpoint(str(work)) if work.is_dir() else None
    trainer.train(resume_from_checkpoint=interrupted)
    _require_unchanged(model, trainable)
    if choose_best and recipe.base.head_bias:
        _centre(model, trainer.predict(trainer.eval_dataset))
    _save(model, work / "adapter")
    trained = _Trained(inputs, trainable, trainer.state.log_history)
    write_json(work / "adapter" / TRAINED, asdict(trained))
    shutil.rmtree(checkpoint(run, name), ignore_errors=True)
    (work / "adapter").rename(checkpoint(run, name))
    for folder in work.parent.glob(f"{name}.*.work"):  # also of inputs that are no more
        shutil.rmtree(folder)
    return trained


def build(recipe: Recipe, label_means: np.ndarray) -> PeftModel:
    """The trainable model: LoRA on the backbone, a head that starts at the labels' mean."""
    base = recipe.base
    model = StudentModel(
        load_backbone(base.name, base.revision),
        base.pooling,
        len(label_means),
        bias=base.head_bias,
    )
    if base.head_bias:
        nn.init.zeros_(model.score.weight)
        model.score.bias.data = torch.tensor(label_means, dtype=torch.float32)
    config = LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.targets,
        modules_to_save=["score"],
    )
    return get_peft_model(model, config)


def _centre(model: PeftModel, validation: PredictionOutput) -> None:
    """Move the head's bias until the mean score on validation is the labels' mean.

    Huber's loss fits medians, and most dimensions are skewed: uncentred, too few articles would
    reach a tier.
    """
    missed = np.asarray(validation.label_ids) - np.asarray(validation.predictions)
    head = model.base_model.model.score.modules_to_save["default"]
    with torch.no_grad():
        head.bias += torch.as_tensor(missed.mean(axis=0), dtype=torch.float32)


def _save(model: PeftModel, folder: Path) -> None:
    """The adapter and head as PEFT files that also open as a sequence classifier."""
    config = model.peft_config["default"]
    config.task_type = "SEQ_CLS"
    config.base_model_name_or_path = None  # student.json names it; a path would be this machine's
    model.save_pretrained(folder, safe_serialization=True)
    if not (folder / ADAPTER).is_file():
        raise FitFailed(f"PEFT wrote no {ADAPTER}")


def _require_unchanged(model: PeftModel, trainable: int) -> None:
    """A resumed or restored model that trains only its head looks like a plateau: refuse it."""
    now = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if now != trainable:
        raise FitFailed(f"{now:,} parameters are trainable after training, {trainable:,} before")


class _StudentTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped to us
    """Two learning rates, and the recipe's loss in score points."""

    def __init__(self, *, fit: Fit, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._fit = fit
        self._loss: Callable[[Tensor, Tensor], Tensor] = (
            nn.HuberLoss(delta=HUBER_DELTA) if fit.loss == "huber" else nn.MSELoss()
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        trained = [
            (name, parameter)
            for name, parameter in (model or self.model).named_parameters()
            if parameter.requires_grad
        ]
        head = [parameter for name, parameter in trained if ".score." in name]
        adapter = [parameter for name, parameter in trained if ".score." not in name]
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
        return (loss, {"scores": scores}) if return_outputs else loss


class _ProgressBar(ProgressCallback):  # type: ignore[misc]  # as above
    """The bar alone: standard output is for results."""

    def on_log(self, *_: Any, **__: Any) -> None:
        """Nothing is printed; the history file has it."""


def _arguments(fit: Fit, folder: Path, *, evaluate: bool, choose_best: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=fit.epochs,
        per_device_train_batch_size=fit.batch_size,
        per_device_eval_batch_size=EVALUATION_BATCH,
        learning_rate=fit.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=fit.warmup,
        max_grad_norm=fit.clip,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch" if evaluate else "no",
        save_strategy="epoch" if choose_best else "no",
        load_best_model_at_end=choose_best,
        metric_for_best_model="mae" if choose_best else None,
        greater_is_better=False if choose_best else None,
        logging_strategy="epoch",
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to=[],
        seed=fit.seed,
        data_seed=fit.seed,
    )


def _examples(rows: Sequence[Row], targets: np.ndarray, tokeniser: Tokeniser) -> list[Row]:
    tokens = tokeniser.encode([row["text"] for row in rows])
    return [
        {"input_ids": item.ids, "labels": target}
        for item, target in zip(tokens, targets.tolist(), strict=True)
    ]


def _collate(examples: Sequence[Row]) -> dict[str, Tensor]:
    width = max(len(example["input_ids"]) for example in examples)
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    mask = torch.zeros(len(examples), width, dtype=torch.long)
    for row, example in enumerate(examples):
        ids[row, : len(example["input_ids"])] = torch.tensor(example["input_ids"])
        mask[row, : len(example["input_ids"])] = 1
    labels = torch.tensor([example["labels"] for example in examples], dtype=torch.float32)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _mean_absolute_error(prediction: EvalPrediction) -> dict[str, float]:
    scores = np.clip(np.asarray(prediction.predictions), 0, 10)
    return {"mae": float(np.abs(scores - np.asarray(prediction.label_ids)).mean())}


def _versions() -> dict[str, str]:
    import peft
    import tokenizers
    import transformers

    import worker

    libraries = (torch, transformers, tokenizers, peft)
    return {"newsieve": worker.__version__} | {lib.__name__: lib.__version__ for lib in libraries}
