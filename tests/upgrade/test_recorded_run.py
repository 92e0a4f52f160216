"""A run folder that the last version before the import names changed has written is taken up.

`recorded/run.tar.xz` holds a run of a filter of its own up to `calibrate`, and the workspace of the
same run's fit when it was killed in its first epoch. All texts are made for the tests.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from newsieve.filters.registry import FilterRegistry
from newsieve_training.data.audit import audit
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.stage import fit
from newsieve_training.fit.trainer import StudentTrainer
from newsieve_training.packaging.package import package
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.comparison import compare
from newsieve_training.reports.report import report
from tests.support.cli import newsieve_train
from tests.support.fits import ONE_THREAD
from tests.support.tiny_student import make_base

RECORDED = Path(__file__).parent / "recorded" / "run.tar.xz"
STAGES = (audit, fit, evaluate, calibrate)
LOSSES_AFTER_THE_CHECKPOINT = 4  # of six steps, two were done


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The recorded run, whose recipe names a base model in the working directory."""
    monkeypatch.chdir(tmp_path)
    with tarfile.open(RECORDED) as archive:
        archive.extractall(tmp_path, filter="data")
    make_base(tmp_path / "base", "bert")
    return Run(tmp_path / "run", FilterRegistry((tmp_path / "filters",)))


def test_stages_of_the_former_version_are_up_to_date(run: Run) -> None:
    """None is run again, whether asked by command or by function."""
    assert [stage(run) for stage in STAGES] == [False] * len(STAGES)
    for name in ("audit", "fit", "evaluate", "calibrate"):
        again = newsieve_train(name, str(run.folder), "--json")
        assert (again.code, f"{name}: nothing to do" in again.err) == (0, True)


def test_a_stage_that_is_run_again_gives_what_the_former_version_gave(run: Run) -> None:
    """To the byte, so that the stages after it stay up to date."""
    before = {name: run.path(name).read_bytes() for name in ("audit.json", "calibration.json")}
    for name in before:
        run.path(name).unlink()

    assert audit(run) and calibrate(run)

    assert {name: run.path(name).read_bytes() for name in before} == before


def test_reports_and_packages_are_made_of_the_former_versions_results(run: Run) -> None:
    """Of every file that it wrote: Word, text, Markdown, and a student with its model card."""
    assert report(run)
    assert package(run, "a test")

    name = compare(run, run)
    reports = run.path("training_reports")
    assert (reports / name).is_file() and (reports / "village_v1_report.docx").is_file()
    assert "Training report: village/v1".upper() in (reports / "training_summary.txt").read_text()
    manifest = json.loads(run.path("student", "student.json").read_bytes())
    assert (
        manifest["metrics"]["published"]
        == json.loads(run.path("calibration.json").read_bytes())["quality"]
    )
    assert manifest["training"]["run"] == "run"


def test_a_fit_that_the_former_version_left_unfinished_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its checkpoint, not from the beginning, to what the run that was not killed came to."""
    history = TrainingHistory.read(run.folder)
    state = dict(run.state)
    stages = {name: record for name, record in state["stages"].items() if name == "prepare"}
    for name in state["stages"]["fit"]["files"]:
        run.path(name).unlink()
    run.update({"stages": stages})
    shutil.move(run.folder.parent / "fit-dc3b69a4", run.path(".unfinished", "fit-dc3b69a4"))
    honest, losses = StudentTrainer.compute_loss, 0

    def counting(self: StudentTrainer, model: object, *arguments: object, **more: object) -> object:
        nonlocal losses
        losses += model.training
        return honest(self, model, *arguments, **more)

    monkeypatch.setattr(StudentTrainer, "compute_loss", counting)

    assert fit(run, ONE_THREAD)

    assert losses == LOSSES_AFTER_THE_CHECKPOINT
    ours, theirs = TrainingHistory.read(run.folder).epochs, history.epochs
    assert [item.steps for item in ours] == [item.steps for item in theirs]
    assert [item.train.mae for item in ours] == pytest.approx(
        [item.train.mae for item in theirs], rel=0.01
    )
