"""What becomes of articles in six usual shapes of record, and what it costs to read their markup.

    python -m benchmarks.rendering [--against FOLDER] [--save NAME]

With a working tree of another version, the records' decoding is also timed there, in turns, each
time in a process of its own. A cost is the least of many calls: a busy host only adds to it.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from newsieve.filters import markup
from newsieve.filters.article import Article
from newsieve.filters.rendering import render
from newsieve.inference.student import load_student
from tests.inference.test_shipped_students import DEMO, SHIPPED, demo_articles
from tests.support.article_shapes import SHAPES, shifts, wordpress
from tests.support.filters import load
from tests.support.results import publish

ARTICLES: Final = 90
CALLS: Final = 2_000
TURNS: Final = 15
SIZE: Final = 6_000  # characters of an article in HTML
HERE: Final = Path(__file__).resolve().parents[1]
_PARAGRAPH: Final = re.compile(r"<p>(\w+) (\w+)")
# Prints the microseconds that a record of the file takes. It runs in either version.
_DECODING: Final = """
import sys, time
from newsieve.records.decode import DecodePolicy, RawRecord, decode
policy = DecodePolicy(10**7, id_from_key=False)
lines = [line for line in open(sys.argv[1], "rb").read().split(b"\\n") if line]
records = [RawRecord(line, None, None, None, {}) for line in lines]
def usable(record):
    try:
        article = decode(record, policy)
        return not {"<", "&"} & {*article.text}
    except Exception:
        return False
records = [record for record in records if usable(record)]
least = 1e9
for _ in range(30):
    started = time.perf_counter()
    for record in records:
        decode(record, policy).text
    least = min(least, time.perf_counter() - started)
print(1e6 * least / len(records))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, metavar="FOLDER")
    parser.add_argument("--save", metavar="NAME")
    options = parser.parse_args()
    articles = [article for article in demo_articles() if article.has_body][:ARTICLES]
    lines = [*_shape_lines(articles), "", *_cost_lines(articles)]
    if options.against is not None:
        lines += ["", *_decoding_lines(options.against)]
    publish("Articles with markup: what becomes of them, and what it costs", lines, options.save)


def _shape_lines(articles: list[Article]) -> Iterator[str]:
    """Yield a table: how many articles have the tier of their plain shape, and how far their scores
    are from its."""
    found = []
    for reference in SHIPPED:
        filter_ = load(reference)
        student = load_student(filter_, filter_.student_folder, dtype="fp32")
        found.append(shifts(student, filter_, articles))
    names = " | ".join(f"{name}: same tier | {name}: mean shift" for name in SHIPPED)
    yield f"| Shape | {names} |"
    yield "|---" * (1 + 2 * len(SHIPPED)) + "|"
    for shape in SHAPES:
        cells = [
            f"{by_shape[shape].same_tier} of {by_shape[shape].articles} | "
            f"{by_shape[shape].mean_shift:.3f}"
            for by_shape in found
        ]
        yield f"| {shape.replace('<p>', '`<p>`')} | {' | '.join(cells)} |"


def _cost_lines(articles: list[Article]) -> Iterator[str]:
    """Yield a table of the microseconds that rendering takes."""
    yield "| Article | characters | `<` | µs |"
    yield "|---|---|---|---|"
    for name, fields in _costly(articles).items():
        title, content = fields["title"], fields["content"]
        cost = _least(lambda: _rendered(title, content))  # noqa: B023 - called at once
        yield f"| {name} | {len(content):,} | {content.count('<')} | {cost:.1f} |"


def _costly(articles: list[Article]) -> dict[str, dict[str, Any]]:
    text = " ".join(" ".join((article.content or "").split()) for article in articles)
    html = wordpress("A title", text[: SIZE * 4 // 5])
    linked = {
        **html,
        "content": _PARAGRAPH.sub(
            r'<p><a href="https://news.example/tag/?a=1">\1</a> <strong>\2</strong>',
            html["content"],
        ),
    }
    return {
        "plain": {"title": "A title", "content": text[:SIZE]},
        "plain, with comparisons": {"title": "A title", "content": ("if a < b and " * 462)[:SIZE]},
        "WordPress": html,
        "WordPress, a link and emphasis in each paragraph": linked,
    }


def _rendered(title: str, content: str) -> str:
    markup._plain_text.cache_clear()  # the texts of one article are kept
    return render(title, content)


def _least(call: Callable[[], object]) -> float:
    least = float("inf")
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - started)
    return 1e6 * least


def _decoding_lines(other: Path) -> Iterator[str]:
    """Yield a table of what a plain article takes from bytes to text in both versions."""
    here, there = [], []
    for _ in range(TURNS):
        here.append(_decoding(HERE))
        there.append(_decoding(other))
    ratio = min(here) / min(there)
    yield "| A plain article, from its record to its text | least µs | median µs |"
    yield "|---|---|---|"
    yield f"| this version | {min(here):.2f} | {statistics.median(here):.2f} |"
    yield f"| the version before | {min(there):.2f} | {statistics.median(there):.2f} |"
    yield ""
    yield f"By the least of {TURNS} turns it is {ratio:.2f} times the version before."


def _decoding(tree: Path) -> float:
    paths = os.pathsep.join(str(tree / part) for part in ("worker", "schemas"))
    done = subprocess.run(
        [sys.executable, "-c", _DECODING, str(DEMO / "articles.jsonl")],
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
