"""librdkafka's mock cluster: broker errors that a real broker does not give on demand.

It discards transactional offsets, shows aborted records and fences nobody, so it judges nothing: it
only says what a test tells it to. Its functions are in the wheel, but not in its Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

import confluent_kafka

_PRODUCER = 0


class Api(IntEnum):
    """Kafka's numbers for the requests of a transactional producer, and of who asks for offsets."""

    PRODUCE = 0
    LIST_OFFSETS = 2
    OFFSET_FETCH = 9
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


def _library() -> Any:
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*"))))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_get_requests.restype = ctypes.POINTER(ctypes.c_void_p)
    return library


class MockCluster:
    """Brokers in this process, on real sockets."""

    def __init__(self, library: Any, cluster: ctypes.c_void_p, brokers: int) -> None:
        self._library = library
        self._cluster = cluster
        self._brokers = brokers
        self.bootstrap_servers: str = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def create(self, topic: str) -> None:
        self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), 1, 1)

    def fail(self, api: Api, errors: Sequence[int]) -> None:
        """The next requests of this kind, one after another."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(api), ctypes.c_size_t(len(errors)), codes
        )

    def clear(self) -> None:
        """No request fails any more."""
        for api in Api:
            self._library.rd_kafka_mock_clear_request_errors(self._cluster, ctypes.c_int16(api))

    def delay(self, api: Api, milliseconds: int) -> None:
        """The answer to each broker's next request of this kind."""
        for broker in range(1, self._brokers + 1):
            self._library.rd_kafka_mock_broker_push_request_error_rtts(
                self._cluster, broker, ctypes.c_int16(api), ctypes.c_size_t(1), 0, milliseconds
            )

    def move_coordinator(self, transactional_id: str, broker: int) -> None:
        self._library.rd_kafka_mock_coordinator_set(
            self._cluster, b"transaction", transactional_id.encode(), broker
        )

    def set_down(self, *, is_down: bool) -> None:
        """Let all brokers go away, or come back."""
        change = "rd_kafka_mock_broker_set_down" if is_down else "rd_kafka_mock_broker_set_up"
        for broker in range(1, self._brokers + 1):
            getattr(self._library, change)(self._cluster, broker)

    def track(self) -> None:
        """Count requests from now on."""
        self._library.rd_kafka_mock_start_request_tracking(self._cluster)

    def requests(self, api: Api) -> int:
        """How many of this kind have come."""
        count = ctypes.c_size_t()
        found = self._library.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(count))
        kinds = [
            self._library.rd_kafka_mock_request_api_key(ctypes.c_void_p(found[i]))
            for i in range(count.value)
        ]
        self._library.rd_kafka_mock_request_destroy_array(found, count)
        return kinds.count(api)


@contextmanager
def mock_cluster(brokers: int = 2) -> Iterator[MockCluster]:
    library = _library()
    why = ctypes.create_string_buffer(256)
    client = ctypes.c_void_p(
        library.rd_kafka_new(_PRODUCER, ctypes.c_void_p(library.rd_kafka_conf_new()), why, 256)
    )
    assert client, why.value
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, brokers))
    try:
        yield MockCluster(library, cluster, brokers)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)
