"""A tiny base model, labels made by a rule, and recipes over both."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_student import make_base
from training.recipe import Recipe
from worker.rules.catalogue import load

DIMENSIONS = list(load("uplifting").definition.dimension_names)
GOOD, BAD = ["heal", "help", "open", "plant", "repair"], ["lose", "fall", "army", "price", "court"]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"), "bert")


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
        "dimensions": DIMENSIONS,
        "oracle_scores": [{"oracle": "one", "scores": [good] * 8}],
    }


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """120 labelled articles."""
    chance = random.Random(3)
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(label_row(n, chance)) + "\n" for n in range(120)))
    return path


@pytest.fixture
def recipe(base: Path) -> Callable[..., Recipe]:
    """A recipe with changes, `section__field=value`."""

    def make(**changes: Any) -> Recipe:
        facts: dict[str, Any] = {
            "filter": "uplifting/v4",
            "purpose": "A test.",
            "base": {
                "name": str(base),
                "revision": "main",
                "pooling": "mean",
                "head_bias": True,
                "max_tokens": 64,
            },
            "labels": {},
            "split": {"kind": "holdout", "validation": 0.15, "test": 0.15},
            "lora": {
                "rank": 4,
                "alpha": 8,
                "dropout": 0.0,
                "targets": r"model\.encoder\.layer\.\d+\..*\.(query|key|value|dense)",
            },
            "fit": {
                "epochs": 15,
                "batch_size": 8,
                "learning_rate": 5e-3,
                "head_learning_rate": 5e-2,
                "warmup": 0.1,
                "clip": 5.0,
            },
            "gate": {"mae": 10.0, "spearman": -1.0},
        }
        for key, value in changes.items():
            section, _, field = key.partition("__")
            facts[section][field] = value
        return Recipe.model_validate(facts)

    return make
