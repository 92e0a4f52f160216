"""What is wrong with an object or a file, in few words for people; pydantic's errors in one line.

Whose object it is, and which error that makes, the callers know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from newsieve.printable import one_line

SHOWN_ERRORS: Final = 10  # of one object; a person corrects the first ones first
MESSAGE_CHARACTERS: Final = 1_000  # of one message, which may list what is known


def first_of(messages: Sequence[str], most: int) -> list[str]:
    """Return the first messages, and behind them how many more there are, if any."""
    rest = len(messages) - most
    return [*messages[:most], *([f"and {rest:,} more"] if rest > 0 else [])]


def field_message(item: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors as `field.name: what is wrong with it`, for people."""
    where = one_line(".".join(str(step) for step in item["loc"]))
    message = one_line(item["msg"].removeprefix("Value error, "), MESSAGE_CHARACTERS)
    return f"{where}: {message}" if where else message


def validation_message(
    error: ValidationError, describe: Callable[[Mapping[str, Any]], str] = field_message
) -> str:
    """Return the first things that are wrong with an object, in one line for people."""
    return "; ".join(first_of([*map(describe, error.errors())], SHOWN_ERRORS))
