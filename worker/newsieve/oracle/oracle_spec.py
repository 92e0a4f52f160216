"""Which oracle is asked, with which prompts, at what price, and with how many calls at a time.

Knows neither requests nor calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from newsieve.oracle.prompt import LabelPrompt, OracleConfig, Prompt
from newsieve.oracle.providers.base import Prices


@dataclass(frozen=True, slots=True)
class OracleSpec:
    """The oracle that is asked, its prompts (by name/vN), its prices, and its calls at a time."""

    config: OracleConfig
    prompts: Mapping[str, Prompt]
    prices: Prices
    concurrency: int

    def expected_usd(self, prompt: LabelPrompt) -> float:
        """Return what a call usually costs."""
        return self.prices.cost_usd(self.prices.expected_tokens(prompt))

    def max_usd(self, prompt: LabelPrompt) -> float:
        """Return the most that a call can cost."""
        return self.prices.cost_usd(self.prices.max_tokens(prompt))
