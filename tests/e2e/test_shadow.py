"""A candidate on trial in a real worker, on a real broker."""

from __future__ import annotations

import json
from pathlib import Path

from newsieve.filters.registry import Filter
from newsieve.kafka.config import Cluster
from newsieve.kafka.topic_reader import read
from tests.support.articles import raw_records
from tests.support.stream import Stream
from tests.support.tiny_student import make_student


def test_a_candidate_scores_beside_the_live_student(
    stream: Stream, tmp_path: Path, uplifting: Filter
) -> None:
    """Its records are on the shadow topic, one for each that the live student scored; whatever
    else the worker publishes is the live student's."""
    candidate = make_student(tmp_path / "candidate", uplifting, seed=7)
    stream.produce(raw_records(60))
    worker = stream.start_worker(
        "a",
        student__candidates=json.dumps({"uplifting": str(candidate)}),
        student__candidate_share=1,
    )
    reader = stream.reader()

    outputs = reader.read_until(lambda o: len(o.scored) + len(o.letters) >= 60, 120)
    assert worker.terminate() == 0

    topic = f"{stream.prefix}.shadow"
    found = read(Cluster(stream.servers, {}), topic, from_beginning=True, until_end=True)
    shadow = [json.loads(item.record.value or b"") for item in found]
    live = [record for record in outputs.scored if record["outcome"] == "scored"]
    assert sorted(r["article"]["id"] for r in shadow) == sorted(r["article"]["id"] for r in live)
    (ours,), (theirs,) = ({record["student"] for record in records} for records in (shadow, live))
    assert ours != theirs
    assert [r["scores"] for r in shadow] != [r["scores"] for r in live]
