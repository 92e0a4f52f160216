"""The OpenAPI of `newsieve ingest http`, held against what it answers by schemathesis."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.engine import events, from_schema

from newsieve.web.article_schemas import JSON_LINES
from tests.support.ingest_http import BEARER, SECRET, TOKEN, Receiver, make_receiver

MOST_EXAMPLES = 60
FEWEST_ANSWERS = 5
LINES = strategies.lists(
    strategies.text(strategies.characters(categories=("L",)), min_size=1, max_size=20).map(
        lambda title: json.dumps({"title": title}).encode()
    ),
    max_size=3,
).map(b"\n".join)


@pytest.fixture
def receiver() -> Receiver:
    return make_receiver(token=TOKEN, secret=SECRET, hosts=["testserver"], articles=1_000)


def finished(receiver: Receiver) -> Iterator[events.ScenarioFinished]:
    """Run schemathesis with all of its checks, as a sender who has the token."""
    schemathesis.openapi.media_type(JSON_LINES[0], LINES)  # no schema can say what a line is
    schema = schemathesis.openapi.from_asgi("/openapi.json", receiver.app)
    schema.validate()
    schema.config.update(headers={"Authorization": BEARER["authorization"]})
    schema.config.phases.update(phases=["examples", "fuzzing"])
    schema.config.generation.update(
        modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
        max_examples=MOST_EXAMPLES,
        deterministic=True,
    )
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            yield event


def test_schemathesis_finds_no_fault(receiver: Receiver) -> None:
    """Whatever is sent, valid or not, is answered as the document says; what is valid is taken."""
    faults: list[str] = []
    answers: Counter[int] = Counter()
    for event in finished(receiver):
        for interaction in event.recorder.interactions.values():
            if interaction.response is not None:
                answers[interaction.response.status_code] += 1
        for checks in event.recorder.checks.values():
            faults += [
                f"{check.name}: {check.failure_info.failure}: {check.failure_info.code_sample}"[
                    :1_000
                ]
                for check in checks
                if check.failure_info is not None
            ]

    assert not faults
    assert answers[202] >= FEWEST_ANSWERS and answers[422] >= FEWEST_ANSWERS and answers[401]
    assert receiver.publisher.committed


def test_all_that_can_be_answered_is_in_the_document(receiver: Receiver) -> None:
    """Statuses that no random request brings about, all forms of a body, and who may send."""
    document = receiver.document()
    (operation,) = document["paths"]["/articles"].values()

    refusals = {"400", "401", "403", "408", "413", "415", "421", "422", "429", "500", "503"}
    assert set(operation["responses"]) == {"202", "default", *refusals}
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "application/x-ndjson",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    }
    for status, response in operation["responses"].items():
        kind = "application/json" if status == "202" else "application/problem+json"
        assert set(response["content"]) == {kind}
    for status in ("429", "503"):
        assert "Retry-After" in operation["responses"][status]["headers"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "signature"}
    assert "security" not in make_receiver().document()
    assert {"signature": []} not in make_receiver(token=TOKEN).document()["security"]
