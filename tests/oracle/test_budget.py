"""A day's budget cannot be overrun: by no order of calls, no crash, no change of owners."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.oracle.budget import MOST_SOURCES, Budget, Caps, Ledger

TODAY, TOMORROW = "2026-11-22", "2026-11-23"


def budget(calls: int = 10, usd: float = 1.0, partitions: int = 6) -> Budget:
    return Budget(Caps(calls, usd), partitions, {p: Ledger() for p in range(partitions)})


def shared(
    calls: int = 100, usd: float = float("inf"), partitions: int = 6, share: float = 0.25
) -> Budget:
    ledgers = {p: Ledger() for p in range(partitions)}
    return Budget(Caps(calls, usd, share), partitions, ledgers)


def take_all(found: Budget, source: str, usd: float = 0.0, day: str = TODAY) -> tuple[Budget, int]:
    """As many calls as the source gets."""
    taken = 0
    while found.can_afford(usd, day) and found.can_afford_for(source, usd, day):
        found = found.claim(min(found.ledgers), taken, usd, day, source)
        taken += 1
    return found, taken


def test_a_source_has_its_share_of_a_day_and_no_more() -> None:
    """And anew on the next day; others have what is left."""
    found, had = take_all(shared(), "flood")
    assert had == 25

    for name, expected in (("a", 25), ("b", 25), ("c", 25), ("d", 0)):
        found, had = take_all(found, name)
        assert had == expected
    assert take_all(found, "flood", day=TOMORROW)[1] == 25


def test_a_sources_share_is_of_the_money_too() -> None:
    """Long articles cost more; what a call did not use is its source's again."""
    found, had = take_all(shared(calls=1_000, usd=1.0), "flood", 0.05)
    assert had == 5

    found = found.give_back(0, 4, 0, 0.05, TODAY, "flood")

    assert found.can_afford_for("flood", 0.05, TODAY) and not found.can_afford_for(
        "flood", 0.06, TODAY
    )


def test_the_first_call_of_a_day_is_no_sources_to_lose() -> None:
    """However small the budget and its parts are, and whatever the call costs."""
    for partition in range(6):
        alone = Budget(Caps(10, 0.1, 0.25), 6, {partition: Ledger()})
        assert alone.can_afford_for("a", 0.1, TODAY)
        assert not alone.claim(partition, 1, 0.1, TODAY, "a").can_afford_for("a", 0.0, TODAY)


def test_a_call_that_was_not_made_is_none_of_its_sources() -> None:
    """Likewise twice, or on another day, nothing comes back."""
    found = shared(calls=8).claim(0, 7, 0.0, TODAY, "a")
    found = found.claim(0, 8, 0.0, TODAY, "a")
    assert not found.can_afford_for("a", 0.0, TODAY)

    assert not found.give_back(0, 7, 1, 0.0, TOMORROW, "a").can_afford_for("a", 0.0, TODAY)
    once = found.give_back(0, 7, 1, 0.0, TODAY, "a")
    assert once.can_afford_for("a", 0.0, TODAY)
    assert once.give_back(0, 7, 1, 0.0, TODAY, "a") == once


def test_a_share_that_is_all_is_not_counted() -> None:
    """Nor is what belongs to no source."""
    assert take_all(shared(share=1.0), "a")[1] == 100
    assert not shared(share=1.0).claim(0, 1, 0.0, TODAY, "a").ledgers[0].sources
    assert not shared().claim(0, 1, 0.0, TODAY, None).ledgers[0].sources


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=120))
@settings(max_examples=50, deadline=None)
def test_several_oracles_keep_a_source_to_its_share_together(steps: list[tuple[int, int]]) -> None:
    """Each knows its own partitions' ledgers only, and partitions change hands: beyond the share
    there is at most the first call of each oracle whose part of it is none."""
    ledgers = {p: Ledger() for p in range(6)}
    owner = {p: p % 3 for p in range(6)}
    taken = 0
    for partition, who in steps:
        if taken % 7 == 3:
            owner[partition] = who
        mine = Budget(
            Caps(60, float("inf"), 0.25), 6, {p: ledgers[p] for p in ledgers if owner[p] == who}
        )
        if mine.ledgers and mine.can_afford_for("flood", 0.0, TODAY):
            at = min(mine.ledgers)
            ledgers |= mine.claim(at, taken, 0.0, TODAY, "flood").ledgers
            taken += 1

        assert taken == sum(ledger.spent("flood").calls for ledger in ledgers.values())
        assert taken <= 15


