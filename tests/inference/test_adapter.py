"""What an adapter scores after merging is what PEFT scores with it unmerged."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from newsieve.errors import StudentInvalid
from newsieve.inference import adapter
from tests.support.tiny_adapter import (
    OUTPUTS,
    Tiny,
    edit_config,
    edit_tensors,
    make_tiny,
    merged_scores,
    parameters,
    peft_scores,
    save_adapter,
)

TOLERANCE = 1e-4  # in score points, of 0 to 10
Settings = Mapping[str, Any]


@pytest.fixture(scope="module", params=["bert", "qwen2"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("base"), request.param)


def settings_of(tiny: Tiny, **changes: Any) -> dict[str, Any]:
    plain = {
        "r": 4,
        "lora_alpha": 6,
        "target_modules": [tiny.query, tiny.value],
        "modules_to_save": ["score"],
    }
    return plain | changes


@pytest.fixture
def plain(tiny: Tiny, tmp_path: Path) -> Path:
    return save_adapter(tiny.student(), tmp_path / "adapter", settings_of(tiny))


# What is set, and the settings of the same file for one who takes no notice of it.
CASES: dict[str, Callable[[Tiny], tuple[Settings, Settings]]] = {
    "plain": lambda _: ({}, {"lora_alpha": 4}),
    "rsLoRA": lambda _: ({"use_rslora": True}, {"use_rslora": False}),
    "DoRA": lambda _: ({"use_dora": True}, {"use_dora": False}),
    "DoRA, scaled as rsLoRA": lambda _: (
        {"use_dora": True, "use_rslora": True},
        {"use_rslora": False},
    ),
    "rank of a layer": lambda t: ({"rank_pattern": {t.query: 2}}, {"rank_pattern": {}}),
    "alpha of a layer": lambda t: ({"alpha_pattern": {t.query: 20}}, {"alpha_pattern": {}}),
    "alpha by a pattern": lambda t: (
        {"alpha_pattern": {rf"{t.layers}\.[1-9]\..*({t.query}|{t.value})": 20}},
        {"alpha_pattern": {}},
    ),
    "the first of two alphas": lambda t: (
        {"alpha_pattern": {f"{t.layers}.0.*{t.query}": 20, t.query: 2}},
        {"alpha_pattern": {t.query: 2, f"{t.layers}.0.*{t.query}": 20}},
    ),
    "alpha of an anchored pattern": lambda t: (
        {"alpha_pattern": {f"^model.*{t.query}$": 20}},
        {"alpha_pattern": {}},
    ),
    "rank and alpha, rsLoRA and DoRA": lambda t: (
        {
            "rank_pattern": {t.value: 9},
            "alpha_pattern": {t.value: 20},
            "use_rslora": True,
            "use_dora": True,
        },
        {"alpha_pattern": {}},
    ),
    "all-linear": lambda t: (
        {"target_modules": "all-linear"},
        {"target_modules": [t.query, t.value]},
    ),
    "regular expression": lambda t: (
        (
            {"target_modules": rf"model\..*\.{t.layers}?\.1\..*\.({t.query}|{t.value})"},
            {"target_modules": [t.query, t.value]},
        )
        if t.kind == "bert"
        else (
            {"target_modules": rf"model\.{t.layers}\.1\..*\.({t.query}|{t.value})"},
            {"target_modules": [t.query, t.value]},
        )
    ),
    "excluded names": lambda t: ({"exclude_modules": [t.value]}, {"exclude_modules": None}),
    "excluded pattern": lambda t: (
        {"exclude_modules": rf".*\.0\..*{t.value}"},
        {"exclude_modules": None},
    ),
    "layers by number": lambda _: ({"layers_to_transform": [1]}, {"layers_to_transform": None}),
    "layers of a list": lambda t: (
        {"layers_to_transform": 1, "layers_pattern": t.layers},
        {"layers_to_transform": None, "layers_pattern": None},
    ),
    "bias of the adapter": lambda _: ({"lora_bias": True}, {"lora_bias": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_supported_setting_scores_as_with_peft_unmerged(
    tiny: Tiny, tmp_path: Path, case: str
) -> None:
    """Without the setting the same file is refused, or scores otherwise."""
    changes, ignored = CASES[case](tiny)
    folder = save_adapter(tiny.student(), tmp_path / "adapter", settings_of(tiny, **changes))
    reference = peft_scores(tiny.student(), folder)

    found = merged_scores(tiny, folder)

    assert np.abs(found - reference).max() < TOLERANCE
    assert np.ptp(reference, axis=0).min() > 0.1, "the texts must differ"
    edit_config(folder, ignored)
    try:
        without = merged_scores(tiny, folder)
    except StudentInvalid:
        return
    assert np.abs(without - reference).max() > 0.05


@pytest.mark.parametrize("changes", [
    {"init_lora_weights": "gaussian"},
    {"init_lora_weights": "orthogonal"},
    {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
    {"lora_dropout": 0.5, "inference_mode": False, "task_type": "SEQ_CLS"},
])  # fmt: skip
def test_how_an_adapter_began_changes_no_score(tiny: Tiny, plain: Path, changes: Settings) -> None:
    """PEFT writes it down, and replaces those weights when it loads the trained ones."""
    before = peft_scores(tiny.student(), plain)
    edit_config(plain, changes)

    assert np.abs(peft_scores(tiny.student(), plain) - before).max() == 0
    assert np.abs(merged_scores(tiny, plain) - before).max() < TOLERANCE


def test_what_a_folder_would_have_peft_import_is_not_followed(tiny: Tiny, plain: Path) -> None:
    """PEFT writes the model's class where the task is not said; it is no reason to refuse."""
    before = merged_scores(tiny, plain)
    edit_config(
        plain, {"auto_mapping": {"base_model_class": "Nope", "parent_library": "no_such_module"}}
    )

    assert np.abs(merged_scores(tiny, plain) - before).max() == 0


