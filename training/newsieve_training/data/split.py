"""Which rows train a student and which judge it: whole groups of duplicates, tier by tier. Pure."""

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
    """The splits of a run; with cross-validation one, whose rows name their fold."""
    return (TRAIN,) if split.kind == CROSS_VALIDATION else (TRAIN, VALIDATION, TEST)


def divide(rows: Sequence[Row], groups: Sequence[int], split: Split) -> dict[str, list[Row]]:
    """Whole groups to splits, so that each split has its share of each tier's articles.

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
    assign = _to_folds if split.kind == CROSS_VALIDATION else _to_parts
    for tier in sorted(by_tier):
        chance.shuffle(by_tier[tier])
        assign(found, by_tier[tier], split)
    return found


def smallest_share(split: Split) -> float:
    """Of all articles, what the smallest split or fold should have."""
    if split.kind == CROSS_VALIDATION:
        return 1 / split.folds
    return min(split.test, split.validation, 1 - split.test - split.validation)


def _to_folds(found: dict[str, list[Row]], groups: list[list[Row]], split: Split) -> None:
    """Each group to the fold with the fewest articles of this tier so far."""
    sizes = [0] * split.folds
    for group in groups:
        fold = sizes.index(min(sizes))
        sizes[fold] += len(group)
        found[TRAIN] += [{**row, "fold": fold} for row in group]


def _to_parts(found: dict[str, list[Row]], groups: list[list[Row]], split: Split) -> None:
    """Test is filled first, then validation. A group that alone is more than one of them should
    have comes last, where it is trained on; if the others are too few for the shares of all, the
    shares are of the others."""
    total = sum(map(len, groups))
    most = max(1.0, total * min(split.test, split.validation))
    others = sum(len(group) for group in groups if len(group) <= most)
    if 0 < others < total * (split.test + split.validation):
        total = others
    seen = 0
    for group in sorted(groups, key=lambda group: len(group) > most):
        at = (seen + len(group) / 2) / total
        seen += len(group)
        if at < split.test:
            found[TEST] += group
        elif at < split.test + split.validation:
            found[VALIDATION] += group
        else:
            found[TRAIN] += group
