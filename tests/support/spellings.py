"""Looking for a secret in what a program left behind, however the secret is spelled there."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_from_bytes, quote_plus

BASE64_CHARACTER_BITS = 6
BASE64_GROUP_BYTES = 3


def found(secrets: Mapping[str, str], places: Mapping[str, str | bytes]) -> list[str]:
    """Which secret is where, and how it is spelled there; the secrets themselves are not in it."""
    return [
        f"{name} in {place}: {spelling}"
        for name, secret in secrets.items()
        for place, text in places.items()
        for spelling, spelt in spellings(secret)
        if spelt in (text if isinstance(text, str) else text.decode("utf-8", "replace"))
    ]


def spellings(secret: str) -> Iterator[tuple[str, str]]:
    """How it may be written, each with its name."""
    as_json = json.dumps(secret)[1:-1]
    yield "as it is", secret
    yield "its first half", secret[: len(secret) // 2]
    yield "its second half", secret[len(secret) // 2 :]
    yield "repr", repr(secret)[1:-1]
    yield "repr of bytes", repr(secret.encode())[2:-1]
    yield "JSON", as_json
    yield "JSON with slashes escaped", as_json.replace("/", "\\/")
    yield "JSON without escapes of its own", json.dumps(secret, ensure_ascii=False)[1:-1]
    yield "JSON in JSON", json.dumps(as_json)[1:-1]
    yield "HTML", html.escape(secret)
    for name, encoded in _percent_encoded(secret):
        yield name, encoded
        yield f"{name}, lower case", _lower_case(encoded)
    for shift, core in enumerate(_in_base64(secret.encode())):
        yield f"base64, {shift} bytes on", core
        yield f"URL-safe base64, {shift} bytes on", core.replace("+", "-").replace("/", "_")


def _percent_encoded(secret: str) -> Iterator[tuple[str, str]]:
    yield "percent-encoded path", quote(secret)
    yield "percent-encoded", quote_from_bytes(secret.encode(), safe="")
    yield "form-encoded", quote_plus(secret)


def _lower_case(encoded: str) -> str:
    first, *rest = encoded.split("%")
    return first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _in_base64(secret: bytes) -> Iterator[str]:
    """The characters that are the secret's alone, wherever in a longer text it begins."""
    for shift in range(BASE64_GROUP_BYTES):
        encoded = base64.b64encode(bytes(shift) + secret).decode()
        first = -(-shift * 8 // BASE64_CHARACTER_BITS)
        yield encoded[first : (shift + len(secret)) * 8 // BASE64_CHARACTER_BITS]
