"""Writes the training report, section by section, as blocks. Pure: results of stages come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from newsieve_training.data.audit_report import AuditReport
from newsieve_training.data.manifest import DataManifest
from newsieve_training.evaluation.baselines import NAMES
from newsieve_training.evaluation.quality_gate import gate_failures
from newsieve_training.evaluation.results import (
    PUBLISHED,
    CalibrationReport,
    Metrics,
    Quality,
    scorers_of,
)
from newsieve_training.fit.epochs import Epoch, TrainingHistory, gap_of, gap_sentence
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.result_files import as_json
from newsieve_training.reports.document import Block, Heading, Paragraph, Picture, Points, Table
from newsieve_training.reports.formatting import JUDGED_ON, NONE, SCORERS, number, percent, span
from newsieve_training.reports.tables import (
    calibration_blocks,
    dimension_table,
    error_cell,
    provenance,
    quality_table,
    scored_alone,
    slice_blocks,
    tier_blocks,
    worst_table,
)


@dataclass(frozen=True)
class TrainingReport:
    """The results of a run that its reports show."""

    filter: str
    recipe: Recipe
    manifest: DataManifest
    audit: AuditReport
    metadata: TrainingMetadata
    history: TrainingHistory
    metrics: Metrics
    calibration: CalibrationReport

    @property
    def scorers(self) -> Mapping[str, Quality]:
        """The quality of each scorer on the judging articles, the published scores first."""
        return scorers_of(self.metrics, self.calibration)

    @property
    def shipped(self) -> Epoch:
        return self.history.shipped

    @property
    def failures(self) -> list[str]:
        scorers = self.scorers
        baselines = {name: scorers[name] for name in NAMES}
        return gate_failures(self.recipe.gate, scorers[PUBLISHED], baselines, self.metadata.start)

    def summary(self) -> Iterator[Block]:
        """Yield the report on a page."""
        yield Heading(f"Training report: {self.filter}", 1)
        yield Paragraph(self.recipe.purpose)
        yield self._verdict()
        yield from scored_alone(self.calibration.scored)
        yield Heading("Configuration")
        yield Table(("setting", "value"), list(self._configuration()))
        yield Heading("Training")
        yield from self._training()
        yield Heading("Quality")
        yield from self._quality()

    def whole(self) -> Iterator[Block]:
        """Yield the Word report: everything that `evaluate` and `calibrate` found."""
        yield from self.summary()
        yield Picture("overall_metrics.png", "Students and baselines on the same articles.")
        yield Picture("per_dimension_mae.png", "Mean absolute error by dimension.")
        yield Picture("loss_curves.png", "Loss and error by epoch.")
        yield Heading("Data")
        yield from self._data()
        yield Heading("Each dimension and tier")
        for name, quality in self.scorers.items():
            yield Heading(SCORERS[name], 3)
            yield dimension_table(quality)
            yield from tier_blocks(quality)
        yield Heading("Calibration and confidence")
        yield from calibration_blocks(self.calibration)
        yield Picture("calibration.png", "Reliability of tier_confidence; calibration curves.")
        yield Heading("Slices")
        yield from slice_blocks(self.metrics.slices)
        yield Heading("What the splits that chose something say")
        yield from self._other_splits()
        yield Heading("Worst cases")
        yield worst_table(self.metrics.worst)
        yield Heading("Repeating it")
        yield Paragraph(self._machine())

    def _verdict(self) -> Paragraph:
        published = self.calibration.quality
        text = (
            f"On {published.articles} articles ({JUDGED_ON[self.metrics.judged_on]}) the published "
            f"scores are off by {number(published.mae)} points on average "
            f"({span(published.mae_interval)}); {percent(published.tier_agreement)} of the "
            f"tiers agree with the oracle's (κ {number(published.tier_kappa)}). "
        )
        if self.failures:
            return Paragraph(f"{text}The gate is missed: {'; '.join(self.failures)}.")
        return Paragraph(text + "The gate is passed.")

    def _configuration(self) -> Iterator[tuple[str, str]]:
        for name, value in as_json(self.metadata).items():
            text = f"{value:,}" if isinstance(value, int) else str(NONE if value is None else value)
            if isinstance(value, dict):
                text = ", ".join(f"{key} {item}" for key, item in value.items())
            yield name.replace("_", " "), text

    def _training(self) -> Iterator[Block]:
        yield Table(
            (
                "epoch",
                "train MAE",
                "validation MAE",
                "train loss",
                "validation loss",
                "rate",
                "seconds",
            ),
            [
                (
                    str(item.epoch),
                    error_cell(item.train),
                    error_cell(item.validation),
                    number(item.train.loss),
                    NONE if item.validation is None else number(item.validation.loss),
                    f"{item.learning_rate:.2g}",
                    f"{item.seconds:.0f}",
                )
                for item in self.history.epochs
            ],
        )
        if self.history.is_cross_validated:
            yield Paragraph("Means over the folds.")
        yield Paragraph(gap_sentence(gap_of(self.shipped)))
        yield from provenance(self.metadata, self.shipped)

    def _quality(self) -> Iterator[Block]:
        yield quality_table({SCORERS[name]: quality for name, quality in self.scorers.items()})
        yield Paragraph(
            "Intervals are 95 %, by bootstrap over the articles. Shuffled: the error with the "
            "texts shuffled against the labels; a scorer that reads must get much worse."
        )
        shipped = self.shipped
        yield Table(
            ("dimension", "train MAE", "validation MAE", "published MAE"),
            [
                (
                    name,
                    error_cell(shipped.train, name),
                    error_cell(shipped.validation, name),
                    number(published.mae),
                )
                for name, published in self.calibration.quality.dimensions.items()
            ],
        )

    def _data(self) -> Iterator[Block]:
        manifest, by_split = self.manifest, self.manifest.tiers
        tiers = list(dict.fromkeys(tier for counts in by_split.values() for tier in counts))
        yield Table(
            ("split", "articles", *tiers),
            [
                (name, f"{count:,}", *(f"{by_split[name].get(tier, 0):,}" for tier in tiers))
                for name, count in manifest.rows.items()
            ],
        )
        yield Points(
            [
                f"oracles: {_counts(manifest.oracles)}",
                f"languages: {_counts(manifest.languages)}",
                f"groups of duplicates: {manifest.duplicate_groups}",
                f"bad rows left out: {manifest.bad_rows}",
                "rows of oracles that the recipe does not name: "
                f"{manifest.rows_of_unnamed_oracles}",
                "articles left out since they speak to a model: "
                f"{manifest.suspect_articles_left_out}",
                *manifest.remarks,
            ]
        )
        yield Paragraph(f"The labels are {self.audit.verdict}:")
        yield Points(self.audit.reasons)

    def _other_splits(self) -> Iterator[Block]:
        judging = self.metrics.judged_on
        others = {name: by for name, by in self.metrics.quality.items() if name != judging}
        if not others:
            yield Paragraph("There is none: with cross-validation all articles judge.")
        for name, by_scorer in others.items():
            yield Heading(JUDGED_ON[name], 3)
            yield quality_table({SCORERS[key]: item for key, item in by_scorer.items()})
            for key, quality in by_scorer.items():
                yield Heading(f"{SCORERS[key]}, {name}", 4)
                yield dimension_table(quality)
                yield from tier_blocks(quality)

    def _machine(self) -> str:
        made = self.metadata
        return (
            f"Made on {made.device} with {made.threads} threads in {made.processes} "
            f"process(es), seed {made.seed}. The same seed, data and versions on the same "
            "machine and threads give the same weights to the bit. Another machine or number of "
            "threads adds in another order: the weights then differ slightly, and the figures by "
            "about as much as another seed's."
        )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unnamed'} ({count:,})" for name, count in counts.items())
