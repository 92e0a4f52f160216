"""A day's budget cannot be overrun: by no order of calls, no crash, no change of owners."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.oracle.budget import Budget, Caps, Ledger

TODAY, TOMORROW = "2026-11-22", "2026-11-23"


def budget(calls: int = 10, usd: float = 1.0, partitions: int = 6) -> Budget:
    return Budget(Caps(calls, usd), partitions, {p: Ledger() for p in range(partitions)})


def test_one_oracle_alone_has_all_of_the_budget_wherever_the_requests_are() -> None:
    """Ten calls for requests of one partition."""
    found = budget()
    for offset in range(10):
        assert found.affords(0.0, TODAY)
        found = found.claim(3, offset, 0.0, TODAY)

    assert not found.affords(0.0, TODAY)
    assert found.claims_of(3, 9) == 1


def test_what_a_call_does_not_use_comes_back() -> None:
    """Claimed at the most it can cost."""
    found = budget(usd=1.0).claim(0, 7, 0.9, TODAY)
    assert not found.affords(0.2, TODAY)

    found = found.give_back(0, 7, claims=0, usd=0.85, claimed_on=TODAY).close(0, 7)

    assert found.affords(0.9, TODAY)
    assert not found.affords(0.96, TODAY)
    assert found.claims_of(0, 7) == 0


def test_a_call_that_was_not_made_is_no_call() -> None:
    """Turned away for good, or claimed when the process was told to stop."""
    found = budget(calls=1).claim(0, 7, 0.0, TODAY)

    found = found.give_back(0, 7, claims=1, usd=0.0, claimed_on=TODAY)

    assert found.claims_of(0, 7) == 0
    assert found.affords(0.0, TODAY)


def test_a_new_day_has_a_new_budget_and_the_old_claims() -> None:
    """What was claimed before midnight does not come back after it."""
    found = budget(calls=1).claim(0, 7, 0.9, TODAY)

    assert found.affords(1.0, TOMORROW)
    found = found.claim(0, 8, 0.5, TOMORROW)
    found = found.give_back(0, 7, claims=1, usd=0.9, claimed_on=TODAY)
    assert not found.affords(0.0, TOMORROW)
    assert found.usd_left(TOMORROW) == pytest.approx(0.5)


def test_a_clock_that_is_set_back_does_not_begin_the_day_again() -> None:
    """The latest day on record counts."""
    found = budget(calls=1).claim(0, 7, 0.0, TOMORROW)

    assert found.today(TODAY) == TOMORROW
    assert not found.affords(0.0, found.today(TODAY))


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
        elif step == "claim" and partition in mine and own.affords(amount, TODAY):
            offset += 1
            ledgers |= own.claim(partition, offset, amount, TODAY).ledgers
            open_claims.append((partition, offset, amount))
            paid_calls, paid_usd = paid_calls + 1, paid_usd + amount
        elif step == "settle" and open_claims and owner[open_claims[-1][0]] == who:
            at, number, most = open_claims.pop()
            paid_usd -= most / 2
            settled = own.give_back(at, number, 0, most / 2, TODAY).close(at, number)
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

    assert not lowered.affords(0.0, TODAY)
    assert lowered.calls_left(TODAY) == 0 and lowered.usd_left(TODAY) == 0
