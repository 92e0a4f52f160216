"""Writes the model card: what a student is for, what it was made of, what it can and cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from huggingface_hub import EvalResult, ModelCardData

from newsieve.inference.manifest import Manifest
from newsieve_training.evaluation.results import CalibrationReport, Metrics, scorers_of
from newsieve_training.fit.epochs import Epoch
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.reports.formatting import JUDGED_ON, SCORERS
from newsieve_training.reports.tables import (
    dimension_table,
    provenance,
    quality_table,
    scored_alone,
)
from newsieve_training.reports.templating import render

TWO_LETTERS: Final = 2


@dataclass(frozen=True)
class Shipped:
    """What a card says of a student beside its manifest: the recipe, and how the fit went and was
    judged. `failures` are what it misses of its gate, and why it ships all the same."""

    recipe: Recipe
    metadata: TrainingMetadata
    epoch: Epoch
    metrics: Metrics
    calibration: CalibrationReport
    failures: Sequence[str]
    failed_gate_reason: str | None


def model_card(manifest: Manifest, shipped: Shipped) -> str:
    """Return the card's Markdown, with Hugging Face's metadata before it."""
    calibration, scorers = shipped.calibration, scorers_of(shipped.metrics, shipped.calibration)
    published = calibration.quality
    text = render(
        "model_card",
        manifest=manifest,
        recipe=shipped.recipe,
        metadata=shipped.metadata,
        published=published,
        judged_on=JUDGED_ON[calibration.judged_on],
        confidence=calibration.confidence,
        quality_blocks=[
            quality_table({SCORERS[name]: scorers[name] for name in SCORERS}),
            *scored_alone(calibration.scored),
            dimension_table(published),
        ],
        failures=shipped.failures,
        failed_gate_reason=shipped.failed_gate_reason,
        provenance=list(provenance(shipped.metadata, shipped.epoch)),
    )
    return f"---\n{_metadata(manifest, shipped).to_yaml()}\n---\n\n{text}"


def _metadata(manifest: Manifest, shipped: Shipped) -> ModelCardData:
    """Return the metadata by which hubs find the student. A base in a package has no hub name."""
    published, name = shipped.calibration.quality, manifest.base.name
    figures = {"mae": published.mae, "spearmanr": published.spearman}
    return ModelCardData(
        license=shipped.recipe.base.license,
        base_model=None if ":" in name else name,
        language=_languages(manifest),
        library_name="peft",
        pipeline_tag="text-classification",
        tags=["newsieve", "lora", "regression", "news"],
        metrics=list(figures),
        model_name=f"newsieve-{manifest.filter}-v{manifest.filter_version}",
        eval_results=[
            EvalResult(
                task_type="text-classification",
                task_name="score regression",
                dataset_type="oracle-labels",
                dataset_name=f"{manifest.filter} labels",
                metric_type=metric,
                metric_value=value,
            )
            for metric, value in figures.items()
        ],
    )


def _languages(manifest: Manifest) -> list[str]:
    """Return the languages of the data, where labels name them by two-letter codes."""
    return [name for name in manifest.data["languages"] if len(name) == TWO_LETTERS]
