"""How large a record may be: what the producer's configuration says, headers and all."""

from __future__ import annotations

import pytest

from newsieve.errors import OutputTooLarge, SettingsInvalid
from newsieve.kafka.config import Cluster, largest_message_bytes
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.encode import OutRecord

MEGABYTE = 1_000_000


def require_fit(options: dict[str, object], record: OutRecord) -> None:
    def never(_: object) -> None:
        raise AssertionError

    limit = largest_message_bytes(Cluster("nowhere", options).producer())
    TransactionalProducer(never, lambda: None, limit).require_fit([record])  # type: ignore[arg-type]


def test_the_users_option_is_the_limit() -> None:
    """A larger one lets larger records pass, a smaller one fewer."""
    record = OutRecord("t", None, bytes(10 * MEGABYTE), [])

    with pytest.raises(OutputTooLarge, match=r"message.max.bytes is 8,388,608"):
        require_fit({}, record)
    require_fit({"message.max.bytes": "16000000"}, record)
    with pytest.raises(OutputTooLarge, match=r"message.max.bytes is 40,000"):
        require_fit({"message.max.bytes": 40_000}, OutRecord("t", None, bytes(39_000), []))


def test_headers_count_however_small_the_value() -> None:
    """A dead letter has all headers of its original."""
    with pytest.raises(OutputTooLarge):
        require_fit({}, OutRecord("t", None, b"", [("x", bytes(5 * MEGABYTE))] * 2))


def test_many_small_headers_count_with_their_lengths() -> None:
    """librdkafka counts them, and would refuse the record in the middle of its transaction."""
    headers: list[tuple[str, bytes | None]] = [("", b"")] * MEGABYTE

    with pytest.raises(OutputTooLarge):
        require_fit({}, OutRecord("t", None, b"", headers))


def test_a_limit_that_has_no_room_for_a_dead_letter_is_a_settings_error() -> None:
    """Or a record could have no outcome at all."""
    with pytest.raises(SettingsInvalid, match=r"message.max.bytes is 2,000; a dead letter needs"):
        largest_message_bytes(Cluster("nowhere", {"message.max.bytes": 2_000}).producer())


def test_a_limit_that_is_no_number_is_a_settings_error() -> None:
    """Named, as librdkafka's own refusals are."""
    with pytest.raises(SettingsInvalid, match=r"kafka.options: message.max.bytes is 'large'"):
        largest_message_bytes(Cluster("nowhere", {"message.max.bytes": "large"}).producer())


def test_a_record_fits_up_to_its_last_byte_whatever_its_headers_are_called() -> None:
    """Names count as the bytes that are sent, not as a bound on them."""
    headers: list[tuple[str, bytes | None]] = [("é" * 1_000, None)]
    room = 40_000 - 1_024 - 10 - 2_000

    require_fit({"message.max.bytes": 40_000}, OutRecord("t", None, bytes(room), headers))
    with pytest.raises(OutputTooLarge, match="a record of 40,001 bytes"):
        require_fit({"message.max.bytes": 40_000}, OutRecord("t", None, bytes(room + 1), headers))
