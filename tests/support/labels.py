"""Labelled articles whose scores are made by a rule that a tiny student can learn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.support.filters import load

DIMENSIONS = list(load("uplifting").definition.dimension_names)
GOOD, BAD = ["heal", "help", "open", "plant", "repair"], ["lose", "fall", "army", "price", "court"]


def label_row(number: int, chance: random.Random) -> dict[str, Any]:
    """An article whose good words make its scores."""
    good = chance.randrange(0, 11)
    words = chance.choices(GOOD, k=good) + chance.choices(BAD, k=10 - good)
    chance.shuffle(words)
    return {
        "id": f"a{number}",
        "title": f"Story {number} of {chance.random():.6f}",
        "content": " ".join(words),
        "url": f"https://example.org/{number}",
        "source": "village" if number % 3 else "city",
        "language": "en" if number % 4 else "nl",
        "dimensions": DIMENSIONS,
        "oracle_scores": [
            {
                "oracle": "one",
                "scored_at": f"2026-10-{number % 28 + 1:02}T00:00:00Z",
                "scores": [good] * 8,
            }
        ],
    }


def label_rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [label_row(number, chance) for number in range(count)]


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path
