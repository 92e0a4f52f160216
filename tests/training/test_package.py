"""package: a folder that the worker loads, and that is as good as it is said."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.inference.student import check_canaries, load_student, raw_scores
from newsieve_training.errors import GateFailed, RunInvalid
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.drift_baseline import reference_rows
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.evaluation.results import (
    CalibrationReport,
)
from newsieve_training.packaging.package import copy_student, package
from newsieve_training.pipeline.files import read_jsonl, write_jsonl
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.filters import BUILTIN, load
from tests.support.full_disk import full_disk

Make = Callable[..., Recipe]


def test_the_worker_loads_exactly_what_was_judged(trained: Run, uplifting: Filter) -> None:
    """Its scores in the engine, calibrated, are those of the predictions file."""
    assert package(trained, "a test")
    assert not package(trained, "a test")

    student = load_student(uplifting, trained.path("student"), dtype="fp32")
    check_canaries(student)
    texts = [row["text"] for row in trained.rows("test")]
    calibration = student.manifest.score_calibration(uplifting.tiering)
    scores = round_scores(calibration.scores(raw_scores(student, texts, 512)))
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
