"""The oracle's sample: deterministic, nested, a function of the record and the policy."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.rules.sampling import LOW, SURFACED, SUSPECT, SamplingPolicy, Stratum, draw, uniform

IDS = st.text(max_size=40).filter(lambda text: text.isprintable())
PI = st.floats(0, 1)


def policy(low: float, surfaced: float = 0.5, epoch: str = "2026-11") -> SamplingPolicy:
    return SamplingPolicy("p1", epoch, {LOW: low, SURFACED: surfaced, SUSPECT: 0.1})


@given(IDS)
def test_u_is_the_documented_hash(article_id: str) -> None:
    """blake2b(id, key=epoch), first 8 bytes, big endian, over 2**64."""
    digest = hashlib.blake2b(article_id.encode(), key=b"2026-11").digest()

    assert uniform(article_id, "2026-11") == int.from_bytes(digest[:8], "big") / 2**64


@given(IDS, PI, PI)
def test_raising_pi_only_adds_articles(article_id: str, one: float, other: float) -> None:
    """Nested within an epoch."""
    low, high = sorted((one, other))

    if draw(article_id, LOW, policy(low)).selected:
        assert draw(article_id, LOW, policy(high)).selected


@given(IDS)
def test_nobody_is_selected_at_0_and_everybody_at_1(article_id: str) -> None:
    """u < pi, strictly, with u below 1."""
    assert not draw(article_id, LOW, policy(0.0)).selected
    assert draw(article_id, LOW, policy(1.0)).selected


def test_the_share_selected_is_pi_in_each_stratum() -> None:
    """Over many articles."""
    ids = [f"article-{n}" for n in range(20_000)]
    strata: list[tuple[Stratum, float]] = [(LOW, 0.02), (SURFACED, 0.5), (SUSPECT, 0.1)]
    for stratum, pi in strata:
        share = sum(draw(i, stratum, policy(0.02)).selected for i in ids) / len(ids)
        assert share == pytest.approx(pi, rel=0.15)


def test_a_new_epoch_draws_anew() -> None:
    """Independent of the one before."""
    ids = [f"article-{n}" for n in range(5_000)]
    first = {i for i in ids if draw(i, LOW, policy(0.1)).selected}
    second = {i for i in ids if draw(i, LOW, policy(0.1, epoch="2026-12")).selected}

    assert 0.05 < len(first & second) / len(first) < 0.2
