"""The model card: what the student is for, what it was made of, what it can and cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from training.evaluate import CROSS_VALIDATION
from training.recipe import Recipe
from worker.engine.manifest import Manifest

JUDGED: Final = {
    CROSS_VALIDATION: "cross-validation: each article by a student that never saw it",
    "test": "a test split that chose nothing",
}


def model_card(
    manifest: Manifest,
    recipe: Recipe,
    metrics: dict[str, Any],
    judged: str,
    failures: Sequence[str],
    failed_gate_reason: str | None,
) -> str:
    """The card's Markdown, with Hugging Face's metadata."""
    student = metrics["student"]
    parts = [
        _metadata(manifest, student),
        f"# newsieve student: {manifest.filter} v{manifest.filter_version}",
        recipe.purpose,
        "A LoRA adapter and a linear head over a pinned base model. It reads an article's title "
        f"and text ({manifest.max_tokens} tokens at most) and predicts the scores, 0 to 10, that a "
        "large language model, the oracle, would give it on these dimensions: "
        f"{', '.join(manifest.dimensions)}.",
        "## Intended use\n\nRanking and routing news in a newsieve worker. Scores are predictions "
        "of a model's judgement, not facts about an article or its author. Not for decisions about "
        "people, and not for languages or kinds of text that the labels do not contain.",
        _data(manifest),
        _quality(metrics, judged, student),
        _limits(student, failures, failed_gate_reason),
        _training(manifest, recipe),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(manifest: Manifest, student: dict[str, Any]) -> str:
    return "\n".join(
        [
            "---",
            "license: apache-2.0",
            f"base_model: {manifest.base.name}",
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
            f"    - {{type: mae, value: {student['mae']}}}",
            f"    - {{type: spearmanr, value: {student['spearman']}}}",
            "---",
        ]
    )


def _data(manifest: Manifest) -> str:
    rows = ", ".join(f"{name} {count}" for name, count in manifest.data["rows"].items())
    oracles = ", ".join(f"{name} ({count})" for name, count in manifest.data["oracles"].items())
    return (
        f"## Data\n\nOracle labels of news articles, several labels of one article averaged. "
        f"Articles: {rows}. Oracles, with the articles each labelled: {oracles}. The texts are "
        "third parties' and are not part of this folder."
    )


def _quality(metrics: dict[str, Any], judged: str, student: dict[str, Any]) -> str:
    names = {"student": "this student", "tf_idf": "TF-IDF and ridge", "mean": "the labels' mean"}
    table = [
        "| | MAE | Spearman | tier agreement (κ) | published or not (κ) |",
        "|---|---|---|---|---|",
    ]
    for key, name in names.items():
        m = metrics[key]
        table.append(
            f"| {name} | {m['mae']:.3f} | {m['spearman']:.3f} | {m['tier_agreement']:.3f} "
            f"({m['tier_kappa']:.3f}) | {m['surfaced_agreement']:.3f} ({m['surfaced_kappa']:.3f}) |"
        )
    dimensions = ["| dimension | MAE | RMSE | bias | Spearman |", "|---|---|---|---|---|"]
    dimensions += [
        f"| {name} | {m['mae']:.2f} | {m['rmse']:.2f} | {m['bias']:+.2f} | {m['spearman']:.2f} |"
        for name, m in student["dimensions"].items()
    ]
    low, high = student["mae_interval"]
    return "\n".join(
        [
            f"## Quality\n\nOn {student['articles']} articles, by {JUDGED[judged]}. Mean absolute "
            f"error in score points; 95 % interval of this student's: {low:.3f} to "
            f"{high:.3f}. With the texts shuffled against the labels it would be "
            f"{student['shuffled_mae']:.3f}.\n",
            *table,
            "",
            *dimensions,
        ]
    )


def _limits(
    student: dict[str, Any], failures: Sequence[str], failed_gate_reason: str | None
) -> str:
    text = (
        "## Limits\n\n"
        f"An error of {student['mae']:.2f} points on average means that tiers near a threshold are "
        "uncertain. Labels of several oracles were mixed where the recipe says so, and oracles "
        "disagree with each other and with themselves. Other machines give scores that differ by "
        "less than the tolerance against which newsieve holds the canaries at start."
    )
    if failures:
        text += (
            f"\n\nShipped although it failed its gate ({'; '.join(failures)}): {failed_gate_reason}"
        )
    return text


def _training(manifest: Manifest, recipe: Recipe) -> str:
    fit, lora = recipe.fit, recipe.lora
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return (
        f"## Training\n\nBase {manifest.base.name}, revision {manifest.base.revision}; LoRA rank "
        f"{lora.rank}, α {lora.alpha:g}, dropout {lora.dropout:g}; {fit.epochs} epochs, batch "
        f"{fit.batch_size}, AdamW at {fit.learning_rate:g} (head {fit.head_learning_rate:g}), loss "
        f"{fit.loss}, seed {fit.seed}; {manifest.trainable_parameters:,} trainable parameters. "
        f"Made with {versions}. All settings stand in student.json."
    )
