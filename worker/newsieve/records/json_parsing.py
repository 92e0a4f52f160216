"""Parses JSON records as they really come: fast where they are clean, exact where they are not.

orjson reads nearly all of them. What orjson refuses or bends (a byte order mark, lone surrogates,
integers beyond 64 bits, numbers beyond a double) goes through the standard library, slower. Raw
articles have a reader of their own, `raw_fields`.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

from newsieve.errors import InvalidJson, NestedTooDeep, NonFiniteNumber, NotUtf8, TooLarge
from newsieve.records.json_scan import is_nested_deeper, without_lone_surrogates

MAX_RECORD_BYTES: Final = 4_000_000  # where settings say nothing else; half of what a topic takes
MAX_NESTING: Final = 100
MAX_INTEGER_DIGITS: Final = 4_000  # Python refuses to convert more than 4,300

BYTE_ORDER_MARK: Final = "\ufeff".encode()


def parse(value: bytes, max_bytes: int) -> Any:
    """Return the value of a JSON text. Raises DecodeError."""
    require_size(value, max_bytes)
    require_shallow(value)
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return parse_exactly(value)


def parse_exactly(value: bytes) -> Any:
    """Return the JSON value as the standard library reads it: integers are exact, and lone
    surrogates become U+FFFD."""
    require_utf8(value)
    require_shallow(value)
    text = without_lone_surrogates(value.removeprefix(BYTE_ORDER_MARK)).decode()
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except json.JSONDecodeError as error:  # its lines would be taken for a file's
        what = error.msg.removesuffix(" at")  # some say "… starting at"
        raise InvalidJson(f"not JSON: {what} at character {error.pos + 1}") from None
    except ValueError as error:
        raise InvalidJson(f"not JSON: {error}") from None


def require_size(value: bytes, max_bytes: int) -> None:
    """Raise TooLarge for a value of more than `max_bytes`."""
    if len(value) > max_bytes:
        raise TooLarge(f"{len(value):,} bytes, more than the limit of {max_bytes:,}")


def require_utf8(value: bytes) -> None:
    """Raise NotUtf8 for bytes that are not UTF-8."""
    if value.isascii():
        return
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise NotUtf8(f"byte {error.start} is not UTF-8") from None


def require_shallow(value: bytes) -> None:
    """Raise NestedTooDeep for brackets and braces that are nested beyond MAX_NESTING."""
    if is_nested_deeper(value, MAX_NESTING):
        raise NestedTooDeep(f"nested more than {MAX_NESTING} deep")


def _refuse_constant(name: str) -> NoReturn:
    raise NonFiniteNumber(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)
