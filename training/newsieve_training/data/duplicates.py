"""Finds the rows that are about one article: nearly the same text, same id, same address. Pure.

An id or address that stands for many different texts names no article: a feed's address, a "nan" in
the id's place. Such rows are told apart by their texts alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from datasketch import MinHash, MinHashLSH
from scipy.cluster.hierarchy import DisjointSet

from newsieve.filters.address import canonical_address
from newsieve.filters.folding import fold
from newsieve_training.pipeline.files import Row

SHINGLE_WORDS: Final = 5
PERMUTATIONS: Final = 128
# An article that is rewritten while its news breaks has a few texts that are not even nearly the
# same; a feed or a placeholder has hundreds.
MOST_TEXTS_OF_AN_ARTICLE: Final = 10
# What exports write where there is no id.
_NO_IDS: Final = frozenset({"", "-", "n/a", "na", "nan", "nil", "none", "null", "undefined"})
_WORD: Final = re.compile(r"\w+")


class Shared(NamedTuple):
    """An id or address that more than one article has, and the number of their texts."""

    kind: str
    value: str
    texts: int


class Groups(NamedTuple):
    """The number of each row's group, and the ids and addresses that would have joined different
    articles, those with most texts first."""

    numbers: list[int]
    shared: list[Shared]


def groups_of(rows: Sequence[Row], similarity: float, advance: Callable[[int], None]) -> Groups:
    """Group rows that are about one article. `similarity` is Jaccard's, of shingles of words, from
    which two texts are one; `advance` is called after each row."""
    groups = DisjointSet(range(len(rows)))
    _join_texts(groups, rows, similarity, advance)
    texts = _numbers(groups)  # before ids and addresses join them
    ids = {index: row["id"] for index, row in enumerate(rows)}
    addresses = {index: canonical_address(row["url"] or "") for index, row in enumerate(rows)}
    shared = [
        *_join(groups, "id", ids, texts, lambda value: value.strip().lower() in _NO_IDS),
        *_join(groups, "address", addresses, texts, lambda _: False),
    ]
    return Groups(_numbers(groups), sorted(shared, key=lambda item: (-item.texts, item)))


def _numbers(groups: DisjointSet) -> list[int]:
    """Return the number of each row's group: the row that stands for all of the group."""
    return [groups[row] for row in groups]


def _join_texts(
    groups: DisjointSet, rows: Sequence[Row], similarity: float, advance: Callable[[int], None]
) -> None:
    first: dict[str, int] = {}
    near = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)
    for index, row in enumerate(rows):
        words = _words(row["text"])
        same = first.setdefault(" ".join(words) or fold(row["text"]), index)
        groups.merge(index, same)
        if same == index and words:
            fingerprint = _min_hash(words)
            for other in near.query(fingerprint):
                groups.merge(index, other)
            near.insert(index, fingerprint)
        advance(1)


def _join(
    groups: DisjointSet,
    kind: str,
    values: dict[int, str | None],
    texts: Sequence[int],
    is_none: Callable[[str], bool],
) -> Iterable[Shared]:
    """Join rows that share a value; yield instead a value that different articles share."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, value in values.items():
        if value:
            members[value].append(index)
    for value, indices in members.items():
        different = len({texts[index] for index in indices})
        if different > MOST_TEXTS_OF_AN_ARTICLE or (different > 1 and is_none(value)):
            yield Shared(kind, value, different)
        elif not is_none(value):
            for index in indices:
                groups.merge(index, indices[0])


def _words(text: str) -> list[str]:
    """Return the words of a text, whose Unicode form (ligatures, soft hyphens) does not matter."""
    return _WORD.findall(fold(text).casefold())


def _min_hash(words: Sequence[str]) -> MinHash:
    shingles = {
        " ".join(words[start : start + SHINGLE_WORDS]).encode()
        for start in range(max(1, len(words) - SHINGLE_WORDS + 1))
    }
    fingerprint = MinHash(num_perm=PERMUTATIONS)
    fingerprint.update_batch(list(shingles))
    return fingerprint
