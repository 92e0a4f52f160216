"""Articles packed into one row score as they do alone, for every architecture that is packed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DebertaV2Config, MambaConfig

from newsieve.errors import StudentInvalid
from newsieve.inference import packed_attention, packed_layout
from newsieve.inference.batching import OutOfMemory
from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.model import StudentModel
from newsieve.inference.packed_attention import NotPackable
from newsieve.inference.packed_forward import PackedForward, attention_of
from newsieve.inference.packing_check import require_exact
from newsieve.inference.padded_forward import PaddedForward
from newsieve.inference.student import _require_positions
from newsieve.inference.tokenize import Tokeniser
from tests.support.tiny_models import (
    CAPPED,
    DECODERS,
    ENCODERS,
    LONGEST,
    TinyModel,
    plain_model,
    tiny_model,
    tiny_tokeniser,
)

CPU = torch.device("cpu")
BUDGET = 1_056
POISON = 599  # an id that no text has
TEXTS = [
    "",
    "a",
    "a a",
    "The village opened a library.",
    " a" * 511,
    " a" * 512,
    "Shares fell, said the farmer. " * 200,
    "図書館が夜間も開館",
    "مكتبة القرية مفتوحة",
    "[SEP] <|endoftext|> [CLS] <s> [PAD]",
    "The village opened a library.",
    "word " * 62,
]
NAMES = [*DECODERS, *ENCODERS]


@cache
def model_of(name: str) -> TinyModel:
    return tiny_model(name)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    """The texts' token ids."""
    tokeniser: Tokeniser = tiny_tokeniser(tmp_path_factory.mktemp("tokeniser"))
    tokens = tokeniser.encode(TEXTS)
    assert {1, 2, 511, 512} <= {len(item.ids) for item in tokens}
    assert any(item.truncated for item in tokens)
    return [item.ids for item in tokens]


@cache
def forward_of(name: str) -> PackedForward:
    return PackedForward(model_of(name).merged, CPU, torch.float32, LONGEST, BUDGET)


def require_packable(model: StudentModel) -> None:
    forward = PackedForward(model, CPU, torch.float32, LONGEST, BUDGET)
    require_exact(forward, torch.float32, CPU)


_references: dict[str, npt.NDArray[np.float64]] = {}


def reference_of(name: str, batch: list[list[int]]) -> npt.NDArray[np.float64]:
    if name not in _references:
        _references[name] = model_of(name).reference(batch)
    return _references[name]


@pytest.mark.parametrize("name", NAMES)
def test_packed_scores_are_those_of_unmerged_peft(name: str, batch: list[list[int]]) -> None:
    """With windows that slide and without, causal and not, wherever positions begin."""
    expected = reference_of(name, batch)

    assert np.abs(forward_of(name)(batch) - expected).max() < 1e-3
    assert np.ptp(expected, axis=0).min() > 0.1, "the texts must differ for this to mean anything"


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    rows=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=8),
)
def test_an_articles_scores_do_not_depend_on_its_neighbours(
    name: str, rows: list[int], batch: list[list[int]]
) -> None:
    """Alone, first, last, among others, twice, in any order."""
    expected = reference_of(name, batch)

    scores = forward_of(name)([batch[row] for row in rows])

    assert np.abs(scores - expected[rows]).max() < 1e-4


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Every model makes NaN of one id."""
    rows: list[tuple[torch.Tensor, torch.Tensor]] = []
    for name in NAMES:
        backbone: Any = model_of(name).merged.model
        weight = backbone.get_input_embeddings().weight.data
        rows.append((weight, weight[POISON].clone()))
        weight[POISON] = float("nan")
    yield
    for weight, row in rows:
        weight[POISON] = row


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("poisoned")
def test_what_fills_a_row_up_reaches_no_article(
    name: str, batch: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it makes NaN; nor does an article that does."""
    expected = reference_of(name, batch)[:5]
    monkeypatch.setattr(packed_layout, "FILLER_ID", POISON)

    filled = forward_of(name)(batch[:5])
    beside = forward_of(name)([*batch[:2], [POISON] * 40, *batch[2:5]])

    assert np.abs(filled - expected).max() < 1e-4
    assert np.isnan(beside[2]).all()
    assert np.abs(np.delete(beside, 2, axis=0) - expected).max() < 1e-4


def test_an_article_without_tokens_is_refused() -> None:
    """It would get the scores of the article before it."""
    with pytest.raises(ValueError, match="without tokens"):
        forward_of("qwen2")([[5, 6], [], [7]])


