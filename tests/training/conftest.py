"""A tiny base model, labels made by a rule, recipes over both, and a student they make."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from newsieve.filters.registry import BUILTIN_FOLDER, FilterRegistry
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.fit.environment import Machine
from newsieve_training.fit.stage import fit
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.filters import BUILTIN
from tests.support.labels import label_rows, write_rows
from tests.support.tiny_student import make_base

ARTICLES = 120


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"), "bert")


@pytest.fixture(scope="session")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled articles."""
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    return write_rows(path, label_rows(ARTICLES, seed=3))


@pytest.fixture(scope="session")
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
                "license": "apache-2.0",
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
            "gate": {"mae": 10.0},
        }
        for key, value in changes.items():
            section, _, field = key.partition("__")
            facts[section][field] = value
        return Recipe.model_validate(facts)

    return make


@pytest.fixture
def filters(tmp_path: Path) -> FilterRegistry:
    """Finds the built-in filters, unless `edit_filter` has put a copy before them."""
    return FilterRegistry((tmp_path / "filters", BUILTIN_FOLDER))


@pytest.fixture
def edit_filter(tmp_path: Path) -> Callable[[str, str], None]:
    """Replaces text in a copy of uplifting's filter.toml, which `filters` finds first."""
    folder = tmp_path / "filters" / "uplifting" / "v4"
    folder.mkdir(parents=True)
    for name in ("filter.toml", "prompt.md"):
        shutil.copy(BUILTIN_FOLDER / "uplifting" / "v4" / name, folder)

    def edit(old: str, new: str) -> None:
        text = (folder / "filter.toml").read_text()
        assert old in text
        (folder / "filter.toml").write_text(text.replace(old, new))

    return edit


@pytest.fixture(scope="session")
def made(
    recipe: Callable[..., Recipe], labels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A run up to `calibrate`. Not to be changed: see `trained`."""
    run, _ = prepare(recipe(), [read_source(labels)], tmp_path_factory.mktemp("runs"), BUILTIN)
    fit(run, Machine(threads=1))
    evaluate(run)
    calibrate(run)
    return run


@pytest.fixture
def trained(made: Run, tmp_path: Path, filters: FilterRegistry) -> Run:
    """A copy of it."""
    folder = tmp_path / "runs" / made.folder.name
    shutil.copytree(made.folder, folder)
    return Run(folder, filters)


@pytest.fixture
def prepared(labels: Path, tmp_path: Path, filters: FilterRegistry) -> Callable[..., Run]:
    def make(recipe: Recipe, name: str = "runs") -> Run:
        return prepare(recipe, [read_source(labels)], tmp_path / name, filters)[0]

    return make


@pytest.fixture
def prepared_from(tmp_path: Path, filters: FilterRegistry) -> Callable[..., Run]:
    def make(recipe: Recipe, *files: Path, extends: Run | None = None) -> Run:
        sources = [read_source(file) for file in files]
        run, was_made = prepare(recipe, sources, tmp_path / "runs", filters, extends)
        assert was_made
        return run

    return make
