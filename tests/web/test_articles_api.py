"""The API's lists and events name the story of each article, so that clients can fold copies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.web.articles_api import _record_event
from newsieve_schemas.scored import ScoredArticle
from tests.support.filled_store import SAME
from tests.support.served import Served, make_served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path)
    for number in range(3):
        served.add(f"Heading {number}", SAME)
    served.add("Another story", "In few words.")
    yield served
    served.close()


def test_copies_have_the_story_of_the_first_article(served: Served) -> None:
    """A list has each story once, with its name; copies are called by that name, too."""
    alone, first = served.get("/v1/articles").json()["articles"]
    assert alone["story"] == alone["record"]["article"]["id"] and alone["copies"] == 0
    assert first["story"] == first["record"]["article"]["id"] and first["copies"] == 2
    copies = served.site.reader.copies(served.site.reader.outcome(first["id"]))  # type: ignore[arg-type]
    for copy in copies:
        article = json.loads(copy.record)["article"]["id"]
        (listed,) = served.get(f"/v1/articles/by-id/{article}").json()["articles"]
        assert listed["story"] == first["story"] != article


def test_an_event_has_the_record_and_its_story(served: Served) -> None:
    """As one line, of which the record is read as ever, however its writer laid it out."""
    (*_, newest) = served.site.reader.outcomes_after(0, 100)
    spaced = json.dumps(json.loads(newest.record), indent=1).encode() + b"\r\n"
    for record in (newest.record, spaced):
        lines = _record_event(newest._replace(record=record)).split(b"\n")
        assert lines[0] == b"id: %d" % newest.id and lines[2:] == [b"", b""]
        data = lines[1].removeprefix(b"data: ")
        assert json.loads(data) == {**json.loads(newest.record), "story": newest.first_article}
        assert ScoredArticle.model_validate_json(data).article.id == newest.first_article
