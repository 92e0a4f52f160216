"""Compares two runs side by side, of one filter or of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from newsieve_training.data.audit_report import AuditReport
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.split import TRAIN
from newsieve_training.evaluation.results import CalibrationReport
from newsieve_training.fit.epochs import Epoch, TrainingHistory, gap_of
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.pipeline.files import write_text
from newsieve_training.pipeline.graph import AUDIT, CALIBRATE, EVALUATE, FIT
from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, Run
from newsieve_training.pipeline.stage import require_up_to_date
from newsieve_training.reports.document import Block, Heading, Paragraph, Table, as_markdown
from newsieve_training.reports.formatting import JUDGED_ON, NONE, number, percent, with_span
from newsieve_training.reports.tables import error_cell


def compare(run: Run, other: Run) -> str:
    """Write training_reports/comparison_<other>.md and return its name. Raises RunInvalid."""
    blocks = list(_blocks([_read(run), _read(other)]))
    name = f"comparison_{other.folder.name}.md"
    write_text(run.path(REPORTS_FOLDER, name), as_markdown(blocks))
    return name


@dataclass(frozen=True)
class _Compared:
    """A run's results, as far as a comparison shows them."""

    name: str
    filter: str
    training_articles: int
    audit: AuditReport
    metadata: TrainingMetadata
    shipped: Epoch
    calibration: CalibrationReport


def _read(run: Run) -> _Compared:
    for stage in (AUDIT, FIT, EVALUATE, CALIBRATE):
        require_up_to_date(run, stage)
    return _Compared(
        name=run.folder.name,
        filter=run.state["filter"],
        training_articles=DataManifest.read(run.folder).rows[TRAIN],
        audit=AuditReport.read(run.folder),
        metadata=TrainingMetadata.read(run.folder),
        shipped=TrainingHistory.read(run.folder).shipped,
        calibration=CalibrationReport.read(run.folder),
    )


def _gap(run: _Compared) -> str:
    gap = gap_of(run.shipped)
    return NONE if gap is None else f"{gap.absolute:.3f} ({gap.relative:.0%})"


def _published(key: str) -> Callable[[_Compared], str]:
    def cell(run: _Compared) -> str:
        quality = run.calibration.quality
        return with_span(getattr(quality, key), getattr(quality, f"{key}_interval"))

    return cell


def _calibration_error(run: _Compared) -> str:
    confidence = run.calibration.confidence
    return NONE if confidence is None else number(confidence.expected_calibration_error)


ROWS: Final[tuple[tuple[str, Callable[[_Compared], str]], ...]] = (
    ("filter", lambda run: run.filter),
    ("base model", lambda run: run.metadata.base_model),
    ("training articles", lambda run: number(run.training_articles)),
    ("epochs", lambda run: str(run.metadata.epochs)),
    ("trainable parameters", lambda run: number(run.metadata.trainable_parameters)),
    ("seed", lambda run: str(run.metadata.seed)),
    ("device", lambda run: run.metadata.device),
    ("label bins populated", lambda run: percent(run.audit.bins_populated)),
    ("label standard deviation", lambda run: number(run.audit.standard_deviation)),
    ("train MAE", lambda run: error_cell(run.shipped.train)),
    ("validation MAE", lambda run: error_cell(run.shipped.validation)),
    ("gap", _gap),
    ("judged on", lambda run: JUDGED_ON[run.calibration.judged_on]),
    ("published MAE", _published("mae")),
    ("published Spearman", _published("spearman")),
    ("tier agreement", _published("tier_agreement")),
    ("κ", _published("tier_kappa")),
    ("calibration error of tier_confidence", _calibration_error),
)


def _blocks(both: list[_Compared]) -> Iterator[Block]:
    yield Heading(f"{both[0].name} beside {both[1].name}", 1)
    yield Table(
        ("", *(run.name for run in both)), [(name, *map(cell, both)) for name, cell in ROWS]
    )
    if both[0].filter != both[1].filter:
        yield Paragraph(
            "The filters differ: errors of easier dimensions or narrower labels are smaller by "
            "themselves. The label bins and deviations above say how much of the difference that "
            "explains."
        )
    for run in both:
        yield Heading(f"{run.name}: each dimension")
        yield Table(
            ("dimension", "label deviation", "train MAE", "validation MAE", "published MAE"),
            [
                (
                    name,
                    number(run.audit.dimensions[name].standard_deviation),
                    error_cell(run.shipped.train, name),
                    error_cell(run.shipped.validation, name),
                    number(published.mae),
                )
                for name, published in run.calibration.quality.dimensions.items()
            ],
        )
