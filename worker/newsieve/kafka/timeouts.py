"""How long newsieve waits for Kafka, and how often it tries again, as one frozen value.

It is made once and passed to whatever waits, so that a test hands in a shorter one. Intervals that
shape batches stand with their loops; what librdkafka itself waits for stands in `config`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TRANSACTION_TIMEOUT_SECONDS: Final = 30
"""At 10 s a broker that stalls for 18 s fences healthy workers."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The limits of every wait for a broker or a group, in seconds."""

    # A single question of a command, and how long it is asked again: a new topic has no leader yet.
    call_seconds: float = 3
    patience_seconds: float = 15
    retry_seconds: float = 0.1
    admin_seconds: float = 15  # for a controller to change something and tell the brokers
    delivery_seconds: float = 60  # for a broker to take what a command has sent

    # A single call of the transaction API. A call that has not returned after the grace beyond its
    # own limit never will: most keep theirs.
    operation_seconds: float = 10
    grace_seconds: float = 1.0
    connect_seconds: float = 60  # for a coordinator to be found at the start
    leave_seconds: float = 2  # to end what is open on the way out; its own time-out ends it, too
    # For a slow broker to take what is produced, before the end of the transaction is sent:
    # together with the calls around it less than transaction.timeout.ms.
    flush_seconds: float = 18
    flush_step_seconds: float = 1.0

    # A question of a running program. After its patience the caller looks around, whether it was
    # told to stop, and asks again. A broker that loads its offsets refuses at once, many times a
    # second, hence the pause.
    answer_seconds: float = 8
    query_patience_seconds: float = 15
    query_retry_seconds: float = 0.2
    topic_return_seconds: float = 1.0  # between looks for a topic that is being made anew

    close_seconds: float = 5  # for a consumer that is replaced to leave its group
    # A consumer that has lost its coordinator may never join again. A rebalance takes less, as long
    # as no member is in the middle of a commit.
    outside_seconds: float = 30.0
    silence_seconds: float = 20.0  # a topic that is gone says nothing: ask
    # A member that was killed stays in the group for its session time-out (45 s, if nobody sets
    # one), and a rollout that changes the assignor replaces one worker after another.
    occupied_seconds: float = 60.0
    settling_seconds: float = 5.0  # after a rebalance, before the group is looked at
    look_again_seconds: float = 10.0

    # A broker that is ill for a while fails in the same way again and again, too: only after this
    # long, and several times, is it a person's turn. With the longest pause between two tries that
    # is within a minute of the first time.
    same_failure_seconds: float = 40.0
    # Failures further apart than this are two failures: a stream may be idle for hours. Two tries
    # that a silent broker delays are half a minute apart.
    passed_failure_seconds: float = 120.0
    backoff_seconds: float = 0.1  # after the second failure in a row; doubled from then on
    max_backoff_seconds: float = 5.0
    # To finish what nearly is, before partitions are given up. The commit after it has its own
    # limits, which all together stay below max.poll.interval.ms.
    revoke_seconds: float = 2.0


TIMEOUTS: Final = Timeouts()
