"""Asking a broker until it answers, refuses for good, or the caller's patience ends.

It knows nothing of what is asked, nor of transactions, whose calls are tried again by
`transactional_producer`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException

from newsieve.deadline import Deadline
from newsieve.errors import AccessDenied, BrokerUnavailable
from newsieve.kafka.message_errors import MessageError, message_error_of, require_access
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts

Answer = TypeVar("Answer")
Client = TypeVar("Client")


class RetryPolicy(NamedTuple):
    """How long a question is asked again, in seconds, and what is said when that was in vain."""

    patience_seconds: float
    pause_seconds: float
    message: str  # with "{reason}" in it
    counts_unlisted: bool = False  # whether an error that nobody has listed is not said to pass


def retry_until_available(
    client: Any, call: Callable[[], Answer], timeouts: Timeouts = TIMEOUTS
) -> Answer:
    """Make a call to a client until there is an answer: a topic that was just created has no leader
    yet.

    Raises AccessDenied, TopicsWrong where a right is missing, or BrokerUnavailable when the
    patience has ended.
    """
    policy = RetryPolicy(
        timeouts.patience_seconds,
        timeouts.retry_seconds,
        "no broker answers: {reason}. Set NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS",
    )
    return ask_until_answered(
        lambda: nullcontext(client),
        lambda _: call(),
        lambda _, error: last_client_error(client) or str(error.str()),
        policy,
    )


def ask_until_answered(
    open_client: Callable[[], AbstractContextManager[Client]],
    ask: Callable[[Client], Answer],
    explain: Callable[[Client, KafkaError], str],
    policy: RetryPolicy,
) -> Answer:
    """Ask through a client of `open_client`, a new one for each try, until there is an answer.

    `explain` gives the reason of a failure. Raises what it raises, TopicsWrong where a right is
    missing, or BrokerUnavailable when the patience has ended.
    """
    deadline = Deadline(policy.patience_seconds)
    while True:
        with open_client() as client:
            try:
                return ask(client)
            except KafkaException as failure:
                error = failure.args[0]
                require_access(error)
                reason = explain(client, error)
        if deadline.is_over:
            raise BrokerUnavailable(
                policy.message.format(reason=reason),
                passes=not policy.counts_unlisted
                or message_error_of(error) is not MessageError.UNKNOWN,
            )
        time.sleep(policy.pause_seconds)


def last_client_error(client: Any) -> str:
    """The reason that a client without an answer gives; "" for none.

    Not for a consumer that reads: a record may be lost. Raises AccessDenied when signing
    in failed.
    """
    client.poll(0)
    if not client.complaints:
        return ""
    error = client.complaints[-1]
    if message_error_of(error) is MessageError.IDENTITY:
        raise AccessDenied(
            f"signing in to the broker by TLS or SASL failed: {error.str()}. Check the sasl.* and "
            "ssl.* options in NEWSIEVE_KAFKA__OPTIONS"
        )
    return str(error.str())
