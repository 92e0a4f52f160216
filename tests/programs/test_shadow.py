"""A candidate student on trial: its records beside the live one's, and nothing else of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.errors import ModelFailed
from newsieve.filters.sampling import EpochDraw
from newsieve.inference.scorer import FilterScores, Tokens
from newsieve.programs.scoring.path import SHADOW_EPOCH, ScoringPath, shadow_name
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.settings.loader import load_settings
from newsieve_schemas.scored import ScoredArticle
from tests.support.filters import load

LIVE, CANDIDATE = "sha256:" + "1" * 64, "sha256:" + "2" * 64
UPLIFTING = shadow_name("uplifting")


class TwoScorer:
    """Each student scores all dimensions alike; the candidate fails where it is told to."""

    def __init__(self, levels: Mapping[str, float], *, fails: bool = False) -> None:
        self.levels = levels
        self.fails = fails
        self.asked: dict[str, int] = {}

    def submit(
        self, _texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        self.asked = {name: len(rows) for name, rows in wanted.items()}
        future: Future[dict[str, FilterScores]] = Future()
        found = {}
        for name, rows in wanted.items():
            scores = np.full((len(rows), 8), self.levels[name])
            faulty = range(len(rows)) if self.fails and name == UPLIFTING else ()
            faults = {at: ModelFailed("of a test") for at in faulty}
            found[name] = FilterScores(scores, [Tokens([1], truncated=False)] * len(rows), faults)
        future.set_result(found)
        return future

    def close(self) -> None:
        """Nothing to end."""


def path_of(scorer: TwoScorer, share: float, **sampling: str) -> ScoringPath:
    filter_ = load("uplifting")
    environment = {f"NEWSIEVE_SAMPLING__{name}": value for name, value in sampling.items()}
    environment["NEWSIEVE_STUDENT__CANDIDATE_SHARE"] = str(share)
    settings = load_settings(None, environment)
    identities = [
        StudentIdentity(filter_, LIVE, "fp32"),
        StudentIdentity(filter_, CANDIDATE, "bf16", is_candidate=True),
    ]
    return scoring_path(settings, identities, scorer)


def records(path: ScoringPath, count: int) -> list[list[OutRecord]]:
    """Those of each raw record, of all its outcomes, of which there must be one."""
    raw = [
        RawRecord(json.dumps({"id": f"a{n}", "title": f"Story {n}"}).encode(), None, None, None, {})
        for n in range(count)
    ]
    rows = path.finish(path.start(raw))
    assert [len(row.outcomes) for row in rows] == [1] * count
    return [row.outcomes[0].records for row in rows]


def parsed(record: OutRecord) -> dict[str, Any]:
    return json.loads(record.value or b"")


def test_a_candidates_record_goes_to_the_shadow_topic_alone() -> None:
    """Beside the live student's, in the same outcome, so in the same transaction: a tier that
    would be published is not, and nothing is asked of the oracle."""
    path = path_of(TwoScorer({"uplifting": 2.0, UPLIFTING: 9.0}), share=1)

    for found in records(path, 50):
        *live, shadow = found
        assert shadow.topic == "articles.shadow"
        assert all("tier" not in record.topic for record in found)
        assert parsed(live[0])["tier"] == "not_uplifting"
        record = ScoredArticle.model_validate_json(
            json.dumps({**parsed(shadow), "input": {"file": "x", "line": 0}})
        )
        assert (record.student, record.tier) == (CANDIDATE, "impact")
        assert (parsed(live[0])["dtype"], record.dtype) == ("fp32", "bf16")
        assert record.sampling and not record.sampling.selected
        ids = [dict(item.headers or [])["ce_id"] for item in found]
        assert len(set(ids)) == len(ids)


def test_the_share_is_drawn_by_article_the_same_on_every_replay() -> None:
    """And not the oracle's sample."""
    path = path_of(TwoScorer({"uplifting": 5.0, UPLIFTING: 5.0}), share=0.25)

    first, again = records(path, 400), records(path, 400)

    taken = [any(r.topic == "articles.shadow" for r in found) for found in first]
    assert taken == [any(r.topic == "articles.shadow" for r in found) for found in again]
    draw = EpochDraw(SHADOW_EPOCH)
    assert taken == [draw.u(f"a{n}", "") < 0.25 for n in range(400)]
    assert 70 < sum(taken) < 130


def test_with_a_secret_key_nobody_can_choose_what_is_on_trial() -> None:
    """The same articles on every replay under the same key, and others under another one."""

    def taken(key: str) -> list[bool]:
        path = path_of(TwoScorer({"uplifting": 5.0, UPLIFTING: 5.0}), 0.25, KEY=key * 32)
        found = records(path, 400)
        return [any(r.topic == "articles.shadow" for r in each) for each in found]

    first = taken("a")
    assert first == taken("a") and first != taken("b")
    assert 70 < sum(first) < 130


def test_without_a_candidate_nothing_is_scored_twice() -> None:
    """The scorer is asked for the live student alone."""
    scorer = TwoScorer({"uplifting": 5.0})
    settings = load_settings(None, {})
    identity = StudentIdentity(load("uplifting"), LIVE, "fp32")

    path = scoring_path(settings, [identity], scorer)

    assert all(r.topic != "articles.shadow" for found in records(path, 20) for r in found)
    assert scorer.asked == {"uplifting": 20}


@pytest.mark.parametrize("share", [0, 1])
def test_what_a_candidate_cannot_score_is_the_live_students_outcome_still(share: int) -> None:
    """A candidate is no reason for a dead letter."""
    path = path_of(TwoScorer({"uplifting": 5.0, UPLIFTING: 5.0}, fails=True), share=share)

    for found in records(path, 20):
        assert parsed(found[0])["student"] == LIVE
        assert all(record.topic != "articles.shadow" for record in found)
