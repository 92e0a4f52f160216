"""Writes the model card: what a student is for, what it was made of, what it can and cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from huggingface_hub import EvalResult, ModelCardData

from newsieve.inference.manifest import Manifest
from newsieve_training.evaluation.results import CalibrationReport, Metrics, scorers_of
from newsieve_training.fit.epochs import Epoch
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.reports.document import Block, Heading, Paragraph, Points, as_markdown
from newsieve_training.reports.formatting import JUDGED_ON, SCORERS, number, percent, span
from newsieve_training.reports.tables import (
    dimension_table,
    provenance,
    quality_table,
    scored_alone,
)

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
    """Returns the card's Markdown, with Hugging Face's metadata before it."""
    recipe = shipped.recipe
    blocks = [
        Heading(f"newsieve student: {manifest.filter} v{manifest.filter_version}", 1),
        Paragraph(recipe.purpose),
        Paragraph(
            "A LoRA adapter and a linear head over a pinned base model. It reads an article's "
            f"title and text ({manifest.max_tokens} tokens at most) and predicts the scores, 0 to "
            "10, that a large language model, the oracle, would give it on these dimensions: "
            f"{', '.join(manifest.dimensions)}."
        ),
        Heading("Intended use"),
        Paragraph(
            "Ranking and routing news in a newsieve worker. Scores are predictions of a model's "
            "judgement, not facts about an article or its author. Not for decisions about people, "
            "and not for languages or kinds of text that the labels do not contain."
        ),
        *_data(manifest),
        *_quality(shipped),
        *_limits(shipped),
        *_training(manifest, recipe, shipped.metadata),
        *provenance(shipped.metadata, shipped.epoch),
    ]
    return f"---\n{_metadata(manifest, shipped).to_yaml()}\n---\n\n{as_markdown(blocks)}"


def _metadata(manifest: Manifest, shipped: Shipped) -> ModelCardData:
    """Returns the metadata by which hubs find the student. A base in a package has no hub name."""
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
    """Returns the languages of the data, where labels name them by two-letter codes."""
    return [name for name in manifest.data["languages"] if len(name) == TWO_LETTERS]


def _data(manifest: Manifest) -> Iterator[Block]:
    data = manifest.data
    rows, oracles, languages = (
        ", ".join(f"{name or 'unnamed'} {count:,}" for name, count in data[key].items())
        for key in ("rows", "oracles", "languages")
    )
    yield Heading("Data")
    yield Paragraph(
        "Oracle labels of news articles; an article's labels are averaged, one oracle's first. "
        f"Articles: {rows}. Oracles, with the articles each labelled: {oracles}. Languages: "
        f"{languages}. The texts are third parties' and are not part of this folder."
    )


def _quality(shipped: Shipped) -> Iterator[Block]:
    calibration, published = shipped.calibration, shipped.calibration.quality
    yield Heading("Quality")
    yield Paragraph(
        f"On {published.articles} articles ({JUDGED_ON[calibration.judged_on]}). Errors in score "
        "points, intervals 95 %. With the texts shuffled against the labels the error would be "
        f"{number(published.shuffled_mae)}."
    )
    scorers = scorers_of(shipped.metrics, calibration)
    yield quality_table({SCORERS[name]: scorers[name] for name in SCORERS})
    yield from scored_alone(calibration.scored)
    yield dimension_table(published)
    yield Paragraph(
        f"Published tiers against the others: agreement {number(published.surfaced_agreement)} "
        f"({span(published.surfaced_agreement_interval)}), κ {number(published.surfaced_kappa)}; "
        f"always the commoner {number(published.surfaced_majority)}."
    )
    confidence = calibration.confidence
    if confidence is not None:
        sure = "; ".join(
            f"of the {percent(item.share)} with at least {item.at_least}, "
            f"{percent(item.agreement)} agree"
            for item in confidence.sure
        )
        yield Paragraph(
            "tier_confidence: expected calibration error "
            f"{number(confidence.expected_calibration_error)}; {sure or 'none is high'}."
        )


def _limits(shipped: Shipped) -> Iterator[Block]:
    points = [
        f"An error of {shipped.calibration.quality.mae:.2f} points on average means that tiers "
        "near a threshold are uncertain; tier_confidence says how much, where the student carries "
        "residuals.",
        "Labels of several oracles were mixed where the recipe says so, and oracles disagree with "
        "each other and with themselves.",
        "Other machines give scores that differ by less than the tolerance against which newsieve "
        "holds the canaries at start.",
    ]
    if shipped.failures:
        points.append(
            f"Shipped although it failed its gate ({'; '.join(shipped.failures)}): "
            f"{shipped.failed_gate_reason}"
        )
    yield Heading("Limits")
    yield Points(points)


def _training(manifest: Manifest, recipe: Recipe, metadata: TrainingMetadata) -> Iterator[Block]:
    fit, lora = recipe.fit, recipe.lora
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    yield Heading("Training")
    yield Paragraph(
        f"Base {manifest.base.name}, revision {manifest.base.revision}; LoRA rank {lora.rank}, "
        f"α {lora.alpha:g}, dropout {lora.dropout:g}; {fit.epochs} epochs, batch {fit.batch_size}, "
        f"AdamW at {fit.learning_rate:g} (head {fit.head_learning_rate:g}), loss {fit.loss}, "
        f"{fit.precision}, seed {fit.seed}; {metadata.trainable_parameters:,} trainable "
        f"parameters of {metadata.all_parameters:,}. Made on {metadata.device} with "
        f"{versions}. All settings stand in student.json, how the training went in "
        "training_history.json."
    )
