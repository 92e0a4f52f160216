"""Which precision `auto` means: by what the hardware can do, whatever a clock says."""

from __future__ import annotations

import time

import pytest
import torch

from newsieve.inference.device import choose_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        pytest.param({"avx2": True, "avx512_f": True}, torch.float32, id="no bf16 at all"),
        pytest.param({"avx512_f": True, "avx512_bf16": False}, torch.float32, id="known to lack"),
        pytest.param({"avx_ne_convert": True}, torch.float32, id="converts, multiplies not"),
        pytest.param({"avx512_bf16": True}, torch.bfloat16, id="avx512_bf16"),
        pytest.param({"amx_bf16": True}, torch.bfloat16, id="amx_bf16"),
        pytest.param({"neon": True, "bf16": True}, torch.bfloat16, id="arm"),
        pytest.param({"architecture": "x86_64", "l2_cache_size": 1}, torch.float32, id="facts"),
    ],
)
def test_auto_on_a_cpu_is_bf16_where_there_are_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], dtype: torch.dtype
) -> None:
    """And fp32 elsewhere: two workers on machines of one kind compute in one precision."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    assert choose_dtype("auto", CPU) == dtype


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)]
)
def test_auto_on_a_gpu_is_bf16_from_the_generation_on_that_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    """Of the very GPU that is used, where a machine has several."""
    asked = []
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: asked.append(device) or capability
    )

    assert choose_dtype("auto", torch.device("cuda:1")) == dtype
    assert asked == [torch.device("cuda:1")]


def test_auto_on_apples_gpus_is_fp32() -> None:
    """Torch does not say which of them multiply bf16."""
    assert choose_dtype("auto", torch.device("mps")) == torch.float32


def test_no_clock_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopwatch gave two precisions on one busy machine."""

    def refuse() -> float:
        raise AssertionError("asked the time")

    for name in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, name, refuse)

    assert choose_dtype("auto", CPU) in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_a_precision_that_is_set_is_taken(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """Whatever the hardware has."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)

    expected = {"fp32": torch.float32, "bf16": torch.bfloat16}[wanted]
    assert choose_dtype(wanted, CPU) == expected  # type: ignore[arg-type]
