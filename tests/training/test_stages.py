"""fit → evaluate → package: a student that the worker loads, and that is as good as it is said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.cli import newsieve_train
from training.errors import GateFailed, RunInvalid
from training.evaluate import evaluate
from training.fit import checkpoint, fit
from training.package import gate_failures, package
from training.prepare import prepare
from training.recipe import Gate, Recipe
from training.run import Run, read_jsonl
from worker.engine.engine import score_tokens
from worker.engine.student import check_canaries, load_student
from worker.rules.catalogue import Filter
from worker.rules.tiers import round_scores

Make = Callable[..., Recipe]
RECIPE = str(Path(__file__).resolve().parents[2] / "training/recipes/uplifting_minilm.toml")


def test_a_student_learns_and_the_worker_loads_exactly_what_was_judged(
    trained: Run, uplifting: Filter, tmp_path: Path
) -> None:
    """Better than the mean; its scores in the engine are those of the predictions file."""
    metrics = json.loads(trained.path("metrics.json").read_text())["test"]
    assert metrics["student"]["mae"] < 0.6 * metrics["mean"]["mae"]
    assert metrics["student"]["spearman"] > 0.8

    folder = package(trained, tmp_path / "student", "a test")

    student = load_student(uplifting, folder, dtype="fp32")
    check_canaries(student)
    rows = trained.rows("test")
    tokens = student.tokeniser.encode([row["text"] for row in rows])
    scores = round_scores(score_tokens(student, tokens, 512).scores)
    judged = list(read_jsonl(trained.path("predictions", "test.jsonl")))
    expected = [[row["student"][name] for name in student.manifest.dimensions] for row in judged]
    assert np.abs(scores - np.array(expected)).max() < 1e-3


def test_shuffling_the_texts_against_the_labels_destroys_the_quality(trained: Run) -> None:
    """A student that did not read would not notice."""
    metrics = json.loads(trained.path("metrics.json").read_text())["test"]

    assert metrics["student"]["shuffled_mae"] > metrics["mean"]["mae"] > metrics["student"]["mae"]


def test_the_package_says_how_it_was_made(trained: Run, tmp_path: Path) -> None:
    """Model card with Hugging Face's metadata, baseline rows of numbers, no machine's path."""
    folder = package(trained, tmp_path / "student", "a test")

    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    for piece in ("A test.", "TF-IDF", "Intended use", "Limits", "shuffled"):
        assert piece in card
    manifest = json.loads((folder / "student.json").read_text())
    assert manifest["training"]["fit"]["epochs"] == 15
    assert manifest["metrics"]["test"]["student"]["articles"] == len(trained.rows("test"))
    baseline = list(read_jsonl(folder / "baseline.jsonl"))
    assert len(baseline) == len(trained.rows("test"))
    assert set(baseline[0]) == {"stratum", "purpose", "pi", "student", "oracle"}
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None


def test_a_stage_that_is_done_does_nothing_again(trained: Run) -> None:
    """Until its inputs change."""
    before = checkpoint(trained, "final").stat().st_mtime_ns

    assert not fit(trained)
    assert not evaluate(trained)
    assert checkpoint(trained, "final").stat().st_mtime_ns == before


def test_a_changed_filter_has_the_student_judged_again(
    trained: Run, tmp_path: Path, edit_filter: Callable[[str, str], None]
) -> None:
    """By its new thresholds and rules; until then nothing is packaged, and nothing is trained."""
    before = json.loads(trained.path("metrics.json").read_text())["test"]["student"]
    edit_filter('when = "score >= 4"', 'when = "score >= 6"')
    edit_filter(r"'\b(share|stock) prices?\b'", "'army'")

    with pytest.raises(RunInvalid, match="newsieve-train evaluate"):
        package(trained, tmp_path / "student", "a test")
    assert not fit(trained)
    assert evaluate(trained)
    assert not evaluate(trained)

    after = json.loads(trained.path("metrics.json").read_text())["test"]["student"]
    assert after["mae"] == before["mae"]
    assert after["tier_majority"] != before["tier_majority"]
    texts = {row["id"]: row["text"] for row in trained.rows("test")}
    for row in read_jsonl(trained.path("predictions", "test.jsonl")):
        assert ("corporate_finance" in row["content_rules"]) == ("army" in texts[row["id"]])
    assert package(trained, tmp_path / "student", "a test").is_dir()


def test_a_student_of_other_labels_is_not_packaged(trained: Run, tmp_path: Path) -> None:
    """It would claim the new prompt's meaning, and the worker would believe it."""
    facts = {**trained.facts, "label_hash": "sha256:" + "0" * 64}
    trained.path("run.json").write_text(json.dumps(facts))

    with pytest.raises(RunInvalid, match="newsieve-train prepare"):
        package(trained, tmp_path / "student", "a test")


