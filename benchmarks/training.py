"""Fitting a student beside a plain transformers.Trainer that pads to the maximum.

    python -m benchmarks.training --recipe FILE --labels FILE [--articles N] [--rounds N]

Both train the same adapter and head on the same articles for the recipe's epochs, with the same
loss and rates, and judge the same validation split. The plain one tokenises every text whole and
pads it to the student's limit, as the library's examples do; ours cuts texts first, and takes the
recipe's micro-batches, each of like length. Contenders take turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

from tests.support.results import publish, spread
from newsieve_training.fit.base_model import base_file
from newsieve_training.fit.stage import fit
from newsieve_training.data.label_aggregation import label_scores, read_source
from newsieve_training.fit.environment import Machine
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.model import build, is_head
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.prepare import prepare
from newsieve_training.pipeline.recipe import Fit, Recipe, read_recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve.inference.manifest import TOKENIZER
from tests.support.filters import BUILTIN, load

PLAIN = "transformers.Trainer, padded to the maximum"


@dataclass(frozen=True)
class Result:
    """Seconds from texts to the trained student, and its error on validation."""

    seconds: float
    mae: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--articles", type=int, help="Train on the first N rows of labels.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save")
    options = parser.parse_args()
    logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.recipe)
    found: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        labels = _first_rows(options.labels, options.articles, Path(folder))
        for number in range(options.rounds):
            for name, changed in _contending(recipe).items():
                run, _ = prepare(
                    changed, [read_source(labels)], Path(folder) / f"{name}-{number}", BUILTIN
                )
                result = _plain(changed, run) if name == PLAIN else _ours(run, options.threads)
                found.setdefault(name, []).append(result)
                sys.stderr.write(f"{name}: {result}\n")
        rows = DataManifest.read(run.folder).rows
    publish("Fitting a student", _table(found, rows, recipe, options), options.save)


def _contending(recipe: Recipe) -> dict[str, Recipe]:
    def change(**fit: Any) -> Recipe:
        return recipe.model_copy(update={"fit": recipe.fit.model_copy(update=fit)})

    return {
        PLAIN: change(precision="fp32"),
        "newsieve-train fit, fp32": change(precision="fp32"),
        "newsieve-train fit, bf16": change(precision="bf16"),
    }


def _first_rows(labels: Path, count: int | None, folder: Path) -> Path:
    lines = labels.read_bytes().splitlines(keepends=True)
    path = folder / labels.name
    path.write_bytes(b"".join(lines[:count]))
    return path


def _ours(run: Run, threads: int) -> Result:
    start = time.perf_counter()
    fit(run, Machine(threads))
    seconds = time.perf_counter() - start
    epochs = TrainingHistory.read(run.folder).epochs
    return Result(seconds, min(item.validation.mae for item in epochs if item.validation))


def _plain(recipe: Recipe, run: Run) -> Result:
    """What a page of the library's examples comes to."""
    start = time.perf_counter()
    filter_ = load(recipe.filter)
    set_seed(recipe.fit.seed)
    tokenizer = Tokenizer.from_file(str(base_file(recipe.base, TOKENIZER)))
    tokenizer.enable_truncation(recipe.base.max_tokens)
    tokenizer.enable_padding(length=recipe.base.max_tokens)
    train, validation = run.rows("train"), run.rows("validation")
    targets = label_scores(train, filter_)
    model = build(recipe, targets.mean(axis=0))
    with tempfile.TemporaryDirectory() as folder:
        trainer = _PlainTrainer(
            recipe.fit.loss,
            model=model,
            args=_arguments(recipe.fit, folder),
            optimizers=(_optimizer(model, recipe.fit), None),
            train_dataset=_padded(tokenizer, train, targets),
            eval_dataset=_padded(tokenizer, validation, label_scores(validation, filter_)),
            compute_metrics=lambda p: {
                "mae": np.abs(p.predictions.clip(0, 10) - p.label_ids).mean()
            },
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    maes = [entry["eval_mae"] for entry in trainer.state.log_history if "eval_mae" in entry]
    return Result(time.perf_counter() - start, float(min(maes)))


class _PlainTrainer(Trainer):
    def __init__(self, loss: str, **options: Any) -> None:
        super().__init__(**options)
        self._loss = torch.nn.HuberLoss() if loss == "huber" else torch.nn.MSELoss()

    def compute_loss(self, model, inputs, return_outputs=False, **_):  # noqa: FBT002
        labels = inputs.pop("labels")
        scores = model(**inputs)
        found = self._loss(scores, labels)
        return (found, {"scores": scores}) if return_outputs else found


def _optimizer(model: torch.nn.Module, fit_: Fit) -> torch.optim.Optimizer:
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for n, p in named if not is_head(n)], "lr": fit_.learning_rate},
            {"params": [p for n, p in named if is_head(n)], "lr": fit_.head_learning_rate},
        ],
        weight_decay=fit_.weight_decay,
    )


def _arguments(fit_: Fit, folder: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=fit_.epochs,
        per_device_train_batch_size=fit_.batch_size,
        per_device_eval_batch_size=fit_.batch_size,
        lr_scheduler_type="linear",
        warmup_steps=fit_.warmup,
        max_grad_norm=fit_.clip,
        eval_strategy="epoch",
        save_strategy="epoch",
        label_names=["labels"],
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        report_to=[],
        seed=fit_.seed,
    )


def _padded(tokenizer: Tokenizer, rows: list[Any], targets: Any) -> list[dict[str, Any]]:
    encoded = tokenizer.encode_batch([row["text"] for row in rows])
    return [
        {"input_ids": item.ids, "attention_mask": item.attention_mask, "labels": target}
        for item, target in zip(encoded, targets.tolist(), strict=True)
    ]


def _table(
    found: dict[str, list[Result]], rows: dict[str, int], recipe: Recipe, options: Any
) -> list[str]:
    trained = rows["train"] * recipe.fit.epochs
    rates = {name: [trained / item.seconds for item in items] for name, items in found.items()}
    lines = [
        f"{rows['train']:,} training articles of `{options.labels.name}`, {rows['validation']} of "
        f"validation, {recipe.fit.epochs} epochs, batch {recipe.fit.batch_size}, "
        f"{recipe.base.max_tokens} tokens at most, {options.threads} threads, {options.rounds} "
        "rounds in turn; medians, smallest and largest. Seconds include loading, tokenising, "
        "judging and checkpoints.",
        "",
        "| | articles/s | times the first | validation MAE |",
        "|---|---|---|---|",
    ]
    for name, items in found.items():
        times = statistics.median(
            ours / plain for ours, plain in zip(rates[name], rates[PLAIN], strict=True)
        )
        maes = spread([item.mae for item in items], 3)
        lines.append(f"| {name} | {spread(rates[name])} | {times:.2f} | {maes} |")
    return lines


if __name__ == "__main__":
    main()
