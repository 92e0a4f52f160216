"""Strangers in our consumer group: named, waited for, and then a person's matter."""

from __future__ import annotations

import itertools
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError

from newsieve.errors import GroupOccupied
from newsieve.kafka.group_membership import EMPTY, Group, GroupMembershipCheck, Member, occupation
from newsieve.kafka.timeouts import TIMEOUTS

OURS = Member("newsieve", "/10.0.0.1", 3)
RENAMED = Member("eu-newsieve-7", "/10.0.0.3", 3)
STRANGER = Member("billing", "/10.0.0.2", 3)
CONFIG = {"group.id": "g", "client.id": "newsieve"}
REFUSED = KafkaError(KafkaError.INCONSISTENT_GROUP_PROTOCOL)


def group(*members: Member, protocol: str = "consumer", assignor: str = "range") -> Group:
    return Group(protocol, assignor, members)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("newsieve.kafka.group_membership.time.monotonic", lambda: now[0])
    return now


def answered(found: Group | None) -> Future[Group | None]:
    answer: Future[Group | None] = Future()
    answer.set_result(found)
    return answer


def occupied(found: Group, *, is_refused: bool = False, is_named: bool = True) -> str | None:
    return occupation("g", found, is_refused=is_refused, is_named=is_named)


def test_strangers_are_named_with_host_partitions_and_assignor() -> None:
    """So that somebody knows whom to ask."""
    said = occupied(group(OURS, STRANGER, assignor="cooperative-sticky"))

    assert said == (
        "clients that are none of ours are in group g (assignor 'cooperative-sticky'): "
        "client.id 'billing' from /10.0.0.2 with 3 partitions"
    )


def test_what_a_stranger_calls_itself_cannot_do_anything_to_a_terminal() -> None:
    """Nor fill a log."""
    said = occupied(group(*[Member("\x1b[2J" + "x" * 10_000, "h" * 10_000, 1)] * 1_000))

    assert said is not None and said.isprintable() and len(said) < 2_000
    assert said.endswith("and 995 more")


def test_ours_are_no_strangers_whatever_else_their_client_id_says() -> None:
    """Users may set one of their own."""
    assert occupied(group(OURS, RENAMED)) is None


def test_where_our_own_client_id_does_not_say_who_we_are_nobody_is_a_stranger() -> None:
    """The others may be workers with such ids; only a refusal speaks against them then."""
    assert occupied(group(STRANGER), is_named=False) is None
    assert "in another way" in (occupied(group(STRANGER), is_named=False, is_refused=True) or "")


def test_a_group_of_another_protocol_is_occupied_by_itself() -> None:
    """Kafka Connect's workers, for instance."""
    assert "of the protocol 'connect'" in (occupied(group(protocol="connect")) or "")
    assert occupied(EMPTY, is_refused=True) is None


def test_strangers_that_stay_end_the_program_and_those_that_leave_do_not(
    clock: list[float],
) -> None:
    """The broker is asked again every ten seconds, and only while there is something."""
    seen = itertools.chain([group(STRANGER), None, EMPTY], itertools.repeat(group(STRANGER)))
    asked = []

    def look() -> Future[Group | None]:
        asked.append(clock[0])
        return answered(next(seen))

    company = GroupMembershipCheck(look, CONFIG)
    company.check()
    assert asked == []
    company.joined()
    for clock[0] in range(40):
        company.check()
    assert asked == [5, 15, 25]

    company.joined()

    def wait() -> None:
        for clock[0] in range(40, 200):
            company.check()

    with pytest.raises(GroupOccupied, match=r"'billing' from /10\.0\.0\.2 .* for 60 s\. Stop them"):
        wait()
    assert clock[0] == 44 + TIMEOUTS.occupied_seconds


def test_nobody_waits_for_an_answer(clock: list[float]) -> None:
    """A stalled broker owes it for long, and the loop has rebalances to serve; it is not asked
    again meanwhile."""
    asked: list[Future[Group | None]] = []

    def look() -> Future[Group | None]:
        asked.append(Future())
        return asked[-1]

    company = GroupMembershipCheck(look, CONFIG)
    company.outside()
    for clock[0] in range(30):
        company.check()
    assert len(asked) == 1

    asked[0].set_result(None)
    for clock[0] in range(30, 45):
        company.check()
    assert len(asked) == 2


def test_a_rollout_that_changes_the_assignor_is_waited_for(clock: list[float]) -> None:
    """Until the former workers are gone the broker refuses the new ones."""
    asked = []

    def look() -> Future[Group | None]:
        asked.append(clock[0])
        return answered(group(OURS) if clock[0] < 50 else EMPTY)

    company = GroupMembershipCheck(look, CONFIG)
    for clock[0] in range(120):
        if clock[0] < 52:
            company.refused(REFUSED)
        if clock[0] == 53:
            company.joined()
        company.check()
    assert asked == [0, 10, 20, 30, 40, 50, 58]


def test_one_that_joining_has_failed_for_again_and_again_need_not_be_waited_for() -> None:
    """KIP-848 calls it fatal when the group is of another protocol."""
    company = GroupMembershipCheck(lambda: answered(group(STRANGER, protocol="connect")), CONFIG)

    with pytest.raises(GroupOccupied, match="of the protocol 'connect'"):
        company.require_ours()
    GroupMembershipCheck(lambda: answered(None), CONFIG).require_ours()
    GroupMembershipCheck(lambda: answered(EMPTY), CONFIG).require_ours()
