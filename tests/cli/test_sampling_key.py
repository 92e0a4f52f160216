"""What the doctor says of the sampling key: here, and on record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from newsieve.cli import sampling_key
from newsieve.cli.sampling_key import compared, examine_key
from newsieve.errors import TopicsWrong
from newsieve.filters.secret_key import SecretKey
from newsieve.settings.loader import load_settings

SECRET = "secret-of-the-doctors-test-" * 2
OWN, OTHER = SecretKey(SECRET).fingerprint, SecretKey(SECRET[::-1]).fingerprint


def scored(policy: str | None, at: int) -> bytes:
    sampling = None if policy is None else {"policy": policy}
    return json.dumps({"sampling": sampling, "scored_at": f"2026-11-22T10:00:{at:02}Z"}).encode()


@pytest.mark.parametrize(
    ("policies", "verdict", "said"),
    [
        ([f"p1+key-{OWN}"], "ok", "that of what was scored last"),
        ([f"p1+key-{OTHER}", "p1", f"p2+key-{OWN}"], "ok", f"before it no key, key {OTHER}"),
        ([f"p1+key-{OWN}", f"p1+key-{OTHER}"], "wrong", f"key {OWN} here; .* key {OTHER}"),
        ([f"p1+key-{OWN}", "p1"], "wrong", "drawn with no key"),
        ([None], "ok", "nothing is scored"),
        ([], "ok", "nothing is scored"),
    ],
)
def test_the_key_is_held_against_what_was_scored_last(
    policies: list[str | None], verdict: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else stands among the records; the key itself is not shown."""
    values = [scored(policy, at) for at, policy in enumerate(policies)]
    values = [b"[]", b"{", b'{"sampling": {"policy": 1}, "scored_at": "9"}', *reversed(values)]
    monkeypatch.setattr(sampling_key, "last_records", lambda *_: iter(values))

    found = examine_key(
        load_settings(None, {"NEWSIEVE_SAMPLING__KEY": SECRET}), is_broker_there=True
    )

    assert found.verdict == verdict
    assert re.search(said, found.finding)
    assert bool(found.mend) == (verdict == "wrong") and SECRET[:10] not in str(found)


def test_no_key_is_noted_and_wrong_where_the_workers_have_one() -> None:
    """With how to make one."""
    assert compared(None, []).verdict == compared(None, [None]).verdict == "note"
    assert "openssl" in compared(None, [None]).mend
    assert compared(None, [OTHER, None]).verdict == "wrong"


def test_a_topic_that_cannot_be_read_is_no_fault_of_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The doctor's other lines say what is wrong with it."""

    def tail(*_: object) -> Iterator[bytes]:
        raise TopicsWrong("no right to READ")
        yield b""

    monkeypatch.setattr(sampling_key, "last_records", tail)

    found = examine_key(
        load_settings(None, {"NEWSIEVE_SAMPLING__KEY": SECRET}), is_broker_there=True
    )

    assert found.verdict == "ok" and "workers' unknown: no right to READ" in found.finding
