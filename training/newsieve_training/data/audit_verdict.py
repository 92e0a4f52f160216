"""Decides whether labels can be trained on, and what a student of them could not be trusted with.

Pure: the figures come in as an audit's report, reasons go out as sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from newsieve_training.data.audit_report import (
    EXPLAINED,
    NOT_USABLE,
    USABLE,
    WITH_RESERVATIONS,
    AuditReport,
)

# Below these a student can be made, but something of it cannot be said, or is worth little.
LEAST_TO_HOLD_OUT: Final = 1_000
LEAST_TIER_SHARE: Final = 0.02
LEAST_STANDARD_DEVIATION: Final = 0.5
LEAST_BINS_POPULATED: Final = 0.6
MOST_CORRELATED: Final = 0.9
MOST_OF_ONE_LANGUAGE: Final = 0.9
# Below this there is nothing to learn.
LEAST_TO_LEARN: Final = 100


def judge(report: AuditReport, *, cross_validated: bool) -> tuple[str, list[str]]:
    """Return the verdict, and the reasons for it."""
    articles = report.articles
    if articles < LEAST_TO_LEARN:
        return NOT_USABLE, [f"{articles} articles: fewer than {LEAST_TO_LEARN} teach nothing"]
    reasons = [*_about_numbers(report, cross_validated=cross_validated)]
    reasons += [*_about_dimensions(report), *_about_noise(report)]
    return WITH_RESERVATIONS if reasons else USABLE, reasons


def _about_noise(report: AuditReport) -> Iterator[str]:
    for key, noise in report.self_disagreement.items():
        of = f"{key or 'the unnamed oracle'}, which labelled {noise.share_of_articles:.0%},"
        if noise.mean_difference is None:
            yield (
                f"{of} has {noise.pairs} pairs of labels of one article: too few to say how far it "
                "is from itself"
            )
        else:
            yield (
                f"{of} differs from itself by {noise.mean_difference:.2f} points a score "
                f"({noise.pairs} pairs): on articles such as those no student of it errs by less "
                f"than {noise.noise_floor:.2f} on average, nor by less than "
                f"{noise.noise_floor_if_normal:.2f} if its errors are normal"
            )
    others = report.disagreement_of_oracles
    if others.mean_difference is not None:
        yield (
            f"different oracles differ by {others.mean_difference:.2f} points a score "
            f"({others.pairs} pairs): mixing them adds as much"
        )


def _about_numbers(report: AuditReport, *, cross_validated: bool) -> Iterator[str]:
    articles = report.articles
    if articles < LEAST_TO_HOLD_OUT and not cross_validated:
        yield (
            f"{articles} articles: a tenth of them, held out, says little; cross-validation "
            "judges by all"
        )
    for tier, count in report.tiers.items():
        if count / articles < LEAST_TIER_SHARE:
            yield f"only {count} articles ({count / articles:.1%}) are {tier}"
    language, count = next(iter(report.languages.items()))
    if count / articles > MOST_OF_ONE_LANGUAGE:
        yield f"{count / articles:.0%} of the articles are in one language, {language}"


def _about_dimensions(report: AuditReport) -> Iterator[str]:
    for name, spread in report.dimensions.items():
        if spread.standard_deviation < LEAST_STANDARD_DEVIATION:
            yield f"{name} hardly varies (standard deviation {spread.standard_deviation:.2f})"
        if spread.bins_populated < LEAST_BINS_POPULATED:
            yield f"{name} never is {', '.join(map(str, spread.empty_bins))}"
    names = list(report.correlations)
    for a, b in combinations(names, 2):
        if report.correlations[a][b] > MOST_CORRELATED:
            yield f"{a} and {b} say the same (correlation {report.correlations[a][b]:.2f})"
    really = report.dimensions_really
    if really <= len(names) // 2:
        yield (
            f"{len(names)} dimensions are really {really}: as many principal components explain "
            f"{EXPLAINED:.0%} of the variance, the first alone {report.components[0]:.0%}"
        )
