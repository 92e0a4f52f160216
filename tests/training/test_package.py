"""package: a folder that the worker loads, and that is as good as it is said."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.inference.engine import score_tokens
from newsieve.inference.manifest import read_manifest
from newsieve.inference.student import check_canaries, load_student
from newsieve_training.errors import GateFailed, RunInvalid
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.drift_baseline import reference_rows
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.evaluation.quality_gate import gate_failures
from newsieve_training.evaluation.results import (
    CalibrationReport,
    DimensionQuality,
    Metrics,
    Quality,
)
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.packaging.package import copy_student, package
from newsieve_training.pipeline.files import read_jsonl, write_jsonl
from newsieve_training.pipeline.recipe import Gate, Recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.model_card import Shipped, model_card
from tests.support.filters import BUILTIN, load
from tests.support.full_disk import full_disk

Make = Callable[..., Recipe]


def test_the_worker_loads_exactly_what_was_judged(trained: Run, uplifting: Filter) -> None:
    """Its scores in the engine, calibrated, are those of the predictions file."""
    assert package(trained, "a test")
    assert not package(trained, "a test")

    student = load_student(uplifting, trained.path("student"), dtype="fp32")
    check_canaries(student)
    tokens = student.tokeniser.encode([row["text"] for row in trained.rows("test")])
    calibration = student.manifest.score_calibration(uplifting.tiering)
    scores = round_scores(calibration.scores(score_tokens(student, tokens, 512).scores))
    judged = list(read_jsonl(trained.path("predictions", "published.jsonl")))
    expected = [[row["student"][name] for name in student.manifest.dimensions] for row in judged]
    assert np.abs(scores - np.array(expected)).max() < 1e-3


def test_the_package_says_how_it_was_made(trained: Run) -> None:
    """Model card with Hugging Face's metadata, baseline rows of numbers, how training went, no
    machine's path and nobody's article."""
    package(trained, "a test")
    folder = trained.path("student")

    card = (folder / "README.md").read_text()
    assert ModelCard(card).data.license == "apache-2.0"
    for piece in ("A test.", "TF-IDF", "frozen base", "Intended use", "Limits", "shuffled"):
        assert piece in card
    manifest = json.loads((folder / "student.json").read_text())
    assert manifest["training"]["fit"]["epochs"] == 15
    assert manifest["metrics"]["student"]["articles"] == len(trained.rows("test"))
    baseline = list(read_jsonl(folder / "baseline.jsonl"))
    assert len(baseline) == len(trained.rows("test"))
    assert set(baseline[0]) == {
        "stratum",
        "purpose",
        "pi",
        "content_rules",
        "student",
        "oracle",
    }
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    for name in ("training_metadata.json", "training_history.json"):
        assert (folder / name).read_bytes() == trained.path(name).read_bytes()
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"example.org" not in everything and b"Story" not in everything


@pytest.mark.parametrize(("name", "published"), [("a/hub", "a/hub"), ("package:mine", None)])
def test_hubs_read_the_cards_metadata(trained: Run, name: str, published: str | None) -> None:
    """Norwegian stays a language, where YAML reads a bare `no` as false; a base in a package has no
    name on a hub."""
    package(trained, "a test")
    manifest = read_manifest(trained.path("student"))
    base = manifest.base.model_copy(update={"name": name})
    data = {**manifest.data, "languages": {"no": 3, "en": 2, "unknown": 1}}
    shipped = Shipped(
        recipe=trained.recipe,
        metadata=TrainingMetadata.read(trained.folder),
        epoch=TrainingHistory.read(trained.folder).shipped,
        metrics=Metrics.read(trained.folder),
        calibration=CalibrationReport.read(trained.folder),
        failures=[],
        failed_gate_reason=None,
    )

    card = model_card(manifest.model_copy(update={"base": base, "data": data}), shipped)

    found = ModelCard(card).data
    assert (found.language, found.base_model) == (["no", "en"], published)
    assert found.metrics == ["mae", "spearmanr"]
    assert [item.metric_value for item in found.eval_results] == [
        shipped.calibration.quality.mae,
        shipped.calibration.quality.spearman,
    ]


def test_what_rules_block_is_no_reference_for_the_drift_monitor(
    trained: Run, edit_filter: Callable[[str, str], None]
) -> None:
    """A worker never scores it, so the monitor never sees it; figures without it are stated."""
    edit_filter(
        'domains = ["defensenews.com"]',
        """domains = ["defensenews.com"]
