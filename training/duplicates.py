"""Which rows are about one article: same id, same url, same text, or nearly the same text. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from datasketch import MinHash, MinHashLSH

from training.files import Row

SHINGLE_WORDS: Final = 5
PERMUTATIONS: Final = 128
_WORD: Final = re.compile(r"\w+")
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")  # soft hyphens, joiners, marks
# Parameters that say where a reader came from. All others may name the article.
_TRACKING: Final = re.compile(
    r"utm_\w+|at_(medium|campaign\w*)|mc_[ce]id|[a-z]*clid|gbraid|wbraid|igshid|ocid|cmpid|spm",
    re.IGNORECASE,
)


def groups_of(rows: Sequence[Row], similarity: float, advance: Callable[[int], None]) -> list[int]:
    """For each row the number of its group. `similarity` is Jaccard's, of shingles of words;
    `advance` hears of each row that was looked at."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    keys: tuple[Callable[[Row], str | None], ...] = (
        lambda row: row["id"],
        lambda row: canonical_url(row["url"]) if row["url"] else None,
        lambda row: " ".join(_words(row["text"])),
    )
    for key in keys:
        first: dict[str, int] = {}
        for index, row in enumerate(rows):
            value = key(row)
            if value:
                parent[root(index)] = root(first.setdefault(value, index))
    index_of_hashes = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)
    for index, row in enumerate(rows):
        fingerprint = _min_hash(row["text"])
        for other in index_of_hashes.query(fingerprint):
            parent[root(index)] = root(other)
        index_of_hashes.insert(index, fingerprint)
        advance(1)
    return [root(index) for index in range(len(rows))]


def canonical_url(url: str) -> str | None:
    """Without scheme, fragment and tracking, parameters in one order, host in lower case; None for
    what is no address of the web. A fragment that is a path stays: to some sites it is the page."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        return None
    page = f"#{parts.fragment}" if parts.fragment.startswith(("/", "!")) else ""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = sorted(pair for pair in pairs if not _TRACKING.fullmatch(pair[0]))
    path = parts.path.rstrip("/")
    return f"{parts.netloc.lower()}{path}?{urlencode(kept)}{page}"


def _words(text: str) -> list[str]:
    """Whatever the Unicode form: composed or not, with soft hyphens or ligatures."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(_INVISIBLE.sub("", plain))


def _min_hash(text: str) -> MinHash:
    words = _words(text)
    shingles = {
        " ".join(words[at : at + SHINGLE_WORDS]).encode()
        for at in range(max(1, len(words) - SHINGLE_WORDS + 1))
    }
    fingerprint = MinHash(num_perm=PERMUTATIONS)
    fingerprint.update_batch(list(shingles))
    return fingerprint
