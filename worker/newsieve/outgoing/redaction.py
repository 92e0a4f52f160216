"""Makes others' texts fit to be shown: the key replaced, in one line, cut to size. Pure.

It is applied to what is shown, never to what is parsed: it would change an answer.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Final
from urllib.parse import quote, quote_plus

from newsieve.printable import printable

MASK: Final = "***"
# A shorter key is no secret, and its characters are in every text.
MIN_KEY_CHARACTERS: Final = 8
BASE64_GROUP_BYTES: Final = 3  # so many ways a key can lie in a longer encoded text
BASE64_CHARACTER_BITS: Final = 6


class Redactor:
    """Replaces one key in texts, in all the ways in which it is usually written."""

    def __init__(self, key: str = "") -> None:
        spellings = _spellings(key) if len(key) >= MIN_KEY_CHARACTERS else set()
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text

    def line(self, text: str, characters: int) -> str:
        """Return the text for people: one line of at most so many characters."""
        return printable(" ".join(self(text).split()))[:characters]


NOTHING_MASKED: Final = Redactor()


def _spellings(key: str) -> set[str]:
    raw = key.encode("utf-8", "surrogatepass")
    percent = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    lower = {re.sub("%..", lambda match: match[0].lower(), text) for text in percent}
    return {
        key,
        repr(key)[1:-1],
        repr(raw)[2:-1],
        json.dumps(key)[1:-1],
        json.dumps(json.dumps(key)[1:-1])[1:-1],  # a model's text is JSON within JSON
        json.dumps(key, ensure_ascii=False)[1:-1],
        json.dumps(key).replace("/", "\\/")[1:-1],
        *percent,
        *lower,
        *_in_base64(raw),
    }


def _in_base64(raw: bytes) -> set[str]:
    """Return the key in both alphabets of base64, for each place in a longer text where it may
    begin. Characters at its ends that depend on its neighbours are left out."""
    encodings = set()
    for shift in range(BASE64_GROUP_BYTES):
        encoded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        first = -(-shift * 8 // BASE64_CHARACTER_BITS)
        last = (shift + len(raw)) * 8 // BASE64_CHARACTER_BITS
        core = encoded[first:last]
        encodings |= {core, core.replace("+", "-").replace("/", "_")}
    return encodings
