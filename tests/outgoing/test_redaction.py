"""A key in all the ways it is written, and what is shown of texts that others wrote."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from newsieve.outgoing.redaction import Redactor

KEY = 'sk/a+b"c\\d=é%20~secret'
SPELLINGS = {
    "raw": KEY,
    "repr": repr(KEY),
    "repr of bytes": repr(KEY.encode()),
    "JSON": json.dumps({"key": KEY}),
    "JSON in JSON": json.dumps(json.dumps({"key": KEY})),
    "JSON, unescaped": json.dumps(KEY, ensure_ascii=False),
    "JSON, slashes escaped": json.dumps(KEY).replace("/", "\\/"),
    "percent": quote(KEY, safe=""),
    "percent, slashes kept": quote(KEY),
    "percent, lower case": quote(KEY, safe="").lower(),
    "form": quote_plus(KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64, for addresses": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "base64 with a user": base64.b64encode(f"u:{KEY}".encode()).decode(),
    "base64 in the middle": base64.b64encode(f"abc {KEY} and more".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_the_key_is_masked_however_it_is_written(spelling: str) -> None:
    """As clients, servers and their logs write it."""
    shown = Redactor(KEY)(f"before {spelling} after")

    assert "***" in shown and shown.startswith("before ") and shown.endswith(" after")
    for part in ("secret", base64.b64encode(b"secret").decode()):
        assert part not in shown


def test_what_is_shown_is_one_short_line_without_control_characters() -> None:
    """A provider's words may hold a terminal's commands; masked before they are cut."""
    shown = Redactor("sk-0123456789").line("a\n\tb \x1b[31m\u202e sk-0123456789", 22)

    assert shown == "a b \\u001b[31m\\u202e ***"[:22]
    assert Redactor("sk-0123456789").line("x sk-0123456789", 8) == "x ***"


@pytest.mark.parametrize("key", ["", "1", "-", "1234567"])
def test_a_key_too_short_for_a_secret_masks_nothing(key: str) -> None:
    """Its characters stand in every honest text."""
    assert Redactor(key)("1-1234567") == "1-1234567"
