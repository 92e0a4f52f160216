"""The page about feeding says of markup what the stored measurement says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.support.article_shapes import SHAPES
from tests.support.results import RESULTS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "how-to" / "feed.md").read_text(encoding="utf-8")
LINES: Final = (RESULTS / "rendering.md").read_text(encoding="utf-8").splitlines()


def test_the_table_of_shapes_is_the_stored_result() -> None:
    """Every shape that is tested is in it, with the same numbers."""
    start = next(place for place, line in enumerate(LINES) if line.startswith("| Shape |"))
    table = "\n".join(LINES[start : start + 2 + len(SHAPES)])

    assert table in PAGE
    assert table.count(" of 90 ") == 2 * len(SHAPES)


def test_the_costs_are_those_of_the_stored_result() -> None:
    """They are within what an article may cost: 3 µs where it is plain, 100 µs where it is HTML."""
    costs = {
        line.split(" | ")[0].lstrip("| "): line.split(" | ")[3].rstrip(" |")
        for line in LINES
        if re.fullmatch(r"\| [^|]+ \| [\d,]+ \| \d+ \| [\d.]+ \|", line)
    }
    plain, wordpress = costs["plain"], costs["WordPress"]
    linked = costs["WordPress, a link and emphasis in each paragraph"]
    page = " ".join(PAGE.split())

    assert f"in {plain} µs, one of WordPress in {wordpress} µs, and in {linked} µs" in page
    assert float(plain) <= 3
    assert max(float(wordpress), float(linked)) <= 100
