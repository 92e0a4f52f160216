"""The arithmetic of capacity holds to the published bounds and to counts made by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2Config, Qwen2Model

from newsieve.inference.capacity import (
    H200_BF16_FLOP_PER_SECOND,
    QWEN2_5_1_5B,
    ModelShape,
    bound_articles_per_second,
    catch_up_seconds,
    flop_per_article,
    plan_fleet,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("mean_tokens", "articles"), [(200, 1498), (350, 852), (512, 579)])
def test_the_bound_of_the_card_is_the_known_one(mean_tokens: int, articles: int) -> None:
    """One H200 scores at most so many articles a second with a Qwen2.5-1.5B student."""
    bound = bound_articles_per_second(QWEN2_5_1_5B, mean_tokens, H200_BF16_FLOP_PER_SECOND)

    assert bound == pytest.approx(articles, rel=0.01)


def test_the_shape_is_that_of_the_published_model() -> None:
    """Its weights without embeddings, its layers and its width are counted on the model itself."""
    config = Qwen2Config(
        vocab_size=8, hidden_size=1_536, intermediate_size=8_960, num_hidden_layers=28,
        num_attention_heads=12, num_key_value_heads=2,
    )  # fmt: skip
    with torch.device("meta"):
        model = Qwen2Model(config)
    embeddings = model.get_input_embeddings().weight.numel()

    weights = sum(parameter.numel() for parameter in model.parameters()) - embeddings

    assert weights == QWEN2_5_1_5B.non_embedding_weights
    assert config.num_hidden_layers == QWEN2_5_1_5B.layers
    assert config.hidden_size == QWEN2_5_1_5B.attention_width


def test_the_operations_are_those_that_torch_counts() -> None:
    """torch counts attention whole, as for an encoder, and neither norms nor biases."""
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3}
    config = Qwen2Config(
        vocab_size=8, num_attention_heads=4, num_key_value_heads=4, attn_implementation="eager",
        **shape,
    )  # fmt: skip
    model = Qwen2Model(config)
    matrices = sum(
        p.numel() for name, p in model.named_parameters() if name.endswith("proj.weight")
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 40, dtype=torch.long), use_cache=False)

    counted = flop_per_article(ModelShape(matrices, 3, 64, is_causal=False), 40)

    assert counter.get_total_flops() == pytest.approx(counted, rel=0.01)


def test_a_fleet_has_room_for_its_headroom_and_no_worker_more() -> None:
    """100 articles a second with twice the room, on workers of 60 a second, need four."""
    fleet = plan_fleet(100, 60, headroom=2, price_per_card_hour=3)

    assert (fleet.workers, fleet.capacity_articles_per_second) == (4, 240)
    assert fleet.partitions == 16
    assert fleet.card_hours_per_million_articles == pytest.approx(4.63, abs=0.01)
    assert fleet.cost_per_million_articles == pytest.approx(4 * 3 / 0.36)


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """It plans the fleet that stands in the page's table for the same stream."""
    page = (ROOT / "docs" / "operations" / "sizing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    exec(code, {})  # noqa: S102 - the page's own code

    assert capsys.readouterr().out.startswith("Fleet(workers=5, partitions=20,")
    assert "| 1,000 | 5 | 20 |" in page


def test_a_backlog_lasts_as_long_as_the_spare_capacity_makes_it() -> None:
    """A minute's arrivals at half of the capacity take a minute; without any spare they stay."""
    assert catch_up_seconds(60, 50, 100) == pytest.approx(60)
    assert catch_up_seconds(60, 100, 100) == math.inf
