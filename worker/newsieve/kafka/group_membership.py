"""Finds out who else is in our consumer group: a stranger may block it, or take partitions for
itself.

The broker is asked only when something points to a stranger: it refuses to let us join, we stay
outside, or our partitions have changed. Our members are recognized by `newsieve` in their client
id, which is no proof: only rights on the group keep others out.
"""

from __future__ import annotations

import logging
import re
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from newsieve.errors import AccessDenied, GroupOccupied
from newsieve.kafka.config import APP, Cluster, Config, make_admin
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts

CONSUMERS: Final = "consumer"  # the protocol type of groups that share partitions
MOST_NAMED: Final = 5
ADVICE: Final = (
    "Stop them, or give them a group of their own; if they are an older or newer newsieve with "
    "another assignor, stop all of a group before starting the others. See *Group occupied* in the "
    "runbook"
)
_METADATA_MAGIC: Final = b":"

_log = logging.getLogger("newsieve.kafka")


class Member(NamedTuple):
    """A member of a group: its client id, its host, and how many partitions it has."""

    client_id: str
    host: str
    partitions: int


class Group(NamedTuple):
    """A group as the broker sees it. `protocol` is not `consumer` where the members share something
    other than partitions."""

    protocol: str
    assignor: str
    members: Sequence[Member]

    def strangers(self) -> list[Member]:
        """The members that are not newsieve's."""
        return [item for item in self.members if APP not in item.client_id]


EMPTY: Final = Group(CONSUMERS, "", ())


def group_of(cluster: Cluster, group: str) -> Group:
    """The group as the broker sees it, for commands. Raises AccessDenied without DESCRIBE on the
    group, or BrokerUnavailable."""
    admin = make_admin(cluster.admin())

    def look() -> Group:
        try:
            return look_at(admin, group, cluster.timeouts.call_seconds)
        except KafkaException as failure:
            if failure.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise AccessDenied(f"no right to DESCRIBE group {group}") from None
            raise

    return retry_until_available(admin, look, cluster.timeouts)


def look_at(admin: AdminClient, group: str, seconds: float) -> Group:
    """The group as the broker sees it. Raises KafkaException when no broker says, or we may not
    know."""
    asked = admin.describe_consumer_groups([group], request_timeout=seconds)
    try:
        found = asked[group].result(seconds)
    except KafkaException as failure:
        code = failure.args[0].code()
        if code == KafkaError.GROUP_ID_NOT_FOUND:
            return EMPTY
        if code == KafkaError._INVALID_ARG:  # noqa: SLF001 - its public name
            return Group(_protocol_in(failure.args[0].str()), "", ())
        raise
    members = [
        Member(item.client_id, item.host, len(item.assignment.topic_partitions))
        for item in found.members
    ]
    return Group(CONSUMERS, found.partition_assignor or "", members)


def _protocol_in(said: str) -> str:
    """The protocol that an error names: `GroupId g is not a consumer group (connect).` It says no
    more; the members of such a group are told by a deprecated call alone."""
    found = re.search(r"\((.*)\)\.?$", said)
    return found[1] if found is not None else said


def occupation(name: str, found: Group, *, is_refused: bool, is_named: bool) -> str | None:
    """What keeps a group from us, as a sentence for people; None for nothing. Strangers can only be
    recognized where our own client id `is_named` newsieve."""
    strangers = found.strangers() if is_named else []
    if found.protocol != CONSUMERS:
        return (
            f"group {name} is no group of consumers, but one of the protocol "
            f"{found.protocol!r:.60}; kafka-groups.sh lists it"
        )
    if strangers:
        what = f"clients that are none of ours are in group {name}"
    elif is_refused and found.members:
        what = f"the members of group {name} share partitions in another way than we would"
    else:
        return None
    concerned = strangers or found.members
    listed = "; ".join(
        f"client.id {item.client_id!r:.100} from {item.host:.60} with {item.partitions} partitions"
        for item in concerned[:MOST_NAMED]
    )
    more = f" and {len(concerned) - MOST_NAMED} more" if len(concerned) > MOST_NAMED else ""
    return f"{what} (assignor {found.assignor!r:.60}): {listed}{more}"


class GroupMembershipCheck:
    """Finds out whether others occupy our group. Owner thread only."""

    def __init__(
        self,
        look: Callable[[], Future[Group | None]],
        config: Config,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        """`look` asks the broker; None when it does not say. `config` is our consumer's."""
        self._look = look
        self._timeouts = timeouts
        self._asked: Future[Group | None] | None = None
        self._name = str(config.get("group.id"))
        self._is_named = APP in str(config.get("client.id"))
        self._due: float | None = None
        self._since: float | None = None
        self._is_refused = False

    def refused(self, error: KafkaError) -> None:
        """Note that the broker does not let us join, which it says every two seconds."""
        if not self._is_refused:
            _log.warning("group.refused %s", error)
            self._is_refused = True
            self._look_in(0)

    def joined(self) -> None:
        """Note that we were given partitions, or none: somebody may have come."""
        self._is_refused = False
        self._look_in(self._timeouts.settling_seconds)

    def outside(self) -> None:
        """Note that we are no member, and that nobody says why."""
        self._look_in(0)

    def check(self) -> None:
        """Look at the group when that is due. Raises GroupOccupied once others have kept it from us
        for `occupied_seconds`."""
        now = time.monotonic()
        if self._asked is None and self._due is not None and now >= self._due:
            self._due = None
            self._asked = self._look()
        if self._asked is None or not self._asked.done():
            return
        found, self._asked = self._asked.result(), None
        what = self._occupation(found)
        if what is not None:
            since = self._since = now if self._since is None else self._since
            _log.warning("group.occupied %s", what)
            if now - since >= self._timeouts.occupied_seconds:
                raise GroupOccupied(f"{what}, for {now - since:.0f} s. {ADVICE}")
        elif found is not None:
            self._since = None
        if what is not None or found is None or self._is_refused:
            self._look_in(self._timeouts.look_again_seconds)

    def require_ours(self) -> None:
        """Look at the group now, since joining has failed again and again. Raises GroupOccupied
        when others are the reason."""
        self._is_refused = True
        what = self._occupation(self._look().result())
        if what is not None:
            raise GroupOccupied(f"{what}. {ADVICE}")

    def _occupation(self, found: Group | None) -> str | None:
        if found is None:
            return None
        return occupation(self._name, found, is_refused=self._is_refused, is_named=self._is_named)

    def _look_in(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        self._due = due if self._due is None else min(self._due, due)


def generation_and_member(metadata: bytes) -> tuple[int, bytes]:
    """The generation and member id in librdkafka's serialized group metadata: magic, generation,
    group, member, instance."""
    start = metadata.index(_METADATA_MAGIC) + 1
    (generation,) = struct.unpack_from("=i", metadata, start)
    _, member, _ = metadata[start + 4 :].split(b"\0", 2)
    return generation, member