def test_stages_come_in_order(recipe: Make, labels: Path, tmp_path: Path) -> None:
    """Each says which one is missing."""
    run, _ = prepare(recipe(), [labels], tmp_path / "runs")

    with pytest.raises(RunInvalid, match="newsieve-train fit"):
        evaluate(run)
    with pytest.raises(RunInvalid, match="newsieve-train evaluate"):
        package(run, tmp_path / "student")
    with pytest.raises(RunInvalid, match="is not a run"):
        fit(Run(tmp_path / "nowhere"))


def test_a_student_below_its_gate_is_not_shipped_unless_with_a_reason(
    recipe: Make, labels: Path, tmp_path: Path
) -> None:
    """Which then stands in the model card; a refusal writes nothing."""
    run, _ = prepare(recipe(gate__mae=0.01), [labels], tmp_path / "runs")
    fit(run, threads=1)
    evaluate(run)

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "filter.toml").write_text("precious")
    with pytest.raises(GateFailed, match="holds no student"):
        package(run, tmp_path / "mine", "a slip of the hand")
    assert (tmp_path / "mine" / "filter.toml").read_text() == "precious"
    with pytest.raises(GateFailed, match=r"mean absolute error .* above 0.01"):
        package(run, tmp_path / "student")
    assert not (tmp_path / "student").exists()
    folder = package(run, tmp_path / "student", "for a test")
    assert "for a test" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"mae": 1.3}, "mean absolute error 1.3 above 1.2"),
        ({"spearman": 0.5}, "spearman 0.5 below 0.6"),
        ({"tier_agreement": 0.6}, "tier agreement 0.6 below 0.7"),
        ({"surfaced_agreement": 0.1}, None),
    ],
)
def test_the_gate_names_what_was_missed(changes: dict[str, float], complaint: str | None) -> None:
    """A limit that the recipe does not set does not count."""
    good = {"mae": 1.0, "spearman": 0.7, "tier_agreement": 0.8, "surfaced_agreement": 0.9}
    gate = Gate(mae=1.2, spearman=0.6, tier_agreement=0.7)

    found = gate_failures(gate, {"student": good | changes, "tf_idf": {"mae": 2.0}})

    assert found == ([complaint] if complaint else [])
    beaten = gate_failures(gate, {"student": good, "tf_idf": {"mae": 0.9}})
    assert beaten == ["TF-IDF with ridge does better (0.9)"]


def test_cross_validation_judges_every_row_by_a_student_that_never_saw_it(
    recipe: Make, labels: Path, tmp_path: Path
) -> None:
    """One student a fold, and one on all rows to ship."""
    made = recipe(split__kind="cross_validation", split__folds=2)
    run, _ = prepare(made, [labels], tmp_path / "runs")
    fit(run, threads=1)
    evaluate(run)

    judged = list(read_jsonl(run.path("predictions", "cross_validation.jsonl")))
    assert sorted(row["id"] for row in judged) == sorted(row["id"] for row in run.rows("train"))
    assert {path.name for path in run.path("checkpoints").iterdir()} == {
        "fold-0",
        "fold-1",
        "final",
    }
    assert package(run, tmp_path / "student", "a test").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["prepare", "no.toml", "l.jsonl"], 2, "no.toml"),
        (["fit", "nowhere"], 2, "is not a run"),
        (["package", "nowhere"], 2, "is not a run"),
        (["prepare"], 2, "Missing argument"),
        (["prepare", RECIPE, "no.jsonl"], 2, "cannot read no.jsonl"),
        (["prepare", RECIPE, os.devnull], 1, "no row has a label of gemini-pro-api-batch"),
    ],
)
def test_a_users_mistake_gets_a_sentence(arguments: list[str], code: int, complaint: str) -> None:
    """And exit code 2."""
    done = newsieve_train(*arguments)

    assert done.code == code
    assert complaint in done.err
    assert "Traceback" not in done.err
