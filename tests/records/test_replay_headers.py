"""Whose `dlq.*` headers count: a record's own say nothing of who wrote them, a signature does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from newsieve.bootstrap.students import StudentIdentity, replay_headers, scoring_path
from newsieve.errors import ModelFailed, RecordError
from newsieve.filters.secret_key import SecretKey
from newsieve.inference.scorer import FilterScores, Tokens
from newsieve.records.dead_letter import RecordPosition, Writer, attempts, dead_letter, replay
from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import OutRecord
from newsieve.records.replay_headers import MOST_SIGNED_HEADERS, SIGNATURE, Trusted, signed
from newsieve.settings.loader import load_settings
from tests.support.filters import load

KEY, OTHER = SecretKey("k" * 32), SecretKey("o" * 32)
RAW = "articles.raw"
WRITER = Writer("articles.dead-letter", "g", "1.0")
VALUE = json.dumps({"id": "a", "title": "Villagers rebuild their bridge together"}).encode()
RUNNING = ("uplifting", "sustainability")


class Fives:
    """Scores everything 5."""

    def submit(
        self, _texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        future: Future[dict[str, FilterScores]] = Future()
        tokens = Tokens([1], truncated=False)
        future.set_result(
            {
                name: FilterScores(np.full((len(rows), 8), 5.0), [tokens] * len(rows), {})
                for name, rows in wanted.items()
            }
        )
        return future

    def close(self) -> None:
        """Nothing to end."""


def outcomes(
    headers: Headers | None,
    trusted: Trusted | None = None,
    value: bytes = VALUE,
    key: str = "",
    record_key: bytes | None = b"a",
) -> list[str | None]:
    """The filters that have an outcome of a raw record, at a worker of two."""
    environment = {"NEWSIEVE_SAMPLING__KEY": key, "NEWSIEVE_WORKER__DLQ_HEADERS": trusted or ""}
    identities = [StudentIdentity(load(name), "sha256:" + "1" * 64, "fp32") for name in RUNNING]
    path = scoring_path(load_settings(None, environment), identities, Fives())
    record = RawRecord(value, record_key, headers, None, {"topic": RAW})
    (row,) = path.finish(path.start([record]))
    return [outcome.filter for outcome in row.outcomes]


def replayed(filter_name: str | None, key: SecretKey | None = KEY, **changes: Any) -> OutRecord:
    """A letter of a raw record that was put back."""
    record = RawRecord(VALUE, b"a", [("h", b"1"), ("n", None), ("e", b"")], 5, {})
    error: RecordError = ModelFailed("m")
    letter = dead_letter(record, RecordPosition(RAW, 0, 1), error, filter_name, WRITER, "now")
    found = RawRecord(letter.value or b"", letter.key, letter.headers, 9, {})
    return signed(replay(found, RAW), key)._replace(**changes)


def at_a_worker(out: OutRecord) -> RawRecord:
    return RawRecord(out.value or b"", out.key, out.headers, out.timestamp_ms, {})


@pytest.mark.parametrize("name", ["investment_risk", "no_such_filter", "", "\ufffd"])
@pytest.mark.parametrize("trusted", [None, "any", "signed"])
@pytest.mark.parametrize("key", ["", "k" * 32])
def test_every_filter_has_an_outcome_whatever_filter_a_producer_names(
    name: str, trusted: Trusted | None, key: str
) -> None:
    """One of the catalogue that no worker runs left none, without a word."""
    headers: Headers = [("dlq.filter", name.encode()), ("dlq.attempts", b"7")]

    assert outcomes(headers, trusted, key=key) == [*RUNNING]


@pytest.mark.parametrize(
    ("trusted", "key", "expected"),
    [
        (None, "", ["uplifting"]),
        ("any", "k" * 32, ["uplifting"]),
        (None, "k" * 32, [*RUNNING]),
        ("signed", "", [*RUNNING]),
    ],
)
def test_what_is_not_signed_counts_only_where_a_setting_or_no_key_lets_it(
    trusted: Trusted | None, key: str, expected: list[str]
) -> None:
    """With a key nobody but a replay says what a record is for."""
    assert outcomes([("dlq.filter", b"uplifting")], trusted, key=key) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uplifting", ["uplifting"]),
        ("investment_risk", []),  # another group's worker runs it
        ("gone_by_now", [*RUNNING]),  # nobody does
        (None, [*RUNNING]),
    ],
)
def test_what_a_replay_signed_is_for_the_filter_that_failed(
    name: str | None, expected: list[str]
) -> None:
    """At whichever worker runs it."""
    out = replayed(name)

    assert outcomes(out.headers, None, key="k" * 32) == expected
    assert outcomes(out.headers, "any", key="k" * 32) == expected


def test_attempts_count_on_over_signed_replays_and_over_no_others() -> None:
    """A replayed letter that fails again and is replayed again says three."""
    replays = replay_headers(load_settings(None, {"NEWSIEVE_SAMPLING__KEY": "k" * 32}), RUNNING)
    record = RawRecord(VALUE, b"a", [("dlq.attempts", b"40"), ("h", b"1")], 5, {})
    for expected in (1, 2, 3):
        admitted = replays.admit(record).record
        assert [v for n, v in admitted.headers or () if n == "h"] == [b"1"]
        letter = dead_letter(
            admitted, RecordPosition(RAW, 0, 1), ModelFailed("m"), None, WRITER, "now"
        )
        assert attempts(letter.headers) == expected
        assert not any(name == SIGNATURE for name, _ in letter.headers)
        found = RawRecord(letter.value or b"", letter.key, letter.headers, 9, {})
        record = at_a_worker(signed(replay(found, RAW), KEY))


def test_a_signature_is_of_one_record_as_it_is() -> None:
    """Any other key, topic, value or header makes it a stranger's, whose headers do not count."""
    replays = replay_headers(load_settings(None, {"NEWSIEVE_SAMPLING__KEY": "k" * 32}), RUNNING)
    good = replayed("uplifting")
    assert replays.admit(at_a_worker(good)).only == "uplifting"

    *rest, (_, signature) = good.headers
    assert signature is not None
    strangers = [
        replayed("uplifting", None),
        replayed("uplifting", OTHER),
        good._replace(value=VALUE + b" "),
        good._replace(key=None),
        good._replace(key=b"b"),
        good._replace(headers=[*rest, (SIGNATURE, signature[:-1])]),
        good._replace(headers=[*rest, (SIGNATURE, None)]),
        good._replace(headers=[*rest, (SIGNATURE, b"\xff" * 64)]),
        good._replace(headers=[*rest, ("content-type", b"x"), (SIGNATURE, signature)]),
        good._replace(headers=[*rest[1:], (SIGNATURE, signature)]),
        good._replace(headers=[*rest, ("dlq.filter", b"sustainability"), (SIGNATURE, signature)]),
        good._replace(headers=[*rest[:-1], ("dlq.filter", b""), (SIGNATURE, signature)]),
        signed(replay(at_a_worker(good), "other.raw"), KEY),
    ]
    for stranger in strangers:
        admitted = replays.admit(at_a_worker(stranger))
        assert admitted.only is None
        assert not any(name.startswith("dlq.") for name, _ in admitted.record.headers or ())
    assert str(OTHER) not in str(good)


