"""Which rows are about one article: nearly the same text, same id, same address. Pure.

An id or address that stands for many different texts names no article: a feed's address, a "nan" in
the id's place. Such rows are told apart by their texts alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from datasketch import MinHash, MinHashLSH

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
    """An id or address of more than one article, and how many texts it stands for."""

    kind: str
    value: str
    texts: int


class Groups(NamedTuple):
    """For each row the number of its group; what would have made groups of different articles,
    most texts first."""

    numbers: list[int]
    shared: list[Shared]


def groups_of(rows: Sequence[Row], similarity: float, advance: Callable[[int], None]) -> Groups:
    """`similarity` is Jaccard's, of shingles of words; `advance` hears of each row that was looked
    at."""
    union = _Union(len(rows))
    _join_texts(union, rows, similarity, advance)
    texts = union.numbers()  # before ids and addresses join them
    ids = {at: row["id"] for at, row in enumerate(rows)}
    addresses = {at: canonical_address(row["url"] or "") for at, row in enumerate(rows)}
    shared = [
        *_join(union, "id", ids, texts, lambda value: value.strip().lower() in _NO_IDS),
        *_join(union, "address", addresses, texts, lambda _: False),
    ]
    return Groups(union.numbers(), sorted(shared, key=lambda item: (-item.texts, item)))


class _Union:
    """Disjoint sets of rows."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, index: int) -> int:
        parent = self._parent
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(one)] = self.root(other)

    def numbers(self) -> list[int]:
        return [self.root(index) for index in range(len(self._parent))]


def _join_texts(
    union: _Union, rows: Sequence[Row], similarity: float, advance: Callable[[int], None]
) -> None:
    first: dict[str, int] = {}
    near = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)
    for index, row in enumerate(rows):
        words = _words(row["text"])
        same = first.setdefault(" ".join(words) or fold(row["text"]), index)
        union.join(index, same)
        if same == index and words:
            fingerprint = _min_hash(words)
            for other in near.query(fingerprint):
                union.join(index, other)
            near.insert(index, fingerprint)
        advance(1)


def _join(
    union: _Union,
    kind: str,
    values: dict[int, str | None],
    texts: Sequence[int],
    is_none: Callable[[str], bool],
) -> Iterable[Shared]:
    """Joins the rows of one value, unless it is of many articles: then says so."""
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
                union.join(index, indices[0])


def _words(text: str) -> list[str]:
    """Whatever the Unicode form: composed or not, with soft hyphens or ligatures."""
    return _WORD.findall(fold(text).casefold())


def _min_hash(words: Sequence[str]) -> MinHash:
    shingles = {
        " ".join(words[at : at + SHINGLE_WORDS]).encode()
        for at in range(max(1, len(words) - SHINGLE_WORDS + 1))
    }
    fingerprint = MinHash(num_perm=PERMUTATIONS)
    fingerprint.update_batch(list(shingles))
    return fingerprint
