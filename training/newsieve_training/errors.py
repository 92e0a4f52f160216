"""What can go wrong in training. Every error is a stop with an exit code, as in worker.errors."""

from __future__ import annotations

from newsieve.errors import NeedsPerson, WrongUsage


class RecipeInvalid(WrongUsage):
    """The recipe contradicts itself, or names what there is not."""


class RunInvalid(WrongUsage):
    """Not a run folder nor a place for one, or an earlier stage is missing."""


class LabelsRefused(NeedsPerson):
    """Too many label rows are bad, or of oracles that the recipe does not name."""


class GateFailed(NeedsPerson):
    """The student is not good enough to ship."""


class FitFailed(NeedsPerson):
    """Training did not do what the recipe says."""
