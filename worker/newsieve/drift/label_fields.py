"""The fields of a label's JSON object, each checked for its type. Knows no filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from newsieve.errors import InvalidContentRules, InvalidId, InvalidLabel

SMALLEST_PI: Final = 1e-9  # no sample is thinner; its weight squared would leave a double
SHOWN_CHARACTERS: Final = 60


def object_of(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the field, which must be an object. Raises InvalidLabel."""
    value = fields.get(name)
    if type(value) is not dict:
        raise InvalidLabel(f"{name} is {shown(value)}, not an object")
    return value


def text_of(fields: Mapping[str, Any], name: str, default: str) -> str:
    """Return the field, which must be a string, or the default for null. Raises InvalidLabel."""
    value = fields.get(name)
    if value is None:
        return default
    if type(value) is not str:
        raise InvalidLabel(f"{name} is {shown(value)}, not a string")
    return value


def id_of(fields: Mapping[str, Any]) -> str | None:
    """Return the id as text; a blank one and null count as none. Raises InvalidId."""
    value = fields.get("id")
    if type(value) is str:
        return value if value and not value.isspace() else None
    if value is None:
        return None
    if type(value) is int:
        return str(value)
    raise InvalidId(f"id is {shown(value)}; it must be a string or an integer")


def pi_of(fields: Mapping[str, Any]) -> float:
    """Return the inclusion probability, 1 where there is none. Raises InvalidLabel."""
    value = fields.get("pi")
    if value is None:
        return 1.0
    if type(value) not in (int, float) or not SMALLEST_PI <= value <= 1:
        raise InvalidLabel(f"pi is {shown(value)}, not a probability from {SMALLEST_PI:g} to 1")
    return float(value)


def rules_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the content rules that the text met. Raises InvalidContentRules."""
    names = fields.get("content_rules")
    if names is None:
        return []
    if type(names) is not list or not all(type(name) is str for name in names):
        raise InvalidContentRules("content_rules is not a list of rule names")
    return names


def shown(value: Any) -> str:
    """Return the value as an error shows it, cut to size."""
    text = repr(value)  # integers of 4,000 digits at most: json_text
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
