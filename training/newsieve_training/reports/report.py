"""report: what a run found, for people: pictures, a summary, a Word report, what the labels are
worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from newsieve_training.fit.epochs import best_epoch
from newsieve_training.pipeline.files import write_text
from newsieve_training.pipeline.graph import REPORT
from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, SUMMARY, Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage
from newsieve_training.reports import figures
from newsieve_training.reports.document import as_markdown, as_text, write_word
from newsieve_training.reports.formatting import JUDGED_ON, SCORERS
from newsieve_training.reports.label_quality import ground_truth
from newsieve_training.reports.sections import TrainingReport

STALE: Final = ("promotion_report.*", "comparison_*.md")


def report(run: Run) -> bool:
    """Returns False when that was done already."""
    return run_stage(run, REPORT, lambda place: _make(run, place))


def _make(run: Run, place: StageWorkspace) -> Mapping[str, Any]:
    found = TrainingReport(
        filter=run.facts["filter"],
        recipe=run.recipe,
        manifest=run.json("data", "manifest.json"),
        audit=run.json("audit.json"),
        metadata=run.json("training_metadata.json"),
        history=run.json("training_history.json"),
        metrics=run.json("metrics.json"),
        calibration=run.json("calibration.json"),
    )
    folder = place.out / REPORTS_FOLDER
    _draw(found, folder)
    write_text(folder / SUMMARY, as_text(list(found.summary())))
    labels = ground_truth(found.audit, found.filter)
    write_text(folder / "ground_truth_quality_report.md", as_markdown(labels))
    for name in STALE:  # of what this run was before
        for path in run.path(REPORTS_FOLDER).glob(name):
            path.unlink()
    name = found.filter.replace("/", "_")
    write_word(list(found.whole()), folder, folder / f"{name}_report.docx")
    return {}


def _draw(found: TrainingReport, folder: Path) -> None:
    """The PNG files."""
    labels = [SCORERS[name] for name in found.scorers]
    figures.overall_metrics(
        folder / "overall_metrics.png",
        labels,
        list(found.scorers.values()),
        JUDGED_ON[found.judged_on],
    )
    names = list(found.audit["dimensions"])
    series = {
        kind: [found.shipped[kind]["dimensions"][name]["mae"] for name in names]
        for kind in ("train", "validation")
        if found.shipped[kind]
    }
    published = found.scorers["published"]["dimensions"]
    series["as published"] = [published[name]["mae"] for name in names]
    gate = found.recipe.gate
    figures.per_dimension_mae(
        folder / "per_dimension_mae.png",
        names,
        series,
        gate.dimension_mae or gate.mae,
        "of each" if gate.dimension_mae else "of the mean",
    )
    figures.loss_curves(folder / "loss_curves.png", found.epochs, best_epoch(found.history))
    figures.calibration(
        folder / "calibration.png",
        found.calibration["confidence"],
        found.calibration["calibration"],
    )
