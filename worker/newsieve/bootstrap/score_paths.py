"""Loads the students of a server that scores, and builds a path for each of its filters.

The paths share one scorer, whose batches mix the texts of all that is asked of any of them. It
knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newsieve.bootstrap.students import identities_of, load_students, make_scorer, scoring_path
from newsieve.errors import WrongUsage
from newsieve.inference.scorer import Scorer
from newsieve.programs.scoring.path import ScoringPath
from newsieve.settings.loader import Settings


@dataclass(frozen=True, slots=True)
class ScorePaths:
    """The paths of filters whose students are loaded, and the students' hashes, both by the
    filters' names; `scorer` is that of all paths."""

    paths: Mapping[str, ScoringPath]
    students: Mapping[str, str]
    scorer: Scorer


def load_score_paths(settings: Settings, references: Sequence[str]) -> ScorePaths:
    """Load the students of these filters, each given as a name or `name/vN`.

    Raises UnknownFilter, FilterInvalid, StudentInvalid or CanaryMismatch; WrongUsage where a
    filter is named twice.
    """
    filters = [settings.filters.registry.load(reference) for reference in references]
    names = [item.name for item in filters]
    if len(set(names)) < len(names):
        raise WrongUsage("one version of a filter can be served at a time: name each filter once")
    students = load_students(settings, filters)
    scorer = make_scorer(students)
    identities = identities_of(students)
    return ScorePaths(
        {item.filter.name: scoring_path(settings, [item], scorer) for item in identities},
        {item.filter.name: item.hash for item in identities},
        scorer,
    )
