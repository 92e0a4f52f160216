"""Samples: half drawn with known probability, half where oracle and student differ most."""

from __future__ import annotations

import hashlib
import statistics

import pytest

from newsieve.review.sampling import disagreement, draw, starting_place

FRAME = [hashlib.sha256(b"%d" % number).digest() for number in range(200)]


def test_half_is_random_and_half_is_where_they_differ_most() -> None:
    """Each article is drawn once; what is random already is not drawn again for its difference."""
    differences = {item: number / 10 for number, item in enumerate(FRAME[:50])}
    sample = draw(FRAME, differences, 20, "seed")

    at_random = [item.content_hash for item in sample.drawn if item.pi is not None]
    chosen = [item.content_hash for item in sample.drawn if item.pi is None]
    left = sorted(set(differences) - set(at_random), key=lambda item: -differences[item])
    assert (len(at_random), len(chosen), sample.frame) == (10, 10, 200)
    assert not set(at_random) & set(chosen)
    assert set(chosen) == set(left[:10])
    assert {item.pi for item in sample.drawn if item.pi is not None} == {10 / 200}


def test_the_same_seed_draws_the_same_sample() -> None:
    """Whatever the order in which the store gives the articles; another seed draws others."""
    differences = dict.fromkeys(FRAME[:30], 1.0)
    one = draw(FRAME, differences, 20, "a")

    assert draw(list(reversed(FRAME)), dict(reversed(differences.items())), 20, "a") == one
    assert draw(FRAME, differences, 20, "b") != one


def test_each_article_is_drawn_with_the_probability_that_is_said() -> None:
    """Over many seeds, those of largest difference like all others."""
    differences = dict.fromkeys(FRAME[:40], 5.0)
    seeds = 1_200
    times = dict.fromkeys(FRAME, 0)
    for seed in range(seeds):
        for item in draw(FRAME, differences, 20, str(seed)).drawn:
            times[item.content_hash] += item.pi is not None

    shares = [count / seeds for count in times.values()]
    error = (0.05 * 0.95 / seeds) ** 0.5
    assert statistics.fmean(shares) == pytest.approx(10 / 200)
    assert max(abs(share - 10 / 200) for share in shares) < 4.5 * error  # of 200
    labelled = statistics.fmean(times[item] / seeds for item in differences)
    assert labelled == pytest.approx(0.05, abs=4 * error / 40**0.5)


def test_the_weighted_total_is_unbiased_over_seeds() -> None:
    """Σ v/pi of the random half is on average the total of all articles, whatever their values."""
    values = {item: float(number**2 % 97) for number, item in enumerate(FRAME)}
    differences = dict(list(values.items())[:60])
    totals = []
    for seed in range(600):
        drawn = draw(FRAME, differences, 30, f"s{seed}").drawn
        totals.append(sum(values[d.content_hash] / d.pi for d in drawn if d.pi is not None))

    error = statistics.stdev(totals) / len(totals) ** 0.5
    assert abs(statistics.fmean(totals) - sum(values.values())) < 4 * error
    assert error < 0.03 * sum(values.values())


def test_without_labels_all_are_drawn_at_random() -> None:
    """And a small store is drawn whole, with certainty."""
    assert {item.pi for item in draw(FRAME, {}, 20, "s").drawn} == {20 / 200}
    whole = draw(FRAME[:5], {}, 20, "s")
    assert {item.pi for item in whole.drawn} == {1.0}
    assert len(whole.drawn) == whole.frame == 5
    assert draw([], {}, 20, "s").drawn == []


def test_the_order_does_not_say_why_an_article_was_drawn() -> None:
    """Over seeds, both halves stand in the same places on average."""
    differences = dict.fromkeys(FRAME[:100], 1.0)
    places: dict[bool, list[int]] = {True: [], False: []}
    for seed in range(200):
        for place, item in enumerate(draw(FRAME, differences, 20, str(seed)).drawn):
            places[item.pi is None].append(place)

    assert statistics.fmean(places[True]) == pytest.approx(9.5, abs=0.5)
    assert statistics.fmean(places[False]) == pytest.approx(9.5, abs=0.5)


def test_a_difference_is_the_mean_over_the_dimensions() -> None:
    """Scores of other dimensions have none."""
    assert disagreement({"a": 2.0, "b": 7.5}, {"a": 5, "b": 7}) == pytest.approx(1.75)
    assert disagreement({"a": 2.0}, {"b": 2}) is None
    assert disagreement({}, {}) is None


def test_people_begin_at_different_places() -> None:
    """Each at the same one every time."""
    places = {starting_place(f"person {number}") for number in range(50)}
    assert len(places) == 50
    assert all(0 <= place < 1 for place in places)
    assert starting_place("ann") == starting_place("ann")
