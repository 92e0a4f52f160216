"""What a report says, section by section, as blocks. Pure: what the stages found comes in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from newsieve_training.evaluation.baselines import NAMES
from newsieve_training.evaluation.quality_gate import gate_failures
from newsieve_training.fit.epochs import gap_of, gap_sentence, mean_history, shipped_entry
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.reports.document import Block, Heading, Paragraph, Picture, Points, Table
from newsieve_training.reports.formatting import JUDGED_ON, NONE, SCORERS, number, percent, span
from newsieve_training.reports.tables import (
    calibration_blocks,
    dimension_table,
    provenance,
    quality_table,
    scored_alone,
    slice_blocks,
    tier_blocks,
    worst_table,
)

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class TrainingReport:
    """A run's files, read."""

    filter: str
    recipe: Recipe
    manifest: Facts
    audit: Facts
    metadata: Facts
    history: Mapping[str, Any]
    metrics: Facts
    calibration: Facts

    @property
    def judged_on(self) -> str:
        name: str = self.metrics["judged_on"]
        return name

    @property
    def scorers(self) -> dict[str, Any]:
        """What judged articles say of each, the published scores first."""
        return {
            "published": self.calibration["quality"],
            **self.metrics["quality"][self.judged_on],
        }

    @property
    def epochs(self) -> list[dict[str, Any]]:
        return mean_history(self.history)

    @property
    def shipped(self) -> dict[str, Any]:
        return shipped_entry(self.history)

    @property
    def failures(self) -> list[str]:
        scorers = self.scorers
        baselines = {name: scorers[name] for name in NAMES}
        return gate_failures(
            self.recipe.gate, scorers["published"], baselines, self.metadata["start"]
        )

    def summary(self) -> Iterator[Block]:
        """The report on a page."""
        yield Heading(f"Training report: {self.filter}", 1)
        yield Paragraph(self.recipe.purpose)
        yield self._verdict()
        yield from scored_alone(self.calibration["scored"])
        yield Heading("Configuration")
        yield Table(("setting", "value"), list(self._configuration()))
        yield Heading("Training")
        yield from self._training()
        yield Heading("Quality")
        yield from self._quality()

    def whole(self) -> Iterator[Block]:
        """The Word report: everything that `evaluate` and `calibrate` found."""
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
        yield from slice_blocks(self.metrics["slices"])
        yield Heading("What the splits that chose something say")
        yield from self._other_splits()
        yield Heading("Worst cases")
        yield worst_table(self.metrics["worst"])
        yield Heading("Repeating it")
        yield Paragraph(self._machine())

    def _verdict(self) -> Paragraph:
        published = self.scorers["published"]
        text = (
            f"On {published['articles']} articles ({JUDGED_ON[self.judged_on]}) the published "
            f"scores are off by {number(published['mae'])} points on average "
            f"({span(published['mae_interval'])}); {percent(published['tier_agreement'])} of the "
            f"tiers agree with the oracle's (κ {number(published['tier_kappa'])}). "
        )
        if self.failures:
            return Paragraph(f"{text}The gate is missed: {'; '.join(self.failures)}.")
        return Paragraph(text + "The gate is passed.")

    def _configuration(self) -> Iterator[tuple[str, str]]:
        for name, value in self.metadata.items():
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
                    str(entry["epoch"]),
                    number(entry["train"]["mae"]),
                    number(entry["validation"] and entry["validation"]["mae"]),
                    number(entry["train"]["loss"]),
                    number(entry["validation"] and entry["validation"]["loss"]),
                    f"{entry['learning_rate']:.2g}",
                    f"{entry['seconds']:.0f}",
                )
                for entry in self.epochs
            ],
        )
        if "fold-0" in self.history:
            yield Paragraph("Means over the folds.")
        yield Paragraph(gap_sentence(gap_of(self.shipped)))
        yield from provenance(self.metadata, self.shipped)

    def _quality(self) -> Iterator[Block]:
        yield quality_table({SCORERS[name]: found for name, found in self.scorers.items()})
        yield Paragraph(
            "Intervals are 95 %, by bootstrap over the articles. Shuffled: the error with the "
            "texts shuffled against the labels; a scorer that reads must get much worse."
        )
        published = self.scorers["published"]["dimensions"]
        yield Table(
            ("dimension", "train MAE", "validation MAE", "published MAE"),
            [
                (
                    name,
                    number(self.shipped["train"]["dimensions"][name]["mae"]),
                    number(
                        self.shipped["validation"]
                        and self.shipped["validation"]["dimensions"][name]["mae"]
                    ),
                    number(published[name]["mae"]),
                )
                for name in published
            ],
        )

    def _data(self) -> Iterator[Block]:
        rows, by_split = self.manifest["rows"], self.manifest["tiers"]
        tiers = list(dict.fromkeys(tier for found in by_split.values() for tier in found))
        yield Table(
            ("split", "articles", *tiers),
            [
                (name, f"{count:,}", *(f"{by_split[name].get(tier, 0):,}" for tier in tiers))
                for name, count in rows.items()
            ],
        )
        yield Points(
            [
                f"oracles: {_counts(self.manifest['oracles'])}",
                f"languages: {_counts(self.manifest['languages'])}",
                f"groups of duplicates: {self.manifest['duplicate_groups']}",
                f"bad rows left out: {self.manifest['bad_rows']}",
                f"rows of oracles that the recipe does not name: "
                f"{self.manifest['rows_of_unnamed_oracles']}",
                "articles left out since they speak to a model: "
                f"{self.manifest.get('suspect_articles_left_out', 0)}",
                *self.manifest.get("remarks", ()),
            ]
        )
        yield Paragraph(f"The labels are {self.audit['verdict']}:")
        yield Points(self.audit["reasons"])

    def _other_splits(self) -> Iterator[Block]:
        others = {k: v for k, v in self.metrics["quality"].items() if k != self.judged_on}
        if not others:
            yield Paragraph("There is none: with cross-validation all articles judge.")
        for name, found in others.items():
            yield Heading(JUDGED_ON[name], 3)
            yield quality_table({SCORERS[key]: item for key, item in found.items()})
            for key, quality in found.items():
                yield Heading(f"{SCORERS[key]}, {name}", 4)
                yield dimension_table(quality)
                yield from tier_blocks(quality)

    def _machine(self) -> str:
        facts = self.metadata
        return (
            f"Made on {facts['device']} with {facts['threads']} threads in {facts['processes']} "
            f"process(es), seed {facts['seed']}. The same seed, data and versions on the same "
            "machine and threads give the same weights to the bit. Another machine or number of "
            "threads adds in another order: the weights then differ slightly, and the figures by "
            "about as much as another seed's."
        )


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unnamed'} ({count:,})" for name, count in found.items())