@given(st.lists(st.integers(0, 3 * MOST_SOURCES), max_size=2_000), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_what_a_source_had_is_never_counted_as_less_however_many_there_are(
    names: list[int], seed: int
) -> None:
    """The ledger stays small; what it cannot hold it takes to be more, by little."""
    chance = random.Random(seed)
    names = names + [chance.randrange(3 * MOST_SOURCES) for _ in range(1_500)]
    ledger, had = Ledger(TODAY), Counter[str]()
    for name in map(str, names):
        ledger = ledger.charge(name, 1.0)
        had[name] += 1

    assert len(ledger.sources) <= MOST_SOURCES + 1
    slack = len(names) / (MOST_SOURCES - 1)
    for name in map(str, range(3 * MOST_SOURCES)):
        assert had[name] <= ledger.spent(name).calls <= had[name] + slack
        assert ledger.spent(name).usd >= had[name]


def test_one_oracle_alone_has_all_of_the_budget_wherever_the_requests_are() -> None:
    """Ten calls for requests of one partition."""
    found = budget()
    for offset in range(10):
        assert found.can_afford(0.0, TODAY)
        found = found.claim(3, offset, 0.0, TODAY)

    assert not found.can_afford(0.0, TODAY)
    assert found.claims_of(3, 9) == 1


def test_what_a_call_does_not_use_comes_back() -> None:
    """Claimed at the most it can cost."""
    found = budget(usd=1.0).claim(0, 7, 0.9, TODAY)
    assert not found.can_afford(0.2, TODAY)

    found = found.give_back(0, 7, claims=0, usd=0.85, claimed_on=TODAY).settle(0, 7)

    assert found.can_afford(0.9, TODAY)
    assert not found.can_afford(0.96, TODAY)
    assert found.claims_of(0, 7) == 0


def test_a_call_that_was_not_made_is_no_call() -> None:
    """Turned away for good, or claimed when the process was told to stop."""
    found = budget(calls=1).claim(0, 7, 0.0, TODAY)

    found = found.give_back(0, 7, claims=1, usd=0.0, claimed_on=TODAY)

    assert found.claims_of(0, 7) == 0
    assert found.can_afford(0.0, TODAY)


def test_a_new_day_has_a_new_budget_and_the_old_claims() -> None:
    """What was claimed before midnight does not come back after it."""
    found = budget(calls=1).claim(0, 7, 0.9, TODAY)

    assert found.can_afford(1.0, TOMORROW)
    found = found.claim(0, 8, 0.5, TOMORROW)
    found = found.give_back(0, 7, claims=1, usd=0.9, claimed_on=TODAY)
    assert not found.can_afford(0.0, TOMORROW)
    assert found.usd_left(TOMORROW) == pytest.approx(0.5)


def test_a_clock_that_is_set_back_does_not_begin_the_day_again() -> None:
    """The latest day on record counts."""
    found = budget(calls=1).claim(0, 7, 0.0, TOMORROW)

    assert found.today(TODAY) == TOMORROW
    assert not found.can_afford(0.0, found.today(TODAY))


def test_only_what_changed_has_to_be_written_down() -> None:
    """One ledger for a claim in the middle of a day, none for none."""
    before = budget().claim(0, 1, 0.0, TODAY)
    after = before.claim(0, 2, 0.0, TODAY)

    assert before.changes_since(before) == {}
    assert set(after.changes_since(before)) == {0, 1}  # its request's, and the share it took from


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),  # who
            st.sampled_from(["claim", "settle", "crash", "rebalance"]),
            st.floats(0.01, 0.4),
            st.integers(0, 5),
        ),
        max_size=80,
    ),
    st.integers(0, 12),
    st.floats(0.1, 2.0),
)
@settings(max_examples=150, deadline=None)
def test_several_oracles_never_overrun_it_together(
    steps: list[tuple[int, str, float, int]], calls: int, usd: float
) -> None:
    """Each knows its own partitions' ledgers only; they crash, and partitions change hands."""
    ledgers = {p: Ledger() for p in range(6)}
    owner = dict.fromkeys(range(6), 0)
    paid_calls, paid_usd, offset = 0, 0.0, 0
    open_claims: list[tuple[int, int, float]] = []
    for who, step, amount, partition in steps:
        mine = {p: ledgers[p] for p in ledgers if owner[p] == who}
        own = Budget(Caps(calls, usd), 6, mine)
        if step == "rebalance":
            owner[partition] = who
        elif step == "claim" and partition in mine and own.can_afford(amount, TODAY):
            offset += 1
            ledgers |= own.claim(partition, offset, amount, TODAY).ledgers
            open_claims.append((partition, offset, amount))
            paid_calls, paid_usd = paid_calls + 1, paid_usd + amount
        elif step == "settle" and open_claims and owner[open_claims[-1][0]] == who:
            at, number, most = open_claims.pop()
            paid_usd -= most / 2
            settled = own.give_back(at, number, 0, most / 2, TODAY).settle(at, number)
            ledgers |= settled.ledgers
        elif step == "crash" and open_claims:
            open_claims.pop()  # its answer is lost, its claim stays

        assert paid_calls <= calls
        assert paid_usd <= usd + 1e-6
        assert sum(ledger.calls for ledger in ledgers.values()) == paid_calls
        assert all(ledger.usd >= 0 for ledger in ledgers.values())


def test_a_lower_cap_leaves_nothing_and_breaks_nothing() -> None:
    """A setting that is changed in the middle of a day."""
    found = budget()
    for offset in range(8):
        found = found.claim(0, offset, 0.1, TODAY)
    lowered = replace(found, caps=Caps(4, 0.2))

    assert not lowered.can_afford(0.0, TODAY)
    assert lowered.calls_left(TODAY) == 0 and lowered.usd_left(TODAY) == 0