def test_a_classifiers_folder_by_plain_peft_loads(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """PEFT adds `classifier` to the modules that it saves of a sequence classifier."""
    tiny = make_tiny(tmp_path_factory.mktemp("base"), "qwen2")

    def classifier() -> Any:
        return AutoModelForSequenceClassification.from_pretrained(
            tiny.folder, num_labels=OUTPUTS, dtype=torch.float32
        )

    settings = {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", "task_type": "SEQ_CLS"}
    folder = save_adapter(classifier(), tmp_path / "adapter", settings)
    assert '"classifier"' in (folder / adapter.ADAPTER_CONFIG).read_text()

    reference = peft_scores(classifier(), folder)

    assert np.abs(merged_scores(tiny, folder) - reference).max() < TOLERANCE


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("_orig_mod.", ""),
        ("module.", ""),
        ("module._orig_mod.", ""),
        ("", "_orig_mod."),
        ("", "module."),
        ("_orig_mod.", "_orig_mod.module."),
    ],
)
def test_prefixes_of_wrapped_models_change_no_score(
    tiny: Tiny, plain: Path, before: str, behind: str
) -> None:
    """torch.compile and DistributedDataParallel put them before names and between their parts."""
    expected = merged_scores(tiny, plain)

    def wrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            before
            + key.replace(adapter.PREFIX, adapter.PREFIX + behind).replace(
                f".{tiny.layers}.1.", f".{tiny.layers}.1._orig_mod."
            ): tensor
            for key, tensor in tensors.items()
        }

    edit_tensors(plain, wrapped)
    edit_config(plain, {"target_modules": [f"_orig_mod.{tiny.query}", f"module.{tiny.value}"]})

    assert np.array_equal(merged_scores(tiny, plain), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_adapter_in_half_precision_is_merged_in_fp32(
    tiny: Tiny, plain: Path, dtype: torch.dtype
) -> None:
    """Rounding once, when it was saved, is enough."""
    edit_tensors(plain, lambda tensors: {key: item.to(dtype) for key, item in tensors.items()})

    reference = peft_scores(tiny.student(), plain)

    assert np.abs(merged_scores(tiny, plain) - reference).max() < TOLERANCE


def test_merging_asks_no_network_and_draws_no_random_number(
    tiny: Tiny, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever base the folder names: student.json names the one that counts."""
    edit_config(plain, {"base_model_name_or_path": "someone/else", "revision": "evil"})
    monkeypatch.setattr(socket, "socket", None)
    model = tiny.student()
    state = torch.random.get_rng_state()

    adapter.merge(model, plain, parameters(plain))

    assert torch.equal(torch.random.get_rng_state(), state)


def test_only_the_layers_of_the_adapter_change(tiny: Tiny, plain: Path) -> None:
    """In place: no second copy of the base is made, and nothing of PEFT stays in the model."""
    model = tiny.student()
    before = {name: (item, item.clone()) for name, item in model.named_parameters()}

    adapter.merge(model, plain, parameters(plain))

    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    changed = {name for name, (_, old) in before.items() if not torch.equal(after[name], old)}
    assert all(after[name] is item for name, (item, _) in before.items())
    ends = (f"{tiny.query}.weight", f"{tiny.value}.weight")
    assert changed == {name for name in after if name.endswith(ends) or "score." in name}


def test_a_copy_of_a_tensor_under_another_prefix_is_refused(
    tiny: Tiny, plain: Path, tmp_path: Path
) -> None:
    """Which of the two counts, nobody could say."""
    folder = Path(shutil.copytree(plain, tmp_path / "twice"))
    edit_tensors(folder, lambda t: t | {f"module.{key}": item + 1 for key, item in t.items()})

    with pytest.raises(StudentInvalid, match="twice"):
        merged_scores(tiny, folder)
