"""Draws what people review: articles at random, with known probability, and those on which oracle
and student differ most.

A function of the articles and a seed alone, so that a sample can be drawn again. Articles drawn at
random stand for all of them; the others were chosen because something is wrong with them, and stand
for nothing. It knows no store.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from newsieve.filters.sampling import EpochDraw

SEED_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")  # it keys a hash, which takes 64 bytes


class Drawn(NamedTuple):
    """An article of a sample. `pi` is the probability with which it was drawn at random, None where
    the disagreement was the reason; `place` orders the articles, and says nothing of why."""

    content_hash: bytes
    pi: float | None
    place: float


class Sample(NamedTuple):
    """What was drawn, and from how many articles."""

    drawn: list[Drawn]
    frame: int


def draw(
    frame: Iterable[bytes], disagreements: Mapping[bytes, float], size: int, seed: str
) -> Sample:
    """Draw `size` articles, each once, by the hashes of their texts.

    `disagreements` has the mean difference between oracle and student of those articles of the
    frame that have both. Half of the sample are the articles where it is largest; all others are
    the n of N in the frame with the least hash, so that pi = n/N, whatever the articles say.
    """
    at_random = size - min(size // 2, len(disagreements))
    chance = EpochDraw(f"review {seed}")
    count = 0

    def numbers() -> Iterable[tuple[float, bytes]]:
        nonlocal count
        for count, content_hash in enumerate(frame, 1):  # noqa: B007 - it is what is counted
            yield _number(chance, content_hash), content_hash

    least = {item for _, item in heapq.nsmallest(at_random, numbers())}
    ranked = sorted(
        disagreements.keys() - least, key=lambda item: (-disagreements[item], _number(chance, item))
    )
    order = EpochDraw(f"order {seed}")
    pi = len(least) / count if count else 0.0
    drawn = [
        *(Drawn(item, pi, _number(order, item)) for item in least),
        *(Drawn(item, None, _number(order, item)) for item in ranked[: size - at_random]),
    ]
    return Sample(sorted(drawn, key=lambda item: item.place), count)


def disagreement(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Return the mean absolute difference over the dimensions; None where they are not the same."""
    if not one or one.keys() != other.keys():
        return None
    return math.fsum(abs(one[name] - other[name]) for name in one) / len(one)


def starting_place(reviewer: str) -> float:
    """Return where in the order of a sample, from 0 to 1, a person begins."""
    return _number(EpochDraw("reviewer"), reviewer.encode())


def _number(chance: EpochDraw, content_hash: bytes) -> float:
    name = content_hash.hex()
    return chance.u(name, name)
