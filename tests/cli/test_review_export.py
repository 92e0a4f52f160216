"""`newsieve review export`: what training and the drift monitor take of people's reviews."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from newsieve.bootstrap.drift import load_filter_inputs, make_filter_monitor
from newsieve.settings.loader import load_settings
from newsieve_schemas.label_row import LabelRow
from newsieve_training.data.label_aggregation import Source, read_labelled
from newsieve_training.pipeline.recipe import Labels
from tests.support.bulk import environment
from tests.support.cli import newsieve
from tests.support.oracle_server import good, serving
from tests.support.review_commands import review, reviewed, sampled
from tests.support.reviews import FILTER, NAMES, content, filled, open_store, title


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a store of forty articles, ten of them labelled."""
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "newsieve.db"):
        return tmp_path


def judged(folder: Path) -> None:
    """Let ann review all of a sample, bob its first eight articles, and cas refuse one."""
    lines = sampled(folder, "--size", "20", "--reviews", "3")
    for name, share in (("ann", lines), ("bob", lines[:8])):
        file = reviewed(folder, "r.jsonl", *(filled(line, 7, note="so") for line in share))
        review("import", file, "--reviewer", name)
    refused = json.dumps({**lines[0], "status": "refused"})
    review("import", reviewed(folder, "r.jsonl", refused), "--reviewer", "cas")


def test_exported_reviews_are_label_rows_that_training_reads(folder: Path) -> None:
    """Each person is an oracle of its own: a recipe names those to mix, and never mixes unasked."""
    judged(folder)
    done = review("export", "--out", "human.jsonl")
    raw = (folder / "human.jsonl").read_bytes()
    rows = [LabelRow.model_validate_json(line) for line in raw.splitlines()]
    people = sorted({row.oracle_key.name for row in rows if row.oracle_scores is not None})
    numbers = {int(row.id[1:]) for row in rows}
    assert done.text == f"human.jsonl: {len(rows)} reviews\n"
    assert {row.status for row in rows} == {"labelled", "refused"}
    assert {row.content for row in rows} == {content(number) for number in numbers}
    assert len(people) == 2

    source = Source("human.jsonl", raw)
    with pytest.raises(Exception, match="several oracles"):
        read_labelled([source], Labels(), FILTER)
    ann = read_labelled([source], Labels(oracles=[people[0]]), FILTER)
    assert len(ann.rows) == len(numbers)
    assert ann.rows[0]["scores"] == dict.fromkeys(NAMES, 7)
    assert ann.bad == []


def test_a_persons_labels_are_no_anchors(folder: Path) -> None:
    """They cannot show whether the oracle at work still labels as it did: the monitor says so."""
    judged(folder)
    review("export", "--out", "human.jsonl")
    with pytest.raises(Exception, match=r"labelled by a person.*review export --articles"):
        load_filter_inputs(settings("human.jsonl"))


def settings(anchors: str) -> Any:
    return load_settings(
        None, {"NEWSIEVE_DRIFT__ANCHORS": anchors, "NEWSIEVE_WORKER__FILTERS": "uplifting"}
    )


@pytest.fixture
def oracle() -> Iterator[dict[str, str]]:
    with serving(good()) as server:
        yield environment(server)


def test_articles_that_people_judged_become_anchors(folder: Path, oracle: dict[str, str]) -> None:
    """Those of two people or more: the accepted oracle labels them twice, the monitor takes the
    file, and the report compares the same labels with the people's."""
    judged(folder)
    done = review("export", "--out", "judged.jsonl", "--articles", "--fewest-reviews", "2")
    articles = [orjson.loads(line) for line in (folder / "judged.jsonl").read_bytes().splitlines()]
    assert done.text == "judged.jsonl: 8 articles\n"
    assert {item["title"] for item in articles} == {title(int(i["id"][1:])) for i in articles}
    assert not any("scores" in item or "oracle_scores" in item for item in articles)

    for run in ("1", "2"):
        labelling = newsieve(
            "oracle", "label", "judged.jsonl", "--out", f"{run}.jsonl", "--yes", env=oracle
        )
        assert labelling.code == 0, labelling.err
    both = (folder / "1.jsonl").read_bytes() + (folder / "2.jsonl").read_bytes()
    (folder / "anchors.jsonl").write_bytes(both)

    (inputs,) = load_filter_inputs(settings("anchors.jsonl"))
    monitor = make_filter_monitor(settings("anchors.jsonl"), inputs)
    assert inputs.anchors is not None
    assert set(inputs.anchors.articles) == {item["id"] for item in articles}
    assert inputs.anchors.reference.replicates.shape == (8, 2, len(NAMES))
    assert np.all(inputs.anchors.reference.replicates == 6)
    assert monitor.attribution.anchors is not None

    report = json.loads(review("report", "--labels", "1.jsonl", "--json").out)
    compared = [
        item
        for item in report["comparisons"]
        if item["first"] == {"kind": "oracle", "name": inputs.anchors.reference.oracle_key}
    ]
    assert {item["second"]["name"] for item in compared} == {"ann", "bob"}
    assert {item["dimensions"]["agency"]["bias"]["value"] for item in compared} == {-1.0}
    assert sum(item["articles"] for item in compared if item["second"]["name"] == "ann") == 8
