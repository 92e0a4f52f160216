"""The contract's files are what the models say, and only ever grow."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal

import jsonschema
import pytest
import yaml
from pydantic import ValidationError, create_model

from newsieve_schemas import export
from newsieve_schemas.base import Written
from newsieve_schemas.oracle import OracleScore
from newsieve_schemas.topics import KINDS, tier_topic_name, topics
from tests.support import drift_records
from tests.support.drift import PAIRS


def test_generated_files_are_fresh() -> None:
    """`python -m newsieve_schemas.export` writes them."""
    for path, text in export.files().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"run python -m newsieve_schemas.export: {path.name}"
        )


def test_no_generated_file_is_left_over() -> None:
    """A model that has gone takes its schema along."""
    there = set((export.FOLDER / "json").iterdir())

    assert there == {path for path in export.files() if path.suffix == ".json"}


def test_the_present_models_keep_what_was_released() -> None:
    """Fields are only added, otherwise the v1 in the event type changes: but for one that is null
    where an operator has set what there was no setting for."""
    released = json.loads((export.FOLDER / "released.json").read_text())
    models = ("ScoredArticle", "TieredArticle", "OracleRequest", "OracleScore")
    with_a_secret_key = [f"{name}.sampling.u was number, is null | number" for name in models]

    assert export.incompatibilities(released, export.ledger()) == with_a_secret_key


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"remove": "tier"}, "ScoredArticle.tier has gone"),
        ({"retype": ("score", "string")}, "ScoredArticle.score was null | number, is string"),
    ],
)
def test_a_removed_or_retyped_field_is_noticed(change: dict[str, Any], complaint: str) -> None:
    """The compatibility test can fail."""
    current = {name: dict(fields) for name, fields in export.ledger().items()}
    if "remove" in change:
        del current["ScoredArticle"][change["remove"]]
    else:
        field, kind = change["retype"]
        current["ScoredArticle"][field] = kind

    assert complaint in export.incompatibilities(export.ledger(), current)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Inner(Written):
    scores: dict[str, int]


def recorded(kind: Any) -> dict[str, dict[str, str]]:
    """The ledger of a model whose only field has this type."""
    return export.ledger([create_model("Model", __base__=Written, field=(kind, ...))])


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (list[str], list[int], "field[] was string, is integer"),
        (list[list[str]], list[list[int]], "field[][] was string, is integer"),
        (dict[str, float], dict[str, str], "field.* was number, is string"),
        (dict[str, Any], dict[str, str], "field.* was any, is string"),
        (dict[str, float] | None, dict[str, list[float]] | None, "field.* was number, is array"),
        (list[Inner], list[dict[str, str]], "field[].scores has gone"),
        (list[dict[str, Inner]], list[dict[str, str]], "field[].*.scores.* has gone"),
        (Literal["red", "green"], Literal["red"], "field = green has gone"),
        (Literal["red", "green"], Literal["red", "blue"], "field = green has gone"),
        (Literal["red"], Literal["blue"], "field = red has gone"),
        (list[Literal["red", "green"]], list[Literal["red"]], "field[] = green has gone"),
        (Colour, Literal["red"], "field = green has gone"),
        (Literal["red"] | None, Literal["blue"] | None, "field = red has gone"),
        (Literal["red"], str, "field was string enum, is string"),
        (str, Literal["red"], "field was string, is string enum"),
    ],
)
def test_what_is_in_a_field_is_part_of_its_type(before: Any, after: Any, complaint: str) -> None:
    """A list's items, an object's unnamed values, the values of an enum."""
    found = export.incompatibilities(recorded(before), recorded(after))

    assert f"Model.{complaint}" in found
    assert export.incompatibilities(recorded(before), recorded(before)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Literal["red"], Literal["red", "green"]),
        (list[Literal["red"]], list[Literal["green", "red"]]),
        (Literal["green", "red"], Colour),
    ],
)
def test_an_added_value_is_no_break(before: Any, after: Any) -> None:
    """Consumers expect values they do not know."""
    assert export.incompatibilities(recorded(before), recorded(after)) == []


def test_the_release_recorded_what_is_in_its_fields() -> None:
    """Or their retyping would not be noticed in the present models."""
    released = json.loads((export.FOLDER / "released.json").read_text())["ScoredArticle"]

    assert released["gates[]"] == "string"
    assert released["scores.*"] == "number"
    assert {"outcome = blocked", "outcome = scored"} <= released.keys()


def test_an_added_field_is_no_break() -> None:
    """Consumers ignore what they do not know."""
    current = {name: dict(fields) for name, fields in export.ledger().items()}
    current["ScoredArticle"]["new_field"] = "string"

    assert export.incompatibilities(export.ledger(), current) == []


@pytest.mark.parametrize("model", export.MODELS, ids=lambda model: model.__name__)
def test_every_schema_is_a_json_schema(model: Any) -> None:
    """Draft 2020-12; written records require all of their fields."""
    schema = export.json_schema(model)

    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_asyncapi_document_has_every_topic() -> None:
    """Its references lead to files that exist."""
    document = yaml.safe_load((export.FOLDER / "asyncapi.yaml").read_text())

    addresses = {channel["address"] for channel in document["channels"].values()}
    assert len(addresses) == len(KINDS)
    assert "articles.tier.{filter}.{tier}" in addresses
    for message in document["components"]["messages"].values():
        for part in ("payload", "headers"):
            if part in message:
                assert (export.FOLDER / message[part]["$ref"]).is_file()


def test_the_table_of_topics_names_them_as_documented() -> None:
    """`_` is written `-`, tiers one topic each, control and drift one partition."""
    table = {
        topic.name: topic.kind
        for topic in topics(
            "articles", {"investment_risk": ("red", "green"), "uplifting": ("impact",)}
        )
    }

    assert set(table) == {
        "articles.raw",
        "articles.scored",
        "articles.tier.investment-risk.red",
        "articles.tier.investment-risk.green",
        "articles.tier.uplifting.impact",
        "articles.dead-letter",
        "articles.oracle.requests",
        "articles.oracle.scores",
        "articles.shadow",
        "articles.canaries",
        "articles.drift.alerts",
        "articles.drift.state",
        "articles.control",
        "articles.feeds",
    }
    single = {name for name, kind in table.items() if kind.partitions == 1}
    assert single == {"articles.drift.alerts", "articles.drift.state", "articles.control"}
    compacted = {name for name, kind in table.items() if kind.cleanup == "compact"}
    assert compacted == {"articles.drift.state", "articles.control", "articles.feeds"}


def test_a_prefix_keeps_its_underscores() -> None:
    """Only filter and tier names are rewritten."""
    assert (
        tier_topic_name("my_news", "investment_risk", "not_x")
        == "my_news.tier.investment-risk.not-x"
    )


def test_a_subscriber_reads_records_of_a_later_version() -> None:
    """A field that was added does not stop it, at whatever depth; a test may forbid it."""
    known = json.loads(drift_records.label("a", PAIRS[0], at=0).value)
    record = known | {"later": 1, "sampling": known["sampling"] | {"later": 1}}
    value = json.dumps(record)

    assert OracleScore.model_validate_json(value) == OracleScore.model_validate_json(
        json.dumps(known)
    )
    with pytest.raises(ValidationError, match=r"sampling\.later"):
        OracleScore.model_validate_json(value, extra="forbid")
