"""How fast records get into the store of `newsieve serve`, and how fast they are searched in it.

Articles are made up: words of a Zipf distribution, 400 on average, a tenth of them copies of an
earlier one with a new heading. Each has one outcome of each of two filters. It measures one process
that does nothing else: no Kafka, no HTTP.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from newsieve.filters.rendering import content_hash, render
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.encode import timestamp
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoreReader
from newsieve.store.rows import Row, outcome_row, text_row
from newsieve.store.writer import StoreWriter
from tests.support.filters import load
from tests.support.results import publish

VOCABULARY: Final = 60_000
WORDS: Final = 400
COPY_SHARE: Final = 0.1
BATCH: Final = 500
ANSWERS: Final = 7
FILTERS: Final = {
    "uplifting": ["impact", "connection", "not_uplifting"],
    "investment_risk": ["red", "green"],
}
KEPT_FOR_COPIES: Final = 10_000
TIER_SHARES: Final = {"impact": 0.02, "connection": 0.2, "not_uplifting": 0.78, "red": 0.1}
START_MS: Final = 1_790_000_000_000
POLICY: Final = DecodePolicy(4_000_000, id_from_key=False)


class Articles:
    """Makes up articles, the same ones each time."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        letters = "abcdefghijklmnoprstuvwyz"
        self.words = [
            "".join(self._random.choices(letters, k=self._random.randint(2, 11)))
            for _ in range(VOCABULARY)
        ]
        self._earlier: list[str] = []

    def __iter__(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield number, title, content and source without end."""
        number = 0
        while True:
            ranks = np.minimum(self._numbers.zipf(1.1, WORDS) - 1, VOCABULARY - 1)
            content = " ".join(map(self.words.__getitem__, ranks.tolist()))
            if self._earlier and self._random.random() < COPY_SHARE:
                content = self._random.choice(self._earlier)
            elif len(self._earlier) < KEPT_FOR_COPIES:
                self._earlier.append(content)
            title = f"{number} " + " ".join(self._random.choices(self.words, k=8))
            yield (
                number,
                title,
                content,
                f"source{int(self._random.paretovariate(1)) % 500}.example",
            )
            number += 1


def records(count: int, seed: int = 1) -> Iterator[list[RawRecord]]:
    """Yield the raw record of each article and the records of its outcomes."""
    chooser = random.Random(seed + 1)
    articles = iter(Articles(seed))
    for _ in range(count):
        number, title, content, source = next(articles)
        now = timestamp(START_MS + number * 100)
        identity = {
            "id": f"{seed}-{number}", "title": title, "url": f"https://{source}/{number}",
            "source": source, "language": chooser.choice(["en", "en", "de", "fr"]),
            "published_at": now,
        }  # fmt: skip
        raw = {**identity, "content": content}
        place = {"topic": "articles.raw", "partition": number % 6, "offset": number // 6}
        found = [RawRecord(orjson.dumps(raw), None, None, START_MS, {**place, "timestamp": now})]
        digest = content_hash(render(title, content))
        for name, tiers in FILTERS.items():
            tier = chooser.choices(tiers, [TIER_SHARES.get(item, 0.9) for item in tiers])[0]
            value = _outcome(identity | {"content_hash": digest}, name, tier, place, now)
            fact = str(uuid.UUID(bytes=hashlib.md5(f"{seed}/{number}/{name}".encode()).digest()))  # noqa: S324
            headers = [("ce_id", fact.encode())]
            found.append(
                RawRecord(value, None, headers, START_MS + number * 100 + 350, dict(place))
            )
        yield found


def _outcome(article: dict[str, object], name: str, tier: str, place: object, now: object) -> bytes:
    digest = "sha256:" + "a" * 64
    scores = dict.fromkeys(_dimensions(name), 5.1234)
    return orjson.dumps(
        {
            "article": article, "filter": name, "filter_version": "4", "filter_hash": digest,
            "label_hash": digest, "student": digest, "dtype": "bf16", "outcome": "scored",
            "scores": scores, "weighted_average": 5.1, "score": 5.1,
            "gates": [], "caps": [], "content_rules": [], "blocked_by": None, "tier": tier,
            "tier_confidence": 0.8, "tokens": 312, "truncated": False, "suspect": [],
            "sampling": None, "input": {**place, "timestamp": now}, "scored_at": now,
        }
    )  # fmt: skip


@cache
def _dimensions(name: str) -> tuple[str, ...]:
    return tuple(load(name).definition.dimension_names)


def fill(path: Path, count: int, every: int) -> Iterator[str]:
    """Fill a store, and yield a row of the table for each so many articles."""
    if count == 0:
        return
    writer = StoreWriter(path)
    made = records(count)
    spent, done, written = 0.0, 0, 0
    while batch := [record for _, record in zip(range(BATCH), made, strict=False)]:
        begun = time.process_time()
        rows: list[Row] = [text_row(decode(item[0], POLICY), START_MS) for item in batch]
        rows += [outcome_row(record) for item in batch for record in item[1:]]
        writer.write(rows, {("articles.raw", 0): done})
        spent += time.process_time() - begun
        done += len(batch)
        written += len(batch)
        if done % every < BATCH or done == count:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            size = path.stat().st_size / 1e6
            row = f"| {done:,} | {written / spent:,.0f} | {memory:,.0f} | {size:,.0f} |"
            print(row, flush=True)
            yield row
            spent, written = 0.0, 0
    writer.close()


def searches(path: Path) -> Iterator[str]:
    """Yield a row of the table for each question: the median and the longest of its answers."""
    reader, words = StoreReader(path, query_seconds=60), Articles().words
    questions = {
        "the newest of a filter": ArticleQuery(filter="uplifting"),
        "of its rarest tier": ArticleQuery(filter="uplifting", tier="impact"),
        "of it, in one language": ArticleQuery(filter="uplifting", tier="impact", language="fr"),
        "of a frequent source": ArticleQuery(source="source1.example"),
        "of a rare source": ArticleQuery(source="source300.example"),
        "the most frequent word": ArticleQuery(text=words[0]),
        "it, in the rarest tier": ArticleQuery(text=words[0], filter="uplifting", tier="impact"),
        "a frequent word": ArticleQuery(text=words[50]),
        "a rare word": ArticleQuery(text=words[40_000]),
        "two frequent words": ArticleQuery(text=f"{words[3]} {words[7]}"),
        "a phrase": ArticleQuery(text=f'"{words[0]} {words[1]}"'),
        "a beginning": ArticleQuery(text=f"{words[10][:3]}*"),
        "a word and a rare source": ArticleQuery(text=words[50], source="source300.example"),
    }
    for name, query in questions.items():
        seconds = []
        for _ in range(ANSWERS):
            begun = time.perf_counter()
            found = len(reader.articles(query).outcomes)
            seconds.append(time.perf_counter() - begun)
        middle, longest = statistics.median(seconds) * 1e3, max(seconds) * 1e3
        yield f"| {name} | {found} | {middle:.1f} | {longest:.1f} |"
    reader.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=5_000)
    parser.add_argument("--store", type=Path, help="a file that is kept; with --articles 0 asked")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.store or Path(folder) / "store.db"
        lines = [
            "Articles of some 400 words, each with an outcome of two filters; a tenth are copies.",
            "",
            "| Articles | stored per second of CPU, since the row above | memory MiB | file MB |",
            "|---|---|---|---|",
            *fill(path, arguments.articles, arguments.every),
            "",
            f"Questions to it, the first 50 answers, {ANSWERS} times each:",
            "",
            "| Question | answers | median ms | longest ms |",
            "|---|---|---|---|",
            *searches(path),
        ]
    publish("The store of newsieve serve", lines, "store" if arguments.save else None)


if __name__ == "__main__":
    main()
