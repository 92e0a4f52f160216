"""The API is what /openapi.json says, and pages are not in it.

What scores has a test of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from schemathesis.engine import events, from_schema

from tests.support.served import TOKEN, Served, fill, make_served

MANY = {"SERVE__REQUESTS_PER_MINUTE": "1000000", "SERVE__HOSTS": "testserver"}
EXAMPLES = 5


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server whose streams end at once."""
    served = make_served(tmp_path, MANY)
    fill(served)
    served.site.hub.close()
    asyncio.run(served.site.hub.run())
    yield served
    served.close()


def faults(served: Served) -> tuple[list[str], int]:
    """What schemathesis has to say, and how many requests it sent."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", served.app)
    schema.validate()
    schema.config.generation.update(max_examples=EXAMPLES)
    schema.config.phases.stateful.enabled = False
    said: list[str] = []
    requests = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.FatalError):
            said.append(repr(event.exception))
        if isinstance(event, events.NonFatalError):
            said.append(f"{event.label}: {event.info.format()}")
        if isinstance(event, events.ScenarioFinished):
            requests += len(event.recorder.cases)
            for checks in event.recorder.checks.values():
                said += [
                    f"{event.label}: {check.name}: {check.failure_info.failure}: "
                    f"{check.failure_info.code_sample}"[:1_000]
                    for check in checks
                    if check.failure_info is not None
                ]
    return said, requests


def test_schemathesis_finds_no_fault(served: Served) -> None:
    """Valid requests are answered as documented, others refused as documented; nothing fails."""
    said, requests = faults(served)

    assert said == []
    assert requests > 400
    assert {status for _, status in served.answers if status >= 500} <= {503, 504}


def test_the_document_has_the_api_alone_and_says_enough(served: Served, tmp_path: Path) -> None:
    """Each operation has an id of its own, a summary, and what is answered to refused requests;
    pages for people are left out; a server with a token says how it is sent."""
    document = served.get("/openapi.json").json()
    operations = [item for path in document["paths"].values() for item in path.values()]
    ids = [item["operationId"] for item in operations]

    assert document["openapi"] == "3.1.0"
    assert all(path.startswith(("/v1/", "/v2", "/feeds/")) for path in document["paths"])
    assert len(set(ids)) == len(ids) >= 9
    for operation in operations:
        assert operation["summary"]
        assert {"200", "401", "421", "429", "500"} <= set(operation["responses"])
    assert "security" not in document
    folder = tmp_path / "closed"
    folder.mkdir()
    closed = make_served(folder, {"SERVE__READ_TOKEN": TOKEN})
    said = closed.get("/openapi.json", {"authorization": f"Bearer {TOKEN}"}).json()
    assert said["security"] == [{"bearer": []}, {"basic": []}]
    assert closed.get("/openapi.json").status_code == 401
    closed.close()
