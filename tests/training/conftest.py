"""A tiny base model, labels made by a rule, recipes over both, and a student they make."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny_student import make_base
from training.evaluate import evaluate
from training.fit import fit
from training.prepare import prepare
from training.recipe import Recipe
from training.run import Run
from worker.rules.catalogue import SHIPPED, load

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


@pytest.fixture
def edit_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Replaces text in uplifting's filter.toml, which all stages read: a copy."""
    folder = tmp_path / "filters" / "uplifting" / "v4"
    folder.mkdir(parents=True)
    for name in ("filter.toml", "prompt.md"):
        shutil.copy(SHIPPED / "uplifting" / "v4" / name, folder)
    monkeypatch.setattr(load, "__defaults__", (tmp_path / "filters",))

    def edit(old: str, new: str) -> None:
        text = (folder / "filter.toml").read_text()
        assert old in text
        (folder / "filter.toml").write_text(text.replace(old, new))

    return edit


@pytest.fixture
def trained(recipe: Callable[..., Recipe], labels: Path, tmp_path: Path) -> Run:
    run, _ = prepare(recipe(), [labels], tmp_path / "runs")
    fit(run, threads=1)
    evaluate(run)
    return run
