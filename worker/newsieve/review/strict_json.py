"""Parses JSON that people wrote scores into: a name that stands twice is an error, not a choice.

Otherwise it reads what `records.json_parsing` reads. It knows no review.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, NoReturn

from newsieve.errors import InvalidJson, NonFiniteNumber
from newsieve.printable import one_line
from newsieve.records.json_parsing import require_shallow, require_size, require_utf8
from newsieve.records.json_scan import without_lone_surrogates

MAX_BYTES: Final = 1_000_000_000
_NAME_CHARACTERS: Final = 60
BYTE_ORDER_MARK: Final = "\ufeff".encode()


def strict_json(content: bytes) -> Any:
    """Return the value of a JSON text. Raises DecodeError."""
    require_size(content, MAX_BYTES)
    require_utf8(content)
    require_shallow(content)
    text = without_lone_surrogates(content.removeprefix(BYTE_ORDER_MARK)).decode()
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:  # its lines would be taken for the file's
        what = error.msg.removesuffix(" at")
        raise InvalidJson(f"not JSON: {what} at character {error.pos + 1}") from None
    except ValueError as error:
        raise InvalidJson(f"not JSON: {one_line(str(error))}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InvalidJson(f"{one_line(twice, _NAME_CHARACTERS)!r} stands twice in an object")
    return fields


def _refuse(name: str) -> NoReturn:
    raise NonFiniteNumber(f"{name} is not JSON")
