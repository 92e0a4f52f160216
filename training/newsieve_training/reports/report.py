"""report: shows people what a run found, in figures, a summary, a Word report, and a report on the
labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from newsieve_training.data.audit_report import AuditReport
from newsieve_training.data.manifest import DataManifest
from newsieve_training.evaluation.results import CalibrationReport, Metrics
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.pipeline.files import write_text
from newsieve_training.pipeline.graph import REPORT
from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, SUMMARY, Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage
from newsieve_training.reports import figures
from newsieve_training.reports.document import as_text, write_word
from newsieve_training.reports.formatting import JUDGED_ON, SCORERS
from newsieve_training.reports.label_quality import label_quality
from newsieve_training.reports.sections import TrainingReport

STALE: Final = ("promotion_report.*", "comparison_*.md")


def report(run: Run) -> bool:
    """Write the reports of a run. Returns False when that was done already."""
    return run_stage(run, REPORT, lambda workspace: _write(run, workspace))


def _write(run: Run, workspace: StageWorkspace) -> Mapping[str, Any]:
    made = TrainingReport(
        filter=run.state["filter"],
        recipe=run.recipe,
        manifest=DataManifest.read(run.folder),
        audit=AuditReport.read(run.folder),
        metadata=TrainingMetadata.read(run.folder),
        history=TrainingHistory.read(run.folder),
        metrics=Metrics.read(run.folder),
        calibration=CalibrationReport.read(run.folder),
    )
    folder = workspace.out / REPORTS_FOLDER
    _draw(made, folder)
    write_text(folder / SUMMARY, as_text(list(made.summary())))
    labels = label_quality(made.audit, made.filter)
    write_text(folder / "ground_truth_quality_report.md", labels)
    for name in STALE:  # of what this run was before
        for path in run.path(REPORTS_FOLDER).glob(name):
            path.unlink()
    name = made.filter.replace("/", "_")
    write_word(list(made.whole()), folder, folder / f"{name}_report.docx")
    return {}


def _draw(report: TrainingReport, folder: Path) -> None:
    """Draw the PNG files of the report."""
    scorers, shipped, calibration = report.scorers, report.shipped, report.calibration
    figures.overall_metrics(
        folder / "overall_metrics.png",
        [SCORERS[name] for name in scorers],
        list(scorers.values()),
        JUDGED_ON[report.metrics.judged_on],
    )
    names = list(report.audit.dimensions)
    errors = {
        "train": shipped.train.dimensions,
        "validation": shipped.validation and shipped.validation.dimensions,
        "as published": calibration.quality.dimensions,
    }
    series = {
        label: [by_name[name].mae for name in names] for label, by_name in errors.items() if by_name
    }
    gate = report.recipe.gate
    figures.per_dimension_mae(
        folder / "per_dimension_mae.png",
        names,
        series,
        gate.dimension_mae or gate.mae,
        "of each" if gate.dimension_mae else "of the mean",
    )
    history = report.history
    figures.loss_curves(folder / "loss_curves.png", history.epochs, history.best_epoch)
    figures.calibration(folder / "calibration.png", calibration.confidence, calibration.calibration)
