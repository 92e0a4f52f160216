"""What can go wrong in training. Every error ends the command, as those of newsieve.errors do."""

from __future__ import annotations

from newsieve.errors import NeedsPerson, WrongUsage


class RecipeInvalid(WrongUsage):
    """The recipe contradicts itself, or names something that does not exist."""


class RunInvalid(WrongUsage):
    """A folder is no run and cannot become one, a file of a run is damaged, or an earlier stage is
    missing or out of date."""


class LabelsRefused(NeedsPerson):
    """Too many label rows are bad, or their oracles are not those that the recipe names."""


class GateFailed(NeedsPerson):
    """The student is not good enough to ship."""


class FitFailed(NeedsPerson):
    """Training did not do what the recipe says."""
