"""Decides which rows train a student and which judge it: whole groups, tier by tier. Pure."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from newsieve_training.pipeline.files import Row
from newsieve_training.pipeline.recipe import CROSS_VALIDATION, Split

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"


def split_names(split: Split) -> tuple[str, ...]:
    """Name the splits of a run; with cross-validation it is one, whose rows name their fold."""
    return (TRAIN,) if split.kind == CROSS_VALIDATION else (TRAIN, VALIDATION, TEST)


def divide(rows: Sequence[Row], groups: Sequence[int], split: Split) -> dict[str, list[Row]]:
    """Assign whole groups to splits, so that each split has its share of each tier's articles.

    `groups` has the number of each row's group; a group has the tier of its first row.
    """
    members: dict[int, list[Row]] = defaultdict(list)
    for row, group in zip(rows, groups, strict=True):
        members[group].append(row)
    by_tier: dict[str, list[list[Row]]] = defaultdict(list)
    for group_rows in members.values():
        by_tier[group_rows[0]["tier"]].append(group_rows)
    chance = random.Random(split.seed)
    splits: dict[str, list[Row]] = {name: [] for name in split_names(split)}
    assign = _to_folds if split.kind == CROSS_VALIDATION else _to_parts
    for tier in sorted(by_tier):
        chance.shuffle(by_tier[tier])
        assign(splits, by_tier[tier], split)
    return splits


def smallest_share(split: Split) -> float:
    """Return the share of all articles that the smallest split or fold should have."""
    if split.kind == CROSS_VALIDATION:
        return 1 / split.folds
    return min(split.test, split.validation, 1 - split.test - split.validation)


def _to_folds(splits: dict[str, list[Row]], groups: list[list[Row]], split: Split) -> None:
    """Assign each group to the fold that has the fewest articles of this tier so far."""
    sizes = [0] * split.folds
    for group in groups:
        fold = sizes.index(min(sizes))
        sizes[fold] += len(group)
        splits[TRAIN] += [{**row, "fold": fold} for row in group]


def _to_parts(splits: dict[str, list[Row]], groups: list[list[Row]], split: Split) -> None:
    """Fill the test split first, then validation.

    A group that alone is larger than one of them should be comes last, where it is trained on; if
    the others are too few for shares of all articles, the shares are of the others.
    """
    total = sum(map(len, groups))
    most = max(1.0, total * min(split.test, split.validation))
    others = sum(len(group) for group in groups if len(group) <= most)
    if 0 < others < total * (split.test + split.validation):
        total = others
    seen = 0
    for group in sorted(groups, key=lambda group: len(group) > most):
        middle = (seen + len(group) / 2) / total
        seen += len(group)
        if middle < split.test:
            splits[TEST] += group
        elif middle < split.test + split.validation:
            splits[VALIDATION] += group
        else:
            splits[TRAIN] += group
