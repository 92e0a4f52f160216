"""Asking about consumer groups: tests/e2e asks a real broker, which answers otherwise at times."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from newsieve.errors import AccessDenied
from newsieve.kafka import acls
from newsieve.kafka.admin import describe_group

GROUP = SimpleNamespace(members=[], authorized_operations=[AclOperation.READ])


class Admin:
    """Gives these answers in turn; a number is an error's code."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.complaints: deque[KafkaError] = deque()

    def poll(self, _: float) -> None: ...

    def describe_consumer_groups(self, groups: list[str], **_: Any) -> dict[str, Future[Any]]:
        answer, found = self.answers.pop(0), Future[Any]()
        if isinstance(answer, int):
            found.set_exception(KafkaException(KafkaError(answer)))
        else:
            found.set_result(answer)
        return {groups[0]: found}


def test_a_new_cluster_is_asked_again_about_its_first_group() -> None:
    """It takes seconds to make room for groups: that is no missing right."""
    busy = (KafkaError._TIMED_OUT, KafkaError.COORDINATOR_NOT_AVAILABLE)

    assert describe_group(Admin(*busy, GROUP), "g") is GROUP
    assert acls._may_read_group(Admin(*busy, GROUP), "g")


def test_a_missing_right_is_said_at_once() -> None:
    """By its name; to the doctor it is an answer."""
    refused = KafkaError.GROUP_AUTHORIZATION_FAILED

    with pytest.raises(AccessDenied, match="no right to DESCRIBE group g"):
        describe_group(Admin(refused), "g")
    assert not acls._may_read_group(Admin(refused), "g")
    assert not acls._may_read_group(
        Admin(SimpleNamespace(members=[], authorized_operations=[AclOperation.DESCRIBE])), "g"
    )


def test_a_group_that_nobody_has_joined_is_none() -> None:
    """As newer brokers say it."""
    assert describe_group(Admin(KafkaError.GROUP_ID_NOT_FOUND), "g") is None
