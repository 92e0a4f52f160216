"""The label row: what `newsieve oracle label` writes, and the one reader of such files."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import orjson
import pytest
from pydantic import ValidationError

from newsieve.filters.article import Article
from newsieve.filters.rendering import content_hash, render
from newsieve.oracle.answer import Answer
from newsieve.oracle.label_file_writer import label_row
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve_schemas.export import json_schema
from newsieve_schemas.label_row import LabelLine, LabelRow
from newsieve_schemas.oracle import OracleUsage
from tests.support.filters import load

UPLIFTING = load("uplifting")
SCORES = dict.fromkeys(UPLIFTING.definition.dimension_names, 6)
PROMPT = Prompt(UPLIFTING, 1_000)
CONFIG = OracleConfig("gemini", "oracle", "low", 0.5)
TEXT = render("A title", "A text.")
ARTICLE = Article(
    id="a1",
    title="A title",
    content="A text.",
    url="https://example.org/1",
    source="village",
    language="en",
    published_at=None,
    text=TEXT,
    content_hash=content_hash(TEXT),
    nulled=(),
)
USAGE = OracleUsage(
    input_tokens=700, output_tokens=90, cost_usd=0.25, latency_seconds=1.5, attempts=2
)
NO_FIELD_OF_IT = ("filter_version", "suspect", "usage", "calls_without_record", "answer_hash")


def written(result: LabelResult) -> dict[str, Any]:
    key = CONFIG.key(PROMPT, result.model_version)
    row = label_row(ARTICLE, PROMPT, result, key, 3, "2026-11-25T10:00:00Z").model_dump()
    fields: dict[str, Any] = orjson.loads(orjson.dumps(row))
    return fields


def labelled() -> dict[str, Any]:
    answer = Answer(SCORES, "news", "It helps.", ["helps"])
    return written(LabelResult("labelled", "oracle-001", answer, usage=USAGE, answer_hash=None))


def test_a_row_has_the_bytes_that_it_always_had() -> None:
    """Field by field, in this order: earlier versions read it, and files go on with it."""
    key = CONFIG.key(PROMPT, "oracle-001")

    assert json.dumps(labelled()) == json.dumps(
        {
            "id": "a1",
            "title": "A title",
            "content": "A text.",
            "url": "https://example.org/1",
            "source": "village",
            "language": "en",
            "published_at": None,
            "content_hash": ARTICLE.content_hash,
            "filter": "uplifting",
            "filter_version": UPLIFTING.version,
            "label_hash": UPLIFTING.label_hash,
            "status": "labelled",
            "suspect": [],
            "oracle_scores": {
                "oracle": key.name,
                "scored_at": "2026-11-25T10:00:00Z",
                "scores": SCORES,
            },
            "content_type": "news",
            "reasoning": "It helps.",
            "key_markers": ["helps"],
            "failure": None,
            "oracle_key": {
                "provider": "gemini",
                "model": "oracle",
                "model_version": "oracle-001",
                "prompt_hash": key.prompt_hash,
                "schema_hash": key.schema_hash,
                "thinking": "low",
                "temperature": 0.5,
            },
            "usage": {
                "input_tokens": 700,
                "output_tokens": 90,
                "cost_usd": 0.25,
                "latency_seconds": 1.5,
                "attempts": 2,
            },
            "calls_without_record": 3,
            "answer_hash": None,
        }
    )


@pytest.mark.parametrize(
    "row", [labelled(), written(LabelResult("refused", failure="no"))], ids=["label", "refusal"]
)
def test_a_row_is_what_its_schema_says(row: dict[str, Any]) -> None:
    """Of a label and of a refusal; a field too many is none."""
    schema = json_schema(LabelRow)

    jsonschema.validate(row, schema)
    assert LabelRow.model_validate(row).model_dump() == row
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**row, "student": {}}, schema)


def test_a_line_of_another_program_is_read_as_far_as_it_goes() -> None:
    """Without the fields that it may lack, with one that nobody knows, an id that is a number and
    scores that are written 6.0."""
    fields = {name: value for name, value in labelled().items() if name not in NO_FIELD_OF_IT}
    scores = {name: float(score) for name, score in SCORES.items()}
    fields |= {"id": 10**20, "unknown": 1, "oracle_scores": {"scores": scores}}

    line = LabelLine(fields)
    row = line.label_of_article()

    assert (line.id, line.filter_name, line.status) == (str(10**20), "uplifting", "labelled")
    assert line.scores == scores and line.calls == 0 and not line.has_no_label
    assert line.oracle_name == line.oracle_key.name == row.oracle_key.name
    assert row.id == str(10**20) and row.oracle_scores is not None
    assert row.oracle_scores.scores == SCORES and row.usage is None


def test_a_line_says_itself_that_there_is_no_label() -> None:
    """A refusal does, and a line of the input that was no article; a foreign row without a status
    has one."""
    refusal = LabelLine(written(LabelResult("refused", failure="no", usage=USAGE)))
    letter = LabelLine({"outcome": "dead_letter", "line": 7})

    assert refusal.has_no_label and refusal.calls == 2 + 3 and not refusal.is_dead_letter
    assert letter.has_no_label and letter.is_dead_letter
    assert not LabelLine({"oracle_scores": SCORES}).has_no_label


def test_what_is_validated_of_a_line_is_validated_strictly() -> None:
    """A score outside 0-10 and a text without its hash are refused, by name."""
    fields = labelled()
    del fields["content_hash"]
    fields["oracle_scores"]["scores"]["wonder"] = 11

    with pytest.raises(ValidationError) as raised:
        LabelLine(fields).label_of_article()

    places = {".".join(map(str, error["loc"])) for error in raised.value.errors()}
    assert places == {"content_hash", "oracle_scores.scores.wonder"}
