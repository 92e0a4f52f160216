"""Adapters that are not merged: what PEFT would do otherwise, and what nobody should do."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from newsieve.errors import StudentInvalid
from newsieve.inference import adapter
from tests.support.tiny_adapter import (
    Tiny,
    edit_config,
    edit_tensors,
    make_tiny,
    merged_scores,
    parameters,
    save_adapter,
)

MIB = 1024**2
PLAIN = {
    "r": 4,
    "lora_alpha": 6,
    "target_modules": ["query", "value"],
    "modules_to_save": ["score"],
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("base"), "bert")


@pytest.fixture(scope="module")
def saved(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(tiny.student(), tmp_path_factory.mktemp("saved") / "adapter", PLAIN)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "adapter"))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"peft_type": "IA3"}, "peft_type"),
    ({"peft_type": "LOHA"}, "peft_type"),
    ({"peft_type": "ADALORA"}, "peft_type"),
    ({"peft_type": ["LORA"]}, "peft_type"),
    ({"peft_type": None}, "peft_type"),
    ({"bias": "all"}, "bias"),
    ({"bias": "lora_only"}, "bias"),
    ({"fan_in_fan_out": True}, "fan_in_fan_out"),
    ({"init_lora_weights": "pissa"}, "init_lora_weights"),
    ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights"),
    ({"init_lora_weights": "olora"}, "init_lora_weights"),
    ({"init_lora_weights": "corda"}, "init_lora_weights"),
    ({"init_lora_weights": "loftq"}, "init_lora_weights"),
    ({"init_lora_weights": "lora_ga"}, "init_lora_weights"),
    ({"init_lora_weights": "mica"}, "init_lora_weights"),
    ({"layer_replication": [[0, 2]]}, "layer_replication"),
    ({"trainable_token_indices": [1]}, "trainable_token_indices"),
    ({"target_parameters": ["weight"]}, "target_parameters"),
    ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
    ({"use_qalora": True}, "use_qalora"),
    ({"use_bdlora": {"nblocks": 2}}, "use_bdlora"),
    ({"kasa_config": {"x": 1}}, "kasa_config"),
    ({"monteclora_config": {"num_samples": 4}}, "monteclora_config"),
    ({"velora_config": {"x": 1}}, "velora_config"),
    ({"arrow_config": {"x": 1}}, "arrow_config"),
    ({"ensure_weight_tying": True}, "ensure_weight_tying"),
    ({"megatron_config": {"x": 1}}, "megatron_config"),
    ({"something_new": 1}, "something_new"),
    ({"a\x1b[2Jb": 1}, r"u001b\[2Jb is not supported"),
    ({"r": 0}, "r: "),
    ({"r": -4}, "r: "),
    ({"r": True}, "r: "),
    ({"r": 10**400}, "r: "),
    ({"r": 8}, "has shape"),
    ({"lora_alpha": 0}, "lora_alpha"),
    ({"lora_alpha": -6}, "lora_alpha"),
    ({"lora_alpha": 10**400}, "lora_alpha"),
    ({"lora_alpha": 1e308}, "not finite"),
    ({"lora_alpha": "6"}, "lora_alpha"),
    ({"rank_pattern": {"query": 10**9}}, "rank_pattern"),
    ({"rank_pattern": {"query": 1_000}}, "has shape"),
    ({"rank_pattern": {"query": 1_000_000}}, "less than or equal to 8192"),
    ({"r": 1_000_000}, "less than or equal to 8192"),
    ({"rank_pattern": {"query": -1}}, "rank_pattern"),
    ({"rank_pattern": {"query": 2.5}}, "rank_pattern"),
    ({"rank_pattern": [["query", 2]]}, "rank_pattern"),
    ({"rank_pattern": {str(at): 4 for at in range(2_000)}}, "rank_pattern"),
    ({"rank_pattern": {"key": 4}}, "rank_pattern names 'key'"),
    ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern names 'q_proj'"),
    ({"alpha_pattern": {"module.query": 4}}, "alpha_pattern names 'module.query'"),
    ({"alpha_pattern": {"_orig_mod.query": 4}}, "alpha_pattern names '_orig_mod.query'"),
    ({"alpha_pattern": {"query": 0}}, "alpha_pattern"),
    ({"alpha_pattern": {"query)|(value": 4}}, "alpha_pattern"),
    ({"alpha_pattern": {"(.{9}){9}query": 4}}, "alpha_pattern"),
    ({"alpha_pattern": {"quer{,1}y": 4}}, "alpha_pattern"),
    ({"alpha_pattern": {"quer[[:alpha:]]": 4}}, "alpha_pattern"),
    ({"alpha_pattern": {"(?i)QUERY": 4}}, "alpha_pattern"),
    ({"alpha_pattern": {"q" * 2_000: 4}}, "alpha_pattern"),
    ({"use_dora": "yes"}, "use_dora"),
    ({"use_dora": True}, "lora_magnitude_vector"),
    ({"use_dora": True, "lora_bias": True}, "lora_bias"),
    ({"lora_bias": True}, "lora_B.bias"),
    ({"target_modules": None}, "target_modules"),
    ({"target_modules": []}, "target_modules"),
    ({"target_modules": ""}, "target_modules"),
    ({"target_modules": 5}, "target_modules"),
    ({"target_modules": [["query"]]}, "target_modules"),
    ({"target_modules": ["x"]}, "target_modules names no layer"),
    ({"target_modules": "all-lines"}, "target_modules names no layer"),
    ({"target_modules": ["query", "value"] * 1_000}, "target_modules"),
    ({"target_modules": "(.*a){30}"}, "target_modules names no layer"),
    ({"target_modules": "("}, "target_modules"),
    ({"target_modules": ["word_embeddings"]}, "which is no linear layer"),
    ({"target_modules": ["query", "LayerNorm"]}, "which is no linear layer"),
    ({"target_modules": "model"}, "target_modules names model, which is no linear layer"),
    ({"target_modules": ["score"]}, "target_modules names no layer"),
    ({"target_modules": "all-linear"}, "tensors missing"),
    ({"exclude_modules": ["query", "value"]}, "target_modules names no layer"),
    ({"exclude_modules": "("}, "exclude_modules"),
    ({"layers_to_transform": [7]}, "target_modules names no layer"),
    ({"layers_to_transform": [-1]}, "layers_to_transform"),
    ({"layers_to_transform": [True]}, "layers_to_transform"),
    ({"layers_to_transform": 0, "target_modules": ".*query"}, "layers_to_transform"),
    ({"layers_to_transform": [0, 1], "layers_pattern": "(a+)+$"}, "layers_pattern"),
    ({"layers_pattern": "layer"}, "layers_pattern needs layers_to_transform"),
    ({"modules_to_save": None}, "modules_to_save"),
    ({"modules_to_save": ["classifier"]}, "modules_to_save"),
    ({"modules_to_save": ["score", "pooler"]}, "modules_to_save"),
    ({"modules_to_save": ["score"] * 1_000}, "modules_to_save"),
]


@pytest.mark.parametrize(("changes", "complaint"), REFUSED)
def test_an_unsupported_configuration_is_refused_by_name(
    tiny: Tiny, folder: Path, changes: dict[str, Any], complaint: str
) -> None:
    """In one line, and without memory for what it only claims."""
    edit_config(folder, changes)
    tracemalloc.start()

    with pytest.raises(StudentInvalid, match=complaint) as refused:
        merged_scores(tiny, folder)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(refused.value).isprintable() and len(str(refused.value)) < 2_000
    assert peak < 20 * MIB


@pytest.mark.parametrize(
    "text", ["[]", "null", '"LORA"', "{}", '{"a": ' * 100_000, '{"r": NaN}', "[" * 900 + "]" * 900]
)
def test_a_file_that_is_no_configuration_is_refused(tiny: Tiny, folder: Path, text: str) -> None:
    """Other JSON, none, and what is nested."""
    (folder / adapter.ADAPTER_CONFIG).write_text(text)

    with pytest.raises(StudentInvalid, match=r"adapter_config\.json"):
        merged_scores(tiny, folder)


def test_a_value_that_is_nested_deep_is_refused(tiny: Tiny, folder: Path) -> None:
    """Under a key that nobody knows, and under one that counts."""
    nested: list[Any] = []
    for _ in range(400):
        nested = [nested]
    for key in ("something_new", "target_modules", "rank_pattern"):
        edit_config(folder, {key: nested})
        with pytest.raises(StudentInvalid, match=key):
            merged_scores(tiny, folder)


def query_of(tensors: dict[str, Tensor], part: str) -> str:
    return next(key for key in tensors if f"query.{part}" in key)


def without(part: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda t: {key: item for key, item in t.items() if key != query_of(t, part)}


def with_query(
    part: str, change: Callable[[Tensor], Tensor]
) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda t: t | {query_of(t, part): change(t[query_of(t, part)])}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without("lora_A"), "1 tensors missing"),
        (lambda t: t | {"base_model.model.extra": torch.ones(2)}, "1 unexpected"),
        (lambda t: t | {"extra.lora_A.weight": torch.ones(2)}, "1 unexpected"),
        (with_query("lora_A", lambda item: item.T.contiguous()), "query.lora_A has shape"),
        (with_query("lora_B", lambda item: item.double()), "is of type F64"),
        (with_query("lora_B", lambda item: item.to(torch.int32)), "is of type I32"),
        (with_query("lora_B", lambda item: item * float("nan")), "query is not finite"),
        (with_query("lora_A", lambda item: item + float("inf")), "query is not finite"),
        (
            lambda t: t | {"base_model.model.score.bias": torch.full((8,), float("inf"))},
            "score is not finite",
        ),
    ],
)
def test_tensors_that_are_not_the_configurations_are_refused(
    tiny: Tiny,
    folder: Path,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    complaint: str,
) -> None:
    """Nothing is left out, nothing is made up."""
    edit_tensors(folder, change)

    with pytest.raises(StudentInvalid, match=complaint):
        merged_scores(tiny, folder)


def test_a_magnitude_of_no_number_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    """DoRA divides by norms."""
    folder = save_adapter(tiny.student(), tmp_path / "dora", PLAIN | {"use_dora": True})
    edit_tensors(folder, with_query("lora_magnitude", lambda item: item * float("inf")))

    with pytest.raises(StudentInvalid, match="query is not finite"):
        merged_scores(tiny, folder)


def test_an_adapter_of_shared_weights_is_refused(tiny: Tiny, folder: Path) -> None:
    """Merged once, they would change in both places."""
    model = tiny.student()
    layers: Any = [layer.attention.self for layer in model.model.encoder.layer]  # type: ignore[union-attr]
    layers[1].query.weight = layers[0].query.weight

    with pytest.raises(
        StudentInvalid, match=r"layer\.0.*query, whose weights another layer shares"
    ):
        adapter.merge(model, folder, parameters(folder))


def test_a_bias_where_the_layer_has_none_is_refused(tiny: Tiny, folder: Path) -> None:
    """There is nothing that it could be merged into."""
    model = tiny.student()
    for module in model.model.modules():
        if isinstance(module, nn.Linear):
            module.bias = None
    edit_config(folder, {"lora_bias": True})

    with pytest.raises(StudentInvalid, match="lora_bias needs a bias"):
        adapter.merge(model, folder, parameters(folder))


def test_settings_that_mean_nothing_may_stand_there(tiny: Tiny, folder: Path) -> None:
    """PEFT's releases write their own defaults."""
    config = json.loads((folder / adapter.ADAPTER_CONFIG).read_text())
    before = merged_scores(tiny, folder)
    for key in ("use_dora", "use_rslora", "lora_bias", "rank_pattern", "alpha_pattern", "bias"):
        del config[key]
    config |= {"exclude_modules": [], "layers_to_transform": [], "layers_pattern": ""}
    config |= {"merge_weights": False, "enable_lora": None, "loftq_config": {}, "runtime": []}
    (folder / adapter.ADAPTER_CONFIG).write_text(json.dumps(config))

    assert (merged_scores(tiny, folder) == before).all()
