"""In which order an epoch reads its articles: batches of like length, in random order. Pure.

Padding is what training wastes most on. The order is a function of seed and epoch alone, so a fit
that was killed in the middle of an epoch goes on with the very batches that were left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

# Articles that are sorted together: the more, the less padding; the fewer, the more a batch differs
# from epoch to epoch.
POOL_BATCHES: Final = 50
LEAST_POOLS: Final = 4  # or small data would have the same batches in every epoch


def reading_order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[int]:
    """Indices into `lengths`, each once. Every `batch` of them in a row are of like length; the
    first holds the longest article, so that memory runs out at once or never."""
    chance = np.random.default_rng([seed, epoch])
    pool = batch * max(1, min(POOL_BATCHES, len(lengths) // (batch * LEAST_POOLS)))
    shuffled: list[int] = chance.permutation(len(lengths)).tolist()
    rest = len(shuffled) % batch
    full, last = shuffled[: len(shuffled) - rest], shuffled[len(shuffled) - rest :]
    batches = []
    for start in range(0, len(full), pool):
        pooled = sorted(full[start : start + pool], key=lambda index: -lengths[index])
        batches += [pooled[at : at + batch] for at in range(0, len(pooled), batch)]
    order: list[int] = chance.permutation(len(batches)).tolist()
    longest = max(order, key=lambda at: lengths[batches[at][0]], default=None)
    order.sort(key=lambda at: at != longest)
    return [index for at in order for index in batches[at]] + last
