"""The arithmetic of how many articles a device can score, and how many workers a stream needs.

Pure: it imports nothing and measures nothing. What a device really reaches is a share of its bound,
which benchmarks/engine.py measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SECONDS_PER_HOUR: Final = 3_600
ARTICLES_PER_MILLION: Final = 1_000_000
# A worker that ends leaves its partitions to the others: with four each, none takes more than a
# quarter more than before once there are five workers.
PARTITIONS_PER_WORKER: Final = 4


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides a transformer's work for each token."""

    non_embedding_weights: int
    layers: int
    attention_width: int  # heads times their dimension
    is_causal: bool  # a token attends to those before it alone, half of all pairs


QWEN2_5_1_5B: Final = ModelShape(1_310_340_608, layers=28, attention_width=1_536, is_causal=True)
H200_BF16_FLOP_PER_SECOND: Final = 790e12  # measured, products of 8192 x 8192 matrices


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers that a stream needs, one on each card, and what they cost."""

    workers: int
    partitions: int
    capacity_articles_per_second: float  # of all workers together
    card_hours_per_million_articles: float  # of a worker that is fully used
    cost_per_million_articles: float  # in the currency of the price, all workers always on


def flop_per_article(shape: ModelShape, tokens: float) -> float:
    """Return the floating-point operations that scoring one article of so many tokens needs.

    A multiplication and an addition for each weight and token, and for each pair of tokens that
    attend to each other the product of their query and key and the weighing of their value.
    """
    products = 2 * shape.non_embedding_weights * tokens
    pairs = tokens**2 / (2 if shape.is_causal else 1)
    return products + 4 * shape.layers * shape.attention_width * pairs


def bound_articles_per_second(
    shape: ModelShape, mean_tokens: float, flop_per_second: float
) -> float:
    """Return the articles a second that a device cannot exceed, as if all were of one length."""
    return flop_per_second / flop_per_article(shape, mean_tokens)


def plan_fleet(
    articles_per_second: float,
    articles_per_second_per_worker: float,
    headroom: float,
    price_per_card_hour: float,
) -> Fleet:
    """Return the workers for a stream of so many articles a second on average.

    `headroom` is how many times the average the workers must be able to score: for peaks, and to
    catch up after an outage.
    """
    workers = math.ceil(articles_per_second * headroom / articles_per_second_per_worker)
    per_hour = articles_per_second * SECONDS_PER_HOUR
    return Fleet(
        workers=workers,
        partitions=workers * PARTITIONS_PER_WORKER,
        capacity_articles_per_second=workers * articles_per_second_per_worker,
        card_hours_per_million_articles=ARTICLES_PER_MILLION
        / (articles_per_second_per_worker * SECONDS_PER_HOUR),
        cost_per_million_articles=workers * price_per_card_hour * ARTICLES_PER_MILLION / per_hour,
    )


def catch_up_seconds(
    outage_seconds: float, articles_per_second: float, capacity_articles_per_second: float
) -> float:
    """Return how long a backlog lasts after an outage, while articles go on arriving.

    Infinity where the workers score no more than arrives.
    """
    spare = capacity_articles_per_second - articles_per_second
    return outage_seconds * articles_per_second / spare if spare > 0 else math.inf