patterns = ['army']""",
    )
    evaluate(trained)
    calibrate(trained)
    package(trained, "a test")

    scored = [row for row in trained.rows("test") if "army" not in row["text"]]
    assert 0 < len(scored) < len(trained.rows("test"))
    baseline = list(read_jsonl(trained.path("student", "baseline.jsonl")))
    assert [row["oracle"] for row in baseline] == [row["scores"] for row in scored]
    assert CalibrationReport.read(trained.folder).scored.articles == len(scored)
    card = trained.path("student", "README.md").read_text()
    assert f"A worker scores {len(scored)} of these articles" in card


def test_a_student_that_was_judged_by_another_filter_is_not_packaged(
    trained: Run, edit_filter: Callable[[str, str], None]
) -> None:
    """It has to be judged again first."""
    edit_filter('when = "score >= 4"', 'when = "score >= 6"')

    with pytest.raises(RunInvalid, match="newsieve-train evaluate"):
        package(trained, "a test")
    evaluate(trained)
    with pytest.raises(RunInvalid, match="newsieve-train calibrate"):
        package(trained, "a test")


def test_a_student_of_other_labels_is_not_packaged(trained: Run) -> None:
    """It would claim the new prompt's meaning, and the worker would believe it."""
    trained.update({"label_hash": "sha256:" + "0" * 64})

    with pytest.raises(RunInvalid, match="newsieve-train prepare"):
        package(trained, "a test")


def test_a_student_below_its_gate_is_not_shipped_unless_with_a_reason(
    trained: Run, recipe: Make, tmp_path: Path
) -> None:
    """Which then stands in the model card; a refusal writes nothing; nothing else is deleted."""
    trained.update({"recipe": recipe(gate__mae=0.01).model_dump(mode="json")})

    with pytest.raises(GateFailed, match=r"mean absolute error .* above 0.01"):
        package(trained)
    assert not trained.path("student").exists()
    package(trained, "for a test")
    assert "for a test" in trained.path("student", "README.md").read_text()
    with pytest.raises(GateFailed):
        package(trained)

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "filter.toml").write_text("precious")
    with pytest.raises(RunInvalid, match="holds no student"):
        copy_student(trained, tmp_path / "mine")
    assert (tmp_path / "mine" / "filter.toml").read_text() == "precious"
    (tmp_path / "new.previous").mkdir()
    with pytest.raises(RunInvalid, match="where the replaced one would go"):
        copy_student(trained, tmp_path / "new")
    with pytest.raises(RunInvalid, match="is a file"):
        copy_student(trained, tmp_path / "mine" / "filter.toml")


def test_the_student_that_was_there_is_kept(trained: Run, tmp_path: Path) -> None:
    """To roll back to."""
    package(trained, "a test")
    assert copy_student(trained, tmp_path / "student") is None
    (tmp_path / "student" / "README.md").write_text("the old one")

    previous = copy_student(trained, tmp_path / "student")

    assert previous == tmp_path / "student.previous"
    assert copy_student(trained, tmp_path / "student") is None  # once is as good as twice
    assert (previous / "README.md").read_text() == "the old one"
    assert (tmp_path / "student" / "README.md").read_text() != "the old one"


def errors_of(name: str, mae: float) -> dict[str, DimensionQuality]:
    interval = (mae, mae)
    return {
        name: DimensionQuality(mae=mae, mae_interval=interval, rmse=mae, bias=0.0, spearman=None)
    }


