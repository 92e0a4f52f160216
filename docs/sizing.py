"""Writes the page about sizing: its tables are computed by `newsieve.inference.capacity`.

Knows no measurement: what a device reaches of its bound is an assumption that the page names.
"""

from __future__ import annotations

from typing import Final

from docs.tables import page, table
from newsieve.inference.capacity import (
    H200_BF16_FLOP_PER_SECOND,
    PARTITIONS_PER_WORKER,
    QWEN2_5_1_5B,
    Fleet,
    bound_articles_per_second,
    catch_up_seconds,
    plan_fleet,
)
from newsieve_schemas.topics import PARTITIONS

MEAN_TOKENS: Final = (200, 350, 512)
SHARES: Final = (0.5, 0.8, 1.0)  # of the bound
STREAMS: Final = (100, 1_000, 5_000)  # articles a second
PLANNED_TOKENS: Final = 350
PLANNED_SHARE: Final = 0.5
HEADROOM: Final = 2.0
PRICE_PER_CARD_HOUR: Final = 3.0
OUTAGE_SECONDS: Final = 60.0


def sizing_page() -> str:
    """Return the page: the bound of a card, the workers of a stream, how a backlog ends."""
    return page(
        [
            "# Sizing",
            "How many workers does a stream need, and what do they cost? Each worker is one process on one "
            "device (`student.device`, say `cuda:1`), a replica of the group with a `worker.slot` of its own. "
            "Workers share the raw topic's partitions, and know nothing else of each other.",
            "## What a card can do at most",
            f"A student of {QWEN2_5_1_5B.non_embedding_weights:,} weights without embeddings (Qwen2.5-1.5B) "
            f"needs {2 * QWEN2_5_1_5B.non_embedding_weights / 1e9:.2f} GFLOP for each token, and a little for "
            "attention, which grows with an article's length. An NVIDIA H200 multiplies bf16 matrices at "
            f"{H200_BF16_FLOP_PER_SECOND / 1e12:.0f} TFLOP/s: that figure is measured. All below is arithmetic. "
            "**newsieve itself was not measured on a card**: which share of the bound it reaches, "
            "`python -m benchmarks.engine` says on yours.",
            table(
                ("Mean tokens", *(f"At {share:.0%} of the bound, articles/s" for share in SHARES)),
                [
                    (str(tokens), *(f"{share * _bound(tokens):,.0f}" for share in SHARES))
                    for tokens in MEAN_TOKENS
                ],
            ),
            "The mean is of tokens that the student reads: those of longer articles count up to its window "
            "(`max_tokens` in `student.json`). Each further filter with a student of its own costs as much again.",
            "## Workers, partitions, cost",
            f"For articles of {PLANNED_TOKENS} tokens on cards at {PLANNED_SHARE:.0%} of the bound "
            f"({PLANNED_SHARE * _bound(PLANNED_TOKENS):,.0f} articles/s each), with room for {HEADROOM:g} times "
            f"the mean stream, at a price of {PRICE_PER_CARD_HOUR:g} for an hour of one card, which is an "
            "example: put in yours.",
            table(
                (
                    "Stream, articles/s",
                    "Workers",
                    "Partitions",
                    "Cost per million articles",
                    f"Catching up after {OUTAGE_SECONDS:g} s without workers, s",
                ),
                [_fleet_row(stream) for stream in STREAMS],
            ),
            f"Partitions are {PARTITIONS_PER_WORKER} for each worker: those of a worker that ends are shared by the "
            f"others, and there is room for more workers. `newsieve topics create` makes {PARTITIONS}; where that is too "
            "few, make the raw topic with Kafka's own tools before, since partitions that are added later take keys "
            "from the others. The cost is that of workers that are always on: a small stream costs one worker, "
            "whatever it carries. A fully used card needs "
            f"{_plan(STREAMS[0]).card_hours_per_million_articles:.2f} hours for a million articles.",
            "The functions are in `worker/newsieve/inference/capacity.py`, for other models, cards and prices:",
            "```python\n"
            "from newsieve.inference.capacity import QWEN2_5_1_5B, bound_articles_per_second, plan_fleet\n\n"
            "bound = bound_articles_per_second(QWEN2_5_1_5B, mean_tokens=350, flop_per_second=790e12)\n"
            "print(plan_fleet(1_000, 0.5 * bound, headroom=2, price_per_card_hour=3))\n"
            "```",
            "## Workers on processors",
            "A small student runs without a card. Put the articles/s that `make bench` measures on your machine in "
            "the place of a card's: the arithmetic of workers, partitions and cost is the same.",
        ]
    )


def _bound(tokens: int) -> float:
    return bound_articles_per_second(QWEN2_5_1_5B, tokens, H200_BF16_FLOP_PER_SECOND)


def _plan(stream: float) -> Fleet:
    rate = PLANNED_SHARE * _bound(PLANNED_TOKENS)
    return plan_fleet(stream, rate, HEADROOM, PRICE_PER_CARD_HOUR)


def _fleet_row(stream: int) -> tuple[str, ...]:
    fleet = _plan(stream)
    wait = catch_up_seconds(OUTAGE_SECONDS, stream, fleet.capacity_articles_per_second)
    return (
        f"{stream:,}",
        str(fleet.workers),
        str(fleet.partitions),
        f"{fleet.cost_per_million_articles:.2f}",
        f"{wait:.0f}",
    )
