"""JSON as ingestion really sends it: fast where it is clean, exact where it is not.

orjson reads nearly all of it. What orjson refuses or bends (a byte order mark, lone surrogates,
integers beyond 64 bits, numbers beyond a double) goes through the standard library, slower.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import orjson

from worker.errors import InvalidJson, NestedTooDeep, NonFiniteNumber, NotUtf8, TooLarge

MAX_RECORD_BYTES: Final = 4_000_000  # where settings say nothing else; half of what a topic takes
MAX_NESTING: Final = 100
MAX_INTEGER_DIGITS: Final = 4_000  # Python refuses to convert more than 4,300

_BYTE_ORDER_MARK: Final = "\ufeff"
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]')


def parse(value: bytes, max_bytes: int) -> Any:
    """The JSON value. Raises DecodeError."""
    if len(value) > max_bytes:
        raise TooLarge(f"{len(value):,} bytes, more than the limit of {max_bytes:,}")
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        return parse_exactly(value)
    if type(parsed) is dict and _has_nesting(parsed):
        _require_shallow(value.decode())
    return parsed


def parse_exactly(value: bytes) -> Any:
    """The JSON value by the standard library: exact integers, lone surrogates as U+FFFD."""
    try:
        text = value.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise NotUtf8(f"byte {error.start} is not UTF-8") from None
    _require_shallow(text)
    try:
        return json.loads(
            text,
            object_hook=_without_lone_surrogates,
            parse_constant=_refuse_constant,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:  # its lines would be taken for a file's
        what = error.msg.removesuffix(" at")  # some say "… starting at"
        raise InvalidJson(f"not JSON: {what} at character {error.pos + 1}") from None
    except ValueError as error:
        raise InvalidJson(f"not JSON: {error}") from None


def _without_lone_surrogates(facts: dict[str, Any]) -> dict[str, Any]:
    """So that every text of the article has a UTF-8 form."""
    return {
        key: _LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value
        for key, value in facts.items()
    }


def _has_nesting(facts: dict[str, Any]) -> bool:
    """Whether some field holds containers in a container: few articles do."""
    for value in facts.values():
        kind = type(value)
        if kind is list or kind is dict:
            for inner in value if kind is list else value.values():
                if type(inner) is list or type(inner) is dict:
                    return True
    return False


def _require_shallow(text: str) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_NESTING:
                raise NestedTooDeep(f"nested more than {MAX_NESTING} deep")
        elif mark in "]}":
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise NonFiniteNumber(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)