def test_a_signature_is_not_looked_for_among_more_headers_than_a_record_has() -> None:
    """It would cost the worker's loop by the header; such a record is a stranger's."""
    replays = replay_headers(load_settings(None, {"NEWSIEVE_SAMPLING__KEY": "k" * 32}), RUNNING)
    out = replayed("uplifting")._replace(headers=[("dlq.filter", b"uplifting")])
    padding: Headers = [("h", None)] * (MOST_SIGNED_HEADERS - 2)

    most = signed(out._replace(headers=[*out.headers, *padding]), KEY)
    more = signed(out._replace(headers=[*out.headers, *padding, ("h", None)]), KEY)

    assert len(most.headers) == MOST_SIGNED_HEADERS
    assert replays.admit(at_a_worker(most)).only == "uplifting"
    assert replays.admit(at_a_worker(more)).only is None


def test_the_places_of_what_is_signed_cannot_be_moved() -> None:
    """Parts have their lengths before them: no other record has the same ones."""
    whole = OutRecord(RAW, b"ab", b"cd", [("ef", b"gh")])
    moved = [
        whole._replace(key=b"abc", value=b"d"),
        whole._replace(key=None, value=b"abcd"),
        whole._replace(key=b"", value=b"abcd"),
        whole._replace(headers=[("efg", b"h")]),
        whole._replace(headers=[("ef", None), ("gh", None)]),
        whole._replace(headers=[("ef", b""), ("gh", b"")]),
    ]
    signatures = {signed(item, KEY).headers[-1][1] for item in [whole, *moved]}

    assert len(signatures) == len(moved) + 1
