"""Draws the order in which an epoch reads its articles: groups of like length, as large as what is
on a device at once, in random order. Pure.

Padding is what training wastes most on. The order is a function of seed and epoch alone, so a fit
that was killed in the middle of an epoch goes on with the very batches that were left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

# Groups that are sorted together: the more, the less padding; the fewer, the more a group differs
# from epoch to epoch.
POOL_GROUPS: Final = 50
LEAST_POOLS: Final = 4  # or small data would have the same groups in every epoch


def length_grouped_order(lengths: Sequence[int], group: int, seed: int, epoch: int) -> list[int]:
    """Return indices into `lengths`, each once. Every `group` of them in a row are of like length;
    the first holds the longest article, so that memory runs out at once or never.

    A group should be a micro-batch: a step over several then sees several lengths. Texts of one
    length are of one kind, and steps over one kind at a time learn more slowly.
    """
    chance = np.random.default_rng([seed, epoch])
    pool = group * max(1, min(POOL_GROUPS, len(lengths) // (group * LEAST_POOLS)))
    shuffled: list[int] = chance.permutation(len(lengths)).tolist()
    rest = len(shuffled) % group
    full, last = shuffled[: len(shuffled) - rest], shuffled[len(shuffled) - rest :]
    groups = []
    for start in range(0, len(full), pool):
        pooled = sorted(full[start : start + pool], key=lambda index: -lengths[index])
        groups += [pooled[first : first + group] for first in range(0, len(pooled), group)]
    order: list[int] = chance.permutation(len(groups)).tolist()
    longest = max(order, key=lambda number: lengths[groups[number][0]], default=None)
    order.sort(key=lambda number: number != longest)
    return [index for number in order for index in groups[number]] + last
