"""Which rows train a student and which judge it: whole groups of duplicates, tier by tier. Pure."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from training.files import Row
from training.recipe import CROSS_VALIDATION, Split

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"


def split_names(split: Split) -> tuple[str, ...]:
    """The splits of a run; with cross-validation one, whose rows name their fold."""
    return (TRAIN,) if split.kind == CROSS_VALIDATION else (TRAIN, VALIDATION, TEST)


def divide(rows: Sequence[Row], groups: Sequence[int], split: Split) -> dict[str, list[Row]]:
    """Whole groups to splits, so that each split has its share of each tier.

    `groups` has a number for each row; a group has the tier of its first.
    """
    members: dict[int, list[Row]] = defaultdict(list)
    for row, group in zip(rows, groups, strict=True):
        members[group].append(row)
    by_tier: dict[str, list[list[Row]]] = defaultdict(list)
    for group_rows in members.values():
        by_tier[group_rows[0]["tier"]].append(group_rows)
    chance = random.Random(split.seed)
    found: dict[str, list[Row]] = {name: [] for name in split_names(split)}
    for tier in sorted(by_tier):
        chance.shuffle(by_tier[tier])
        for position, group_rows in enumerate(by_tier[tier]):
            _assign(found, group_rows, position, len(by_tier[tier]), split)
    return found


def _assign(
    found: dict[str, list[Row]], group: list[Row], position: int, count: int, split: Split
) -> None:
    if split.kind == CROSS_VALIDATION:
        found[TRAIN] += [{**row, "fold": position % split.folds} for row in group]
        return
    at = (position + 0.5) / count
    if at < split.test:
        found[TEST] += group
    elif at < split.test + split.validation:
        found[VALIDATION] += group
    else:
        found[TRAIN] += group