def test_rows_are_filled_up_to_parts_of_the_budget_that_is_set_last() -> None:
    """Runners of larger shapes are dropped, and with them what their graphs keep of the memory."""
    forward = PackedForward(model_of("qwen2").merged, CPU, torch.float32, LONGEST, BUDGET)
    expected = forward([[5, 6, 7]])
    forward.runners = dict.fromkeys(forward.shapes, forward.run_eagerly)
    assert forward.stage([[5, 6, 7]])[1].tokens == BUDGET // 8

    forward.set_budget(BUDGET // 2)

    assert forward.stage([[5, 6, 7]])[1].tokens == BUDGET // 16
    assert [shape.tokens for shape in forward.runners] == [BUDGET // 8, BUDGET // 4, BUDGET // 2]
    assert np.abs(forward([[5, 6, 7]]) - expected).max() < 1e-4


def test_the_paddings_id_does_not_count_where_roberta_meets_it() -> None:
    """As the model itself counts, alone and packed."""
    model = model_of("xlm-roberta")
    articles = [[5, 1, 6, 7], [1, 1, 9]]

    scores = forward_of("xlm-roberta")(articles)

    assert np.abs(scores - model.reference(articles)).max() < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_no_keys_and_values_are_kept_for_a_token_to_come(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would fill the memory, and a causal model that is averaged keeps them by itself."""
    model: Any = model_of(name).merged.model
    forward, kept = model.forward, []

    def watched(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        kept.append(output.get("past_key_values"))
        return output

    monkeypatch.setattr(model, "forward", watched)

    forward_of(name)([[5, 6], [7]])

    assert kept == [None]


def test_positions_that_roberta_does_not_count_are_no_room_for_tokens() -> None:
    """A table of 514 rows is for 512 tokens: one more would read beyond it, on the device."""
    model = model_of("xlm-roberta").merged
    fits: Any = SimpleNamespace(max_tokens=LONGEST)
    exceeds: Any = SimpleNamespace(max_tokens=LONGEST + 1)

    _require_positions(fits, Path("student"), model)
    with pytest.raises(StudentInvalid, match="only 512"):
        _require_positions(exceeds, Path("student"), model)


@pytest.mark.parametrize("name", NAMES)
def test_each_architecture_passes_the_check_at_the_start(name: str) -> None:
    """In fp32; what is packed is packed because of this, not because of its name."""
    require_packable(tiny_model(name).merged)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (CAPPED, "softcap"),
        (
            DebertaV2Config(
                vocab_size=600, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=64,
            ),
            "cannot be exchanged",
        ),
        (
            MambaConfig(
                vocab_size=600, hidden_size=32, num_hidden_layers=2, initializer_range=0.3
            ),
            "otherwise than alone",
        ),
    ],
    ids=["soft caps", "attention of its own", "no attention at all"],
)  # fmt: skip
def test_a_model_that_cannot_be_packed_exactly_is_refused_by_name(config: Any, reason: str) -> None:
    """And keeps its own attention, so that the padded forward pass takes it."""
    torch.manual_seed(0)
    model = plain_model(config, "mean")
    before = attention_of(model)

    with pytest.raises(NotPackable, match=reason):
        require_packable(model)

    assert attention_of(model) == before
    assert np.isfinite(PaddedForward(model, CPU, torch.float32)([[5, 6], [7]])).all()


def test_a_model_that_leaks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each article sees the one before it: every shape is right, and only scores tell."""
    by_article = packed_attention._by_article

    def leaking(*args: Any) -> torch.Tensor:
        query, key, value, offsets, scale, window = args
        return by_article(query, key, value, offsets[[0, *range(2, len(offsets))]], scale, window)

    monkeypatch.setattr(packed_attention, "_by_article", leaking)

    with pytest.raises(NotPackable, match="otherwise than alone"):
        require_packable(tiny_model("qwen2").merged)


def test_a_cpu_pads() -> None:
    """There, packing was measured to be slower."""
    forward = choose_forward(tiny_model("llama").merged, CPU, torch.float32, LONGEST)

    assert forward.is_padded


def test_too_little_memory_is_told_from_other_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fewer texts may fit."""
    forward = PackedForward(model_of("llama").merged, CPU, torch.float32, LONGEST, BUDGET)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(forward, "run_eagerly", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    with pytest.raises(OutOfMemory, match="out of memory"):
        forward([[5]])
