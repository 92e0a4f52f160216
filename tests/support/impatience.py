"""Shorter time-outs than the programs', for tests of what happens when one is over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from newsieve.kafka.config import Cluster
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts


def limits(**seconds: float) -> Timeouts:
    """The programs' time-outs, but for these."""
    return replace(TIMEOUTS, **seconds)


def hurry(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Give every cluster that a command makes from its settings these time-outs."""
    impatient = partial(Cluster, timeouts=limits(**seconds))
    monkeypatch.setattr("newsieve.bootstrap.common.Cluster", impatient)
