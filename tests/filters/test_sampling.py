"""The oracle's sample: deterministic, nested, a function of the record, the policy and the key."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.sampling import (
    LOW,
    SURFACED,
    SUSPECT,
    EpochDraw,
    Sampler,
    SamplingPolicy,
    Stratum,
    fingerprint_in,
)
from newsieve.filters.secret_key import SecretKey

IDS = st.text(max_size=40).filter(lambda text: text.isprintable())
PI = st.floats(0, 1)
SECRET = "0123456789abcdef" * 4
KEYS = [None, SecretKey(SECRET)]
HASH, OTHER_HASH = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def sampler(
    low: float, surfaced: float = 0.5, epoch: str = "2026-11", key: SecretKey | None = None
) -> Sampler:
    pi: dict[Stratum, float] = {LOW: low, SURFACED: surfaced, SUSPECT: 0.1}
    return Sampler(SamplingPolicy("p1", epoch, pi, key))


@given(IDS)
def test_u_is_the_documented_hash(article_id: str) -> None:
    """blake2b(id, key=epoch), first 8 bytes, big endian, over 2**64."""
    digest = hashlib.blake2b(article_id.encode(), key=b"2026-11").digest()

    u = EpochDraw("2026-11").u(article_id, HASH)

    assert u == int.from_bytes(digest[:8], "big") / 2**64


@given(IDS)
def test_with_a_key_u_is_the_documented_hash_of_id_and_content(article_id: str) -> None:
    """Another program that has the key draws the same."""
    master = hashlib.blake2b(SECRET.encode()).digest()
    derived = hashlib.blake2b(b"draw\n2026-11", key=master, digest_size=32).digest()
    digest = hashlib.blake2b(f"{article_id}\n{HASH}".encode(), key=derived).digest()

    u = EpochDraw("2026-11", SecretKey(SECRET)).u(article_id, HASH)

    assert u == int.from_bytes(digest[:8], "big") / 2**64


@given(IDS, PI, PI, st.sampled_from(KEYS))
def test_raising_pi_only_adds_articles(
    article_id: str, one: float, other: float, key: SecretKey | None
) -> None:
    """Nested within an epoch."""
    low, high = sorted((one, other))

    if sampler(low, key=key).draw(article_id, HASH, LOW).selected:
        assert sampler(high, key=key).draw(article_id, HASH, LOW).selected


@given(IDS, st.sampled_from(KEYS))
def test_nobody_is_selected_at_0_and_everybody_at_1(article_id: str, key: SecretKey | None) -> None:
    """u < pi, strictly, with u below 1."""
    assert not sampler(0.0, key=key).draw(article_id, HASH, LOW).selected
    assert sampler(1.0, key=key).draw(article_id, HASH, LOW).selected


@pytest.mark.parametrize("key", KEYS)
def test_the_share_selected_is_pi_in_each_stratum(key: SecretKey | None) -> None:
    """Over many articles."""
    ids = [f"article-{n}" for n in range(20_000)]
    strata: list[tuple[Stratum, float]] = [(LOW, 0.02), (SURFACED, 0.5), (SUSPECT, 0.1)]
    chosen = sampler(0.02, key=key)
    for stratum, pi in strata:
        share = sum(chosen.draw(i, HASH, stratum).selected for i in ids) / len(ids)
        assert share == pytest.approx(pi, rel=0.15)


def test_a_new_epoch_another_key_and_other_words_draw_anew() -> None:
    """Each independent of the one before."""
    ids = [f"article-{n}" for n in range(5_000)]

    def drawn(of: Sampler, content_hash: str = HASH) -> set[str]:
        return {i for i in ids if of.draw(i, content_hash, LOW).selected}

    key, another = SecretKey(SECRET), SecretKey(SECRET[::-1])
    samples = [
        drawn(sampler(0.1)),
        drawn(sampler(0.1, epoch="2026-12")),
        drawn(sampler(0.1, key=key)),
        drawn(sampler(0.1, key=another)),
        drawn(sampler(0.1, epoch="2026-12", key=key)),
        drawn(sampler(0.1, key=key), OTHER_HASH),
    ]
    for at, first in enumerate(samples):
        for second in samples[:at]:
            assert 0.05 < len(first & second) / len(first) < 0.2
    assert drawn(sampler(0.1, key=SecretKey(SECRET))) == samples[2]


def test_ids_that_were_found_for_the_sample_are_drawn_as_any_others() -> None:
    """Whoever knows policy and epoch, and not the key, gains nothing by choosing ids: neither into
    the sample nor out of it."""
    public = EpochDraw("2026-11")
    tried = [f"https://news.example/a?v={n}" for n in range(200_000)]
    into = [name for name in tried if public.u(name, HASH) < 0.01]
    out = [name for name in tried[:5_000] if public.u(name, HASH) > 0.2]
    assert len(into) > 1_500

    keyed = sampler(0.2, key=SecretKey(SECRET))
    for names in (into, out):
        share = sum(keyed.draw(name, HASH, LOW).selected for name in names) / len(names)
        assert share == pytest.approx(0.2, abs=0.04)


def test_a_keyed_draw_says_so_in_the_name_of_its_policy() -> None:
    """By the key's fingerprint, which is not the key."""
    key = SecretKey(SECRET)

    name = sampler(0.1, key=key).policy.name

    assert fingerprint_in(name) == key.fingerprint != SecretKey(SECRET[::-1]).fingerprint
    assert name == f"p1+key-{key.fingerprint}" and SECRET[:8] not in name
    assert sampler(0.1).policy.name == "p1" and fingerprint_in("p1") is None
    assert SECRET not in f"{key!r} {key} {sampler(0.1, key=key).policy!r}"
