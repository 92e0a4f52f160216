"""Says whether a new student should take an old one's place, by the same held-out labels.

Differences are paired, article by article. The comparison is fair only where neither student was
trained on what judges: it is for a run that extends the old student's own run, others say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED
from newsieve.filters.tiering import round_scores
from newsieve.inference.base_files import PACKAGE_PREFIX, TRUSTED_PACKAGES
from newsieve.inference.student import Student, load_student
from newsieve_training.data.prepare import EARLIER
from newsieve_training.errors import RunInvalid
from newsieve_training.evaluation.drift_baseline import reference_rows
from newsieve_training.evaluation.evaluate import Evaluated, evaluated, source_split, test_split
from newsieve_training.evaluation.metrics import DECIMALS, paired_difference, quality
from newsieve_training.evaluation.predict import predict
from newsieve_training.evaluation.results import PairedDifference, Quality
from newsieve_training.fit.warm_start import never_saw_test_articles
from newsieve_training.pipeline.files import read_jsonl, write_text
from newsieve_training.pipeline.graph import CALIBRATE, EVALUATE
from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.pipeline.result_files import Part, ResultFile
from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, Run
from newsieve_training.pipeline.stage import require_up_to_date
from newsieve_training.reports.document import Block, Heading, Paragraph, Table, as_markdown
from newsieve_training.reports.formatting import JUDGED_ON, number, span
from newsieve_training.reports.tables import quality_table

Floats = npt.NDArray[np.float64]

NEW: Final = "new"
OLD: Final = "old"
BETTER: Final = "better"
WORSE: Final = "worse"
MIXED: Final = "better in error, worse in tiers"
NOT_SHOWN: Final = "not shown to differ"
NOT_FAIR: Final = "not fairly comparable"
ONE_SIDED: Final = 1.645  # standard errors above a mean: 95 %
LEAST_BASELINE_ROWS: Final = 30  # of a stratum, for the drift monitor's limits to be worth much


class BaselineErrors(Part):
    """The error of a stratum from which the drift monitor starts: its mean, and the one-sided 95 %
    limit above it."""

    articles: int
    mae: float
    limit: float


class PromotionReport(Part, ResultFile):
    """The content of training_reports/promotion_report.json. Differences are new minus old."""

    FILE: ClassVar = f"{REPORTS_FOLDER}/promotion_report.json"

    verdict: str
    old: str
    is_fair: bool
    judged_on: str
    articles: int
    quality: dict[str, Quality]
    mae: PairedDifference
    tier_agreement: PairedDifference
    dimensions: dict[str, PairedDifference]
    drift_baseline: dict[str, BaselineErrors]


def promotion(run: Run, old_folder: Path) -> str:
    """Write training_reports/promotion_report.md and .json, and return the verdict.

    Raises RunInvalid, StudentInvalid.
    """
    unseen = _unseen(run)
    if not len(unseen):
        raise RunInvalid(
            f"the old student may have been trained on every article that judges {run.folder}: "
            "prepare the new run with --extend and labels that the old one has not seen"
        )
    for stage in (EVALUATE, CALIBRATE):
        require_up_to_date(run, stage)
    filter_ = run.filter
    own = run.recipe.base.name.removeprefix(PACKAGE_PREFIX)
    trusted = (*TRUSTED_PACKAGES, own)  # whoever wrote the recipe trusts its base
    old = load_student(filter_, old_folder, trusted_packages=trusted, dtype="fp32")
    subject = evaluated(run, test_split(run), filter_)
    names = filter_.definition.dimension_names
    published = list(read_jsonl(run.path("predictions", "published.jsonl")))
    scores = {
        NEW: np.array([[published[row]["student"][name] for name in names] for row in unseen]),
        OLD: _old_scores(old, subject.only(unseen)),
    }
    report = _compare(run, filter_, old, subject.only(unseen), scores)
    report.write(run.folder)
    write_text(run.path(REPORTS_FOLDER, "promotion_report.md"), as_markdown(list(_blocks(report))))
    return report.verdict


def _unseen(run: Run) -> npt.NDArray[np.intp]:
    """Return the judging articles that the old student cannot have been trained on. A held-out
    split of the old run stays held out; with cross-validation it has seen all of its run."""
    rows = run.rows(source_split(test_split(run)))
    crossed = test_split(run) == CROSS_VALIDATION
    return np.flatnonzero([not (crossed and row.get(EARLIER, False)) for row in rows])


def _old_scores(old: Student, subject: Evaluated) -> Floats:
    """Score the articles by the old student, as the worker publishes its scores."""
    tokens = old.tokeniser.encode([row["text"] for row in subject.rows])
    calibration = old.manifest.score_calibration(old.filter.tiering)
    return round_scores(calibration.scores(predict(old.forward, tokens, "scoring by the old one")))


def _compare(
    run: Run, filter_: Filter, old: Student, subject: Evaluated, scores: Mapping[str, Floats]
) -> PromotionReport:
    seed, rules = run.recipe.split.seed, subject.rules
    errors = {name: np.abs(values - subject.oracle) for name, values in scores.items()}
    theirs = filter_.tiering.decide(subject.oracle, rules).tier
    hits = {
        name: _equal(filter_.tiering.decide(values, rules).tier, theirs)
        for name, values in scores.items()
    }
    error = paired_difference(errors[NEW].mean(axis=1), errors[OLD].mean(axis=1), seed)
    agreement = paired_difference(hits[NEW], hits[OLD], seed)
    is_fair = never_saw_test_articles(run, old.manifest)
    return PromotionReport(
        verdict=verdict_of(error.interval, agreement.interval) if is_fair else NOT_FAIR,
        old=old.hash,
        is_fair=is_fair,
        judged_on=test_split(run),
        articles=len(subject.rows),
        quality={
            name: quality(filter_, values, subject.oracle, rules, seed)
            for name, values in scores.items()
        },
        mae=error,
        tier_agreement=agreement,
        dimensions={
            name: paired_difference(errors[NEW][:, column], errors[OLD][:, column], seed)
            for column, name in enumerate(filter_.definition.dimension_names)
        },
        drift_baseline=_drift_baseline(run, filter_),
    )


def _equal(ours: Sequence[str], theirs: Sequence[str]) -> Floats:
    return np.array([a == b for a, b in zip(ours, theirs, strict=True)], dtype=np.float64)


def verdict_of(error: Sequence[float], agreement: Sequence[float]) -> str:
    """Decide by intervals of new minus old, of the error, where less is better, and agreement."""
    is_better, is_worse = error[1] < 0, error[0] > 0
    if is_better and agreement[1] < 0:
        return MIXED
    if is_better:
        return BETTER
    return WORSE if is_worse or agreement[1] < 0 else NOT_SHOWN


def _drift_baseline(run: Run, filter_: Filter) -> dict[str, BaselineErrors]:
    errors: dict[str, list[float]] = {LOW: [], SURFACED: []}
    for row in reference_rows(run, filter_):
        differences = [abs(row["student"][name] - row["oracle"][name]) for name in row["oracle"]]
        errors[row["stratum"]].append(float(np.mean(differences)))
    return {
        stratum: BaselineErrors(
            articles=len(each),
            mae=round(float(np.mean(each)), DECIMALS),
            limit=round(
                float(np.mean(each) + ONE_SIDED * np.std(each, ddof=1) / len(each) ** 0.5),
                DECIMALS,
            ),
        )
        for stratum, each in errors.items()
        if len(each) > 1
    }


SENTENCES: Final = {
    BETTER: "The new student is better than the old one: promote it.",
    WORSE: "The new student is worse than the old one: do not promote it.",
    MIXED: "The new student errs less than the old one, but its tiers agree less with the "
    "oracle's: do not promote it before you know why.",
    NOT_SHOWN: "The new student is not shown to be better or worse than the old one: "
    "more held-out labels would tell, or there is another reason to promote it.",
    NOT_FAIR: "This run does not extend all the data that the old student was trained on: the old "
    "one may have been trained on some of these articles, its figures may flatter it, and the "
    "comparison recommends nothing. To compare fairly, prepare with --extend the run that made it.",
}


def _blocks(report: PromotionReport) -> Iterator[Block]:
    yield Heading("Promotion: the new student against the old one", 1)
    yield Paragraph(SENTENCES[report.verdict])
    yield Paragraph(
        f"On {report.articles} articles ({JUDGED_ON[report.judged_on]}), scores as published. "
        f"Mean absolute error, new minus old: {report.mae.difference:+.3f} (95 %: "
        f"{span(report.mae.interval)}), by paired bootstrap over the articles."
    )
    yield quality_table(report.quality)
    rows = {"all tiers, agreement": report.tier_agreement, **report.dimensions}
    yield Table(
        ("new minus old", "difference", "95 %"),
        [(name, f"{item.difference:+.3f}", span(item.interval)) for name, item in rows.items()],
    )
    yield Heading("The drift monitor's new baseline")
    yield Paragraph(
        "A new student has errors of its own: the monitor starts again from baseline.jsonl of its "
        "folder. Limits are one-sided, 95 %."
    )
    yield Table(
        ("stratum", "articles", "MAE", "limit"),
        [
            (name, str(item.articles), number(item.mae), number(item.limit))
            for name, item in report.drift_baseline.items()
        ],
    )
    for name, item in report.drift_baseline.items():
        if item.articles < LEAST_BASELINE_ROWS:
            yield Paragraph(f"{item.articles} articles of {name} are few: its limit is wide.")
    yield Heading("Promoting and rolling back")
    yield Paragraph(
        "Let the worker's student folder be the new one (NEWSIEVE_STUDENT__FOLDERS, or the "
        "filter's own student/) and restart it; the old folder and a restart roll back."
    )
