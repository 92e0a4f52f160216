"""The production base model: its exact size, and the whole path with a shrunk one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen2Config, Qwen2Model

from newsieve.errors import StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.inference.manifest import ADAPTER
from newsieve.inference.model import StudentModel
from newsieve.inference.student import check_canaries, load_student, raw_scores
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.fit.base_model import tokeniser_of
from newsieve_training.fit.model import adapt, all_parameters, trainable_parameters
from newsieve_training.fit.stage import checkpoint, fit
from newsieve_training.fit.trainer import StudentTrainer
from newsieve_training.packaging.package import package
from newsieve_training.pipeline.files import read_jsonl
from newsieve_training.pipeline.recipe import Recipe, read_recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.filters import BUILTIN
from tests.support.fits import ONE_THREAD
from tests.support.tiny_student import make_base

RECIPES = Path(__file__).resolve().parents[2] / "training" / "newsieve_training" / "recipes"
# Qwen2.5-1.5B's published shape.
SHAPE = Qwen2Config(
    vocab_size=151_936,
    hidden_size=1_536,
    intermediate_size=8_960,
    num_hidden_layers=28,
    num_attention_heads=12,
    num_key_value_heads=2,
    max_position_embeddings=131_072,
    tie_word_embeddings=True,
)


def test_the_production_recipe_trains_exactly_18_477_056_parameters() -> None:
    """Of 1,562,203,648: rank 16 on all seven projections of every layer, and the head."""
    recipe = read_recipe(RECIPES / "uplifting_qwen2.toml")
    with torch.device("meta"):
        model = StudentModel(Qwen2Model(SHAPE), recipe.base.pooling, 8, bias=recipe.base.head_bias)
        adapted = adapt(model, recipe)

    assert trainable_parameters(adapted) == 18_477_056
    assert all_parameters(adapted) == 1_562_203_648


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The production recipe over a shrunk base with random weights."""
    ours = read_recipe(RECIPES / "uplifting_qwen2.toml").model_dump()
    base = make_base(tmp_path_factory.mktemp("qwen2"), "qwen2")
    ours["base"] |= {"name": str(base), "revision": "main", "max_tokens": 64}
    ours["fit"] |= {"epochs": 3, "warmup": 5, "checkpoint_steps": 4, "precision": "fp32"}
    ours["fit"] |= {"learning_rate": 5e-3, "head_learning_rate": 5e-2, "micro_batch": None}
    return Recipe.model_validate(ours)


def test_the_production_recipe_goes_the_whole_way(
    small: Recipe, labels: Path, tmp_path: Path, uplifting: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fit, killed, resumed; evaluate, calibrate, package; loaded by the worker's engine: the same
    scores, article by article."""
    run, whole = (
        prepare(small, [read_source(labels)], tmp_path / n, BUILTIN)[0] for n in ("a", "b")
    )
    fit(whole, ONE_THREAD)
    with monkeypatch.context() as patched:
        steps = iter(range(20))
        honest = StudentTrainer.training_step

        def dying(*arguments: object, **more: object) -> object:
            if next(steps) == 19:
                raise KeyboardInterrupt
            return honest(*arguments, **more)

        patched.setattr(StudentTrainer, "training_step", dying)
        with pytest.raises(KeyboardInterrupt):
            fit(run, ONE_THREAD)
    fit(run, ONE_THREAD)
    ours, theirs = (checkpoint(item, "final") / ADAPTER for item in (run, whole))
    assert ours.read_bytes() == theirs.read_bytes()

    evaluate(run)
    calibrate(run)
    package(run, "a test")

    student = load_student(uplifting, run.path("student"), dtype="fp32")
    check_canaries(student)
    assert (student.manifest.pooling, student.manifest.head_bias) == ("last", False)
    assert scores_of(student, run) == pytest.approx(judged(run), abs=1e-3)


def test_a_base_model_that_is_out_of_reach_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to lack a tokenizer."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    base = read_recipe(RECIPES / "uplifting_qwen2.toml").base

    with pytest.raises(StudentInvalid, match="cannot be fetched"):
        tokeniser_of(base, base.max_tokens)


def scores_of(student: object, run: Run) -> np.ndarray:
    texts = [row["text"] for row in run.rows("test")]
    return round_scores(raw_scores(student, texts, 512))


def judged(run: Run) -> np.ndarray:
    rows = read_jsonl(run.path("predictions", "test.jsonl"))
    return np.array([list(row["student"].values()) for row in rows])
