"""Lays articles out in one row, without padding between them. Pure: no torch.

A device that compiles or captures its work wants few different shapes. So a row is filled up to one
of a few counts of tokens with articles that nobody reads, and its list of offsets to the count of
articles that suits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from newsieve.inference.forward import Batch

FILLER_ID: Final = 0  # what nobody reads
PARTS_OF_BUDGET: Final = (8, 4, 2, 1)  # a row is filled up to one of these parts of the budget
# Offsets without articles cost little, not nothing. News has 170 to 350 tokens, so that rows of
# articles with fewer than 64 are rare; one of more articles has a shape of its own.
TOKENS_PER_ARTICLE: Final = 64
FEWEST_ARTICLES: Final = 16


class RowShape(NamedTuple):
    """The size of a row: how many tokens it has, and offsets for how many articles."""

    tokens: int
    articles: int


@dataclass(frozen=True, slots=True)
class RowArrays:
    """A row in the host's memory: what stands where."""

    ids: npt.NDArray[np.int64]  # (1, tokens)
    positions: npt.NDArray[np.int64]  # (1, tokens), counted within each article
    offsets: npt.NDArray[np.int32]  # (articles + 1,), where articles begin and end

    @property
    def shape(self) -> RowShape:
        """The shape of this row."""
        return RowShape(self.ids.shape[1], len(self.offsets) - 1)


def fixed_shapes(budget_tokens: int) -> list[RowShape]:
    """The shapes that rows within the budget are filled up to, smallest first."""
    counts = sorted({budget_tokens // part for part in PARTS_OF_BUDGET} - {0})
    return [RowShape(count, _articles(count)) for count in counts]


def lay_out(
    batch: Batch, shapes: Sequence[RowShape], longest: int, padding_id: int | None = None
) -> RowArrays:
    """Lay a batch out in a row of the smallest shape that holds it, else of a shape of its own.

    No filler is longer than `longest`, which is the length of the longest article there can be.
    Positions begin with 0, or after `padding_id` where there is one, as RoBERTa counts them.
    Raises ValueError for an article without tokens: it would get its predecessor's scores.
    """
    lengths = [len(ids) for ids in batch]
    if 0 in lengths:
        raise ValueError("an article without tokens cannot be scored")
    used = sum(lengths)
    tokens = next((shape.tokens for shape in shapes if shape.tokens >= used), used)
    fillers = _fillers(tokens - used, longest)
    ends = np.cumsum([*lengths, *fillers])
    offsets = np.full(max(_articles(tokens), len(ends)) + 1, tokens, dtype=np.int32)
    offsets[0] = 0
    offsets[1 : len(ends) + 1] = ends
    ids = np.full((1, tokens), FILLER_ID, dtype=np.int64)
    ids[0, :used] = np.concatenate([np.asarray(article, dtype=np.int64) for article in batch])
    positions = _positions(ids[0], offsets, padding_id)
    return RowArrays(ids, positions[np.newaxis], offsets)


def _positions(
    ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int32], padding_id: int | None
) -> npt.NDArray[np.int64]:
    """The position of each token in its article."""
    lengths = np.diff(offsets)
    if padding_id is None:
        places = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)
    else:
        counts = ids != padding_id  # the padding's id does not count, wherever it stands
        counted = np.cumsum(counts)
        before = np.concatenate([[0], counted])[offsets[:-1]]
        places = (counted - np.repeat(before, lengths)) * counts + padding_id
    return places.astype(np.int64, copy=False)


def _articles(tokens: int) -> int:
    return max(-(-tokens // TOKENS_PER_ARTICLE), FEWEST_ARTICLES)


def _fillers(tokens: int, longest: int) -> list[int]:
    """The lengths of the articles that fill a row up."""
    whole, rest = divmod(tokens, longest)
    return [longest] * whole + [rest] * bool(rest)


def synthetic_batch(
    tokens: int, longest: int, vocabulary: int, generator: np.random.Generator
) -> list[list[int]]:
    """Make articles of random ids and of lengths as news has, to measure and to compare with."""
    batch: list[list[int]] = []
    shortest = min(TOKENS_PER_ARTICLE, longest)
    room = tokens
    while room:  # the longest are cut at the student's window, as half of all news is
        length = min(int(generator.integers(shortest, 2 * longest)), longest, room)
        batch.append(generator.integers(vocabulary, size=length).tolist())
        room -= length
    return batch
