"""Turns pydantic models and JSON Schemas into Markdown tables. Knows no model of ours."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

NO_TYPES: Final[Mapping[str, str]] = MappingProxyType({})


def schema_rows(
    schema: dict[str, Any], definitions: dict[str, Any], path: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each field below a JSON Schema, references followed once."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        options = field.get("anyOf", [field])
        yield (
            f"`{here}`",
            " or ".join(kind_of(option) for option in options),
            "yes" if name in required else "no",
            field.get("description", ""),
        )
        for option in options:
            yield from below(option, definitions, here, seen)


def below(
    schema: dict[str, Any], definitions: dict[str, Any], path: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of what an object, an array or a reference holds."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in seen:
        yield from schema_rows(definitions[name], definitions, path, (*seen, name))
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(inner := schema.get(key), dict):
            yield from below(inner, definitions, path + suffix, seen)


def kind_of(schema: dict[str, Any]) -> str:
    """Return a JSON Schema's type in words."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return ", ".join(f"`{value}`" for value in values)
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return f"array of {kind_of(schema['items'])}"
    return str(schema.get("type", "any"))


def model_tables(
    model: type[BaseModel], title: str, types: Mapping[str, str] = NO_TYPES
) -> Iterator[str]:
    """Yield a heading, a contract and a table for a model and for each model it holds.

    `types` has the types of keys whose JSON Schema shows a parsed form that no file has.
    """
    yield f"## {title}"
    yield inspect.getdoc(model) or ""
    rows = [
        (
            f"`{name}`",
            types.get(name) or type_of(model, name),
            default_of(field),
            field.description or "",
        )
        for name, field in model.model_fields.items()
    ]
    yield table(("Key", "Type", "Default", "Meaning"), rows)
    for name, field in model.model_fields.items():
        if name in types:
            continue
        for inner in models_in(field.annotation):
            many = "[[" if str(field.annotation).startswith("list") else "["
            yield from model_tables(inner, f"`{many}{name}{']' * len(many)}`", types)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic models in a type, such as the item of a list."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in models_in(part)]


def type_of(model: type[BaseModel], name: str) -> str:
    """Return a field's type in words, as its JSON Schema has it."""
    schema = model.model_json_schema(mode="validation")["properties"][name]
    options = [kind_of(option) for option in schema.get("anyOf", [schema])]
    return " or ".join(option for option in options if option != "null")


def default_of(field: FieldInfo) -> str:
    """Return a field's default as TOML would show it."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or isinstance(default, SecretStr | BaseModel):
        return "unset"
    return f"`{json.dumps(default, default=str, ensure_ascii=False)}`"


def page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; line ends and bars in cells are kept from breaking it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
