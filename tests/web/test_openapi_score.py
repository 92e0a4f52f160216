"""The OpenAPI of the endpoints that score, held against what they answer by schemathesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis import GenerationMode
from schemathesis.engine import events, from_schema

from newsieve.web.article_schemas import JSON_LINES
from tests.support.scoring_server import TextScorer, make_app, make_service

MOST_EXAMPLES = 8  # of each endpoint, beside those at the borders of what is allowed
FEWEST_ANSWERS = 5


@pytest.fixture
def app() -> FastAPI:
    return make_app(make_service(TextScorer(), body_bytes=1_000_000))


def finished(app: FastAPI) -> Iterator[events.ScenarioFinished]:
    """Run schemathesis with all of its checks."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.phases.update(phases=["examples", "coverage", "fuzzing"])
    schema.config.generation.update(
        modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
        max_examples=MOST_EXAMPLES,
        deterministic=True,
    )
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            yield event


def test_schemathesis_finds_no_fault(app: FastAPI) -> None:
    """Whatever is sent, valid or not, is answered as the document says, and never by an error of
    the server's."""
    faults: list[str] = []
    answers: Counter[tuple[str, int]] = Counter()
    for event in finished(app):
        for case_id, node in event.recorder.cases.items():
            interaction = event.recorder.interactions.get(case_id)
            if interaction is not None and interaction.response is not None:
                answers[node.value.path, interaction.response.status_code] += 1
        for checks in event.recorder.checks.values():
            faults += [
                f"{event.label}: {check.name}: {check.failure_info.failure}"
                for check in checks
                if check.failure_info is not None
            ]

    assert not faults
    for path in ("/v1/score", "/v2/models/{model}/infer"):  # not only refused
        assert answers[path, 200] >= FEWEST_ANSWERS
        assert answers[path, 404] > 0


def test_all_that_can_be_answered_is_in_the_document(app: FastAPI) -> None:
    """Statuses that no random request brings about, and both types of a body."""
    document = app.openapi()
    score = document["paths"]["/v1/score"]["post"]
    infer = document["paths"]["/v2/models/{model}/infer"]["post"]

    assert document["openapi"].startswith("3.1")
    common = {"200", "404", "413", "415", "429", "503", "504", "default"}
    assert set(score["responses"]) == {*common, "422"}
    assert set(infer["responses"]) == {*common, "400"}
    for part in (score["requestBody"], score["responses"]["200"]):
        assert set(part["content"]) == {"application/json", JSON_LINES[0]}
    for status, response in score["responses"].items():
        if status != "200":
            assert set(response["content"]) == {"application/problem+json"}