GOOD = Quality(
    articles=100,
    mae=1.0,
    mae_interval=(0.9, 1.1),
    rmse=1.3,
    bias=0.0,
    spearman=0.7,
    spearman_interval=(0.6, 0.8),
    dimensions=errors_of("agency", 0.9) | errors_of("wonder", 1.1),
    tier_agreement=0.8,
    tier_agreement_interval=(0.7, 0.9),
    tier_kappa=0.5,
    tier_kappa_interval=(0.4, 0.6),
    tier_majority=0.6,
    surfaced_agreement=0.9,
    surfaced_agreement_interval=(0.8, 1.0),
    surfaced_kappa=0.6,
    surfaced_kappa_interval=(0.5, 0.7),
    surfaced_majority=0.7,
    tiers={},
    shuffled_mae=2.5,
)


def with_mae(mae: float) -> Quality:
    return GOOD.model_copy(update={"mae": mae})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"mae": 1.3}, "mean absolute error 1.3 above 1.2"),
        ({"dimensions": errors_of("wonder", 1.25)}, "mean absolute error of wonder 1.25 above 1.2"),
        ({"spearman": 0.5}, "spearman 0.5 below 0.6"),
        ({"spearman": None}, "spearman None below 0.6"),
        ({"tier_agreement": 0.6}, "tier agreement 0.6 below 0.7"),
        ({"surfaced_agreement": 0.1}, None),
    ],
)
def test_the_gate_names_what_was_missed(changes: dict[str, Any], complaint: str | None) -> None:
    """A limit that the recipe does not set does not count."""
    gate = Gate(mae=1.2, dimension_mae=1.2, spearman=0.6, tier_agreement=0.7)

    found = gate_failures(gate, GOOD.model_copy(update=changes), {"tf_idf": with_mae(2.0)}, None)

    assert found == ([complaint] if complaint else [])


def test_a_student_that_a_baseline_beats_is_none() -> None:
    """Whatever its gate says."""
    baselines = {"tf_idf": with_mae(0.9), "frozen_base": with_mae(1.1)}

    assert gate_failures(Gate(mae=1.2), GOOD, baselines, None) == [
        "TF-IDF and ridge does better (0.9)"
    ]


@pytest.mark.parametrize("step", ["copying", "taking its place"])
def test_a_disk_that_is_full_keeps_the_student_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whole, under its own name, with nothing beside it; the error is one sentence."""
    run, folder = Run(tmp_path / "run", BUILTIN), tmp_path / "out" / "student"
    for place, text in ((run.path("student"), "new"), (folder, "the old one")):
        place.mkdir(parents=True)
        (place / "student.json").write_text(text)
    (run.path("student") / "adapter.safetensors").write_bytes(b"x" * 50_000)
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(target) == folder and Path(source).name == "student":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    disk = full_disk() if step == "copying" else nullcontext()
    monkeypatch.setattr(os, "replace", refuse if step != "copying" else replace)
    with (
        disk,
        pytest.raises(OSError, match=r"(File too large|No space left on device): '") as raised,
    ):
        copy_student(run, folder)

    assert "\n" not in str(raised.value)
    assert (folder / "student.json").read_text() == "the old one"
    assert [item.name for item in folder.parent.iterdir()] == ["student"]


def test_the_drift_baseline_has_no_article_that_speaks_to_a_model(tmp_path: Path) -> None:
    """Even where the recipe trains on them: the monitor keeps their labels apart, too. Rows of
    earlier versions do not say, and had none left out."""
    scores = dict.fromkeys(load("uplifting").definition.dimension_names, 5.0)
    row = {"id": "a", "content_rules": [], "oracle": scores, "student": scores, "tier": "impact"}
    rows = [row, {**row, "suspect": []}, {**row, "suspect": ["role_marker"]}]
    run = Run(tmp_path, BUILTIN)
    (tmp_path / "predictions").mkdir()
    write_jsonl(run.path("predictions", "published.jsonl"), rows)

    assert len(list(reference_rows(run, load("uplifting")))) == 2
