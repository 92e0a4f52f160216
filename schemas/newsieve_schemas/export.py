"""Generates what other languages read: JSON Schemas, an AsyncAPI 3 document, the field ledger.

    python -m newsieve_schemas.export            write json/ and asyncapi.yaml, beside it
    python -m newsieve_schemas.export --release  also write released.json, at a release

Tests fail when the generated files are stale, and when a field of `released.json`, or one of the
values it may have, has gone or changed its type: fields and values are only added, or the `v1` in
the event type changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from newsieve_schemas import events
from newsieve_schemas.article import RawArticle
from newsieve_schemas.base import Written
from newsieve_schemas.dead_letter import DeadLetterHeaders, DeadLetterLine
from newsieve_schemas.drift import (
    CanaryReport,
    ControlDecision,
    DriftAlert,
    DriftReplayError,
    DriftReplayLine,
    DriftState,
)
from newsieve_schemas.events import ArticleEventHeaders, EventHeaders
from newsieve_schemas.ingest import IngestState
from newsieve_schemas.label_row import LabelRow
from newsieve_schemas.oracle import OracleRequest, OracleScore
from newsieve_schemas.scored import ScoredArticle, TieredArticle
from newsieve_schemas.topics import DEAD_LETTER, DEFAULT_PREFIX, KINDS, RAW, TIER, TopicKind

FOLDER: Final = Path(__file__).parent
MODELS: Final[tuple[type[BaseModel], ...]] = (
    RawArticle,
    ScoredArticle,
    TieredArticle,
    OracleRequest,
    OracleScore,
    LabelRow,
    DeadLetterHeaders,
    DeadLetterLine,
    CanaryReport,
    DriftAlert,
    DriftState,
    DriftReplayLine,
    DriftReplayError,
    ControlDecision,
    IngestState,
    EventHeaders,
    ArticleEventHeaders,
)
EVENT_TYPES: Final = {
    ScoredArticle: events.SCORED,
    TieredArticle: events.TIERED,
    OracleRequest: events.ORACLE_REQUESTED,
    OracleScore: events.ORACLE_SCORED,
    CanaryReport: events.CANARY_REPORTED,
    DriftAlert: events.DRIFT_ALERT,
    DriftState: events.DRIFT_STATE,
    ControlDecision: events.CONTROL_DECIDED,
    IngestState: events.INGEST_STATE,
}
_ABOUT_ARTICLES: Final = (ScoredArticle, TieredArticle, OracleRequest)


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema, as on the wire: what we write, or what we read."""
    mode: Literal["serialization", "validation"] = (
        "serialization" if issubclass(model, Written) else "validation"
    )
    schema = model.model_json_schema(mode=mode, by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of all topics."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for kind in KINDS:
        name = _message_name(kind)
        messages[name] = _message(kind)
        address = f"{DEFAULT_PREFIX}.{kind.suffix}" + (
            ".{filter}.{tier}" if kind.suffix == TIER else ""
        )
        channel = kind.suffix.replace(".", "-")
        channels[channel] = {
            "address": address,
            "description": f"Key: {kind.key}. Written by: {', '.join(kind.writers)}.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": {"partitions": kind.partitions}},
        }
        if kind.suffix == TIER:
            channels[channel]["parameters"] = {
                "filter": {"description": "A filter's name, `_` written `-`."},
                "tier": {"description": "A tier that the filter publishes."},
            }
        operations[f"{'receive' if kind.suffix == RAW else 'send'}-{channel}"] = {
            "action": "receive" if kind.suffix == RAW else "send",
            "channel": {"$ref": f"#/channels/{channel}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "newsieve",
            "version": "1.0.0",
            "description": "Scored and tiered news. `articles` is the default topic prefix.",
        },
        "defaultContentType": events.CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def ledger(models: Sequence[type[BaseModel]] = MODELS) -> dict[str, dict[str, str]]:
    """For each model, the path and type of all that is in it: what a release promises."""
    schemas = {model.__name__: json_schema(model) for model in models}
    return {
        name: dict(sorted(_parts(schema, schema.get("$defs", {}))))
        for name, schema in schemas.items()
    }


def incompatibilities(
    released: Mapping[str, Mapping[str, str]], current: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """What of a release is no longer so. Added models, fields and values are no break."""
    found = []
    for model, fields in released.items():
        for path, kind in fields.items():
            now = current.get(model, {}).get(path)
            if now is None:
                found.append(f"{model}.{path} has gone")
            elif now != kind:
                found.append(f"{model}.{path} was {kind}, is {now}")
    return found


def files() -> dict[Path, str]:
    """The generated files and what they should hold. Needs the extra `export`."""
    import yaml  # noqa: PLC0415 - subscribers, who never write these files, need not install it

    found = {
        FOLDER / "json" / f"{model.__name__}.schema.json": _json(json_schema(model))
        for model in MODELS
    }
    found[FOLDER / "asyncapi.yaml"] = yaml.safe_dump(
        asyncapi(), sort_keys=False, allow_unicode=True
    )
    return found


def main() -> None:
    """Write the generated files; exit 2 where the extra `export` is not installed."""
    try:
        texts = files()
    except ModuleNotFoundError as error:
        extra = "pip install 'newsieve-schemas[export]'"
        print(f"{error.name} is not installed: {extra}", file=sys.stderr)  # noqa: T201 - a command
        sys.exit(2)
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if "--release" in sys.argv:
        (FOLDER / "released.json").write_text(_json(ledger()), encoding="utf-8")


def _message_name(kind: TopicKind) -> str:
    return "DeadLetter" if kind.suffix == DEAD_LETTER else kind.record.__name__


def _message(kind: TopicKind) -> dict[str, Any]:
    if kind.suffix == DEAD_LETTER:
        return {
            "contentType": "application/octet-stream",
            "headers": {"$ref": "json/DeadLetterHeaders.schema.json"},
            "description": "The original key, value and headers, and `dlq.*` headers.",
        }
    message: dict[str, Any] = {"payload": {"$ref": f"json/{kind.record.__name__}.schema.json"}}
    if kind.suffix != RAW:
        headers = ArticleEventHeaders if kind.record in _ABOUT_ARTICLES else EventHeaders
        message["headers"] = {"$ref": f"json/{headers.__name__}.schema.json"}
        message["description"] = f"ce_type {EVENT_TYPES[kind.record]}"
    return message


def _parts(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, str]]:
    """Paths and types of what is in a schema, references followed.

    `field`, `array[]` for its items, `object.*` for its unnamed values, `field = value` for each
    value that a field may have.
    """
    dot = f"{path}." if path else ""
    for name, field in schema.get("properties", {}).items():
        yield from _whole(field, definitions, f"{dot}{name}")
    if "items" in schema:
        yield from _whole(schema["items"], definitions, f"{path}[]")
    others = schema.get("additionalProperties", False)
    if others is not False:
        yield from _whole({} if others is True else others, definitions, f"{dot}*")
    for value in _values(schema):
        yield f"{path} = {value}", "value"


def _whole(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    options = [_resolve(option, definitions) for option in schema.get("anyOf", [schema])]
    yield path, " | ".join(sorted({_kind(option) for option in options}))
    for option in options:
        yield from _parts(option, definitions, path)


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    found: Mapping[str, Any] = (
        definitions[reference.rpartition("/")[2]] if reference is not None else schema
    )
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    kind = str(schema.get("type", "any"))
    return f"{kind} enum" if _values(schema) else kind


def _values(schema: Mapping[str, Any]) -> Sequence[Any]:
    values: Sequence[Any] = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return values


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
