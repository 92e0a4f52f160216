"""The model card: what the student is for, what it was made of, what it can and cannot do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from newsieve.inference.manifest import Manifest
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


def model_card(
    manifest: Manifest,
    recipe: Recipe,
    metadata: Mapping[str, Any],
    entry: Mapping[str, Any],
    failures: Sequence[str],
    failed_gate_reason: str | None,
) -> str:
    """The card's Markdown, with Hugging Face's metadata. `entry`: of the epoch that ships."""
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
        *_quality(manifest),
        *_limits(manifest, failures, failed_gate_reason),
        *_training(manifest, recipe, metadata),
        *provenance(metadata, entry),
    ]
    return f"{_metadata(manifest, recipe)}\n\n{as_markdown(blocks)}"


def _metadata(manifest: Manifest, recipe: Recipe) -> str:
    published = manifest.metrics["published"]
    return "\n".join(
        [
            "---",
            f"license: {recipe.base.license}",
            *(
                []
                if ":" in manifest.base.name
                else [f"base_model: {json.dumps(manifest.base.name)}"]
            ),
            f"language: {json.dumps(_languages(manifest))}",  # quoted: `no` is Norwegian
            "library_name: peft",
            "pipeline_tag: text-classification",
            "tags: [newsieve, lora, regression, news]",
            "metrics: [mae, spearmanr]",
            "model-index:",
            f"- name: newsieve-{manifest.filter}-v{manifest.filter_version}",
            "  results:",
            "  - task: {type: text-classification, name: score regression}",
            f"    dataset: {{type: oracle-labels, name: {manifest.filter} labels}}",
            "    metrics:",
            f"    - {{type: mae, value: {published['mae']}}}",
            f"    - {{type: spearmanr, value: {published['spearman']}}}",
            "---",
        ]
    )


def _languages(manifest: Manifest) -> list[str]:
    """As two-letter codes, where labels name them so."""
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


def _quality(manifest: Manifest) -> Iterator[Block]:
    metrics = manifest.metrics
    published, judged_on = metrics["published"], JUDGED_ON[metrics["judged_on"]]
    yield Heading("Quality")
    yield Paragraph(
        f"On {published['articles']} articles ({judged_on}). Errors in score points, intervals "
        "95 %. With the texts shuffled against the labels the error would be "
        f"{number(published['shuffled_mae'])}."
    )
    yield quality_table({SCORERS[name]: metrics[name] for name in SCORERS})
    yield from scored_alone(metrics["scored"])
    yield dimension_table(published)
    yield Paragraph(
        f"Published tiers against the others: agreement {number(published['surfaced_agreement'])} "
        f"({span(published['surfaced_agreement_interval'])}), κ "
        f"{number(published['surfaced_kappa'])}; always the commoner "
        f"{number(published['surfaced_majority'])}."
    )
    confidence = metrics["confidence"]
    if confidence is not None:
        sure = "; ".join(
            f"of the {percent(item['share'])} with at least {item['at_least']}, "
            f"{percent(item['agreement'])} agree"
            for item in confidence["sure"]
        )
        yield Paragraph(
            "tier_confidence: expected calibration error "
            f"{number(confidence['expected_calibration_error'])}; {sure or 'none is high'}."
        )


def _limits(
    manifest: Manifest, failures: Sequence[str], failed_gate_reason: str | None
) -> Iterator[Block]:
    mae = manifest.metrics["published"]["mae"]
    points = [
        f"An error of {mae:.2f} points on average means that tiers near a threshold are uncertain; "
        "tier_confidence says how much, where the student carries residuals.",
        "Labels of several oracles were mixed where the recipe says so, and oracles disagree with "
        "each other and with themselves.",
        "Other machines give scores that differ by less than the tolerance against which newsieve "
        "holds the canaries at start.",
    ]
    if failures:
        points.append(
            f"Shipped although it failed its gate ({'; '.join(failures)}): {failed_gate_reason}"
        )
    yield Heading("Limits")
    yield Points(points)


def _training(manifest: Manifest, recipe: Recipe, metadata: Mapping[str, Any]) -> Iterator[Block]:
    fit, lora = recipe.fit, recipe.lora
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    yield Heading("Training")
    yield Paragraph(
        f"Base {manifest.base.name}, revision {manifest.base.revision}; LoRA rank {lora.rank}, "
        f"α {lora.alpha:g}, dropout {lora.dropout:g}; {fit.epochs} epochs, batch {fit.batch_size}, "
        f"AdamW at {fit.learning_rate:g} (head {fit.head_learning_rate:g}), loss {fit.loss}, "
        f"{fit.precision}, seed {fit.seed}; {metadata['trainable_parameters']:,} trainable "
        f"parameters of {metadata['all_parameters']:,}. Made on {metadata['device']} with "
        f"{versions}. All settings stand in student.json, how the training went in "
        "training_history.json."
    )
