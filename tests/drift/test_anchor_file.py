"""A file of anchors: what `newsieve oracle label` writes, several times over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from newsieve.drift.anchor_file import read_anchors
from newsieve.errors import InputFileInvalid
from tests.support.drift import DIMENSIONS, UPLIFTING
from tests.support.drift_records import anchor_file, anchor_scores, oracle, oracle_key
from tests.support.filters import load

Rows = list[dict[str, Any]]


def rows(tmp_path: Path) -> Rows:
    text = anchor_file(tmp_path / "a.jsonl", ["x", "y"]).read_text()
    return [json.loads(line) for line in text.splitlines()]


def lines_of(found: Rows) -> list[bytes]:
    return [b"", *(json.dumps(row).encode() for row in found), b"\n"]


def test_each_line_of_an_article_is_a_replicate(tmp_path: Path) -> None:
    """Articles with their text, the oracle's name, scores in dimension order; lines about other
    filters and refusals do not count."""
    others = [row | {"filter": "sustainability"} for row in rows(tmp_path)]
    refused = [row | {"status": "refused", "oracle_scores": None} for row in rows(tmp_path)[:1]]

    found = read_anchors("f", lines_of([*others, *rows(tmp_path), *refused]), UPLIFTING)

    assert found is not None
    assert found.reference.oracle_key == oracle_key()
    assert found.reference.ids == ("x", "y")
    expected = [[list(anchor_scores(at, r).values()) for r in range(3)] for at in range(2)]
    assert np.array_equal(found.reference.replicates, np.array(expected))
    assert found.articles["y"].article["content"] == "What y says."
    assert read_anchors("f", lines_of(others[:0]), UPLIFTING) is None


def test_a_file_that_another_program_wrote_is_read_as_it_is_meant(tmp_path: Path) -> None:
    """With a byte order mark, CRLF, ids that are numbers, whole numbers written 5.0, and the lines
    that `newsieve oracle label` writes of what was no article."""
    found = rows(tmp_path)
    for row in found:
        row["id"] = {"x": 1, "y": 20261125000000000000}[row["id"]]
        scores = row["oracle_scores"]["scores"]
        row["oracle_scores"]["scores"] = {name: float(score) for name, score in scores.items()}
    letter = {"outcome": "dead_letter", "line": 7, "stage": "decode", "error": "NotUtf8"}
    content = b"".join(json.dumps(row).encode() + b"\r\n" for row in [*found, letter])

    read = read_anchors("f", (b"\xef\xbb\xbf" + content).split(b"\n"), UPLIFTING)

    assert read is not None
    assert read.reference.ids == ("1", "20261125000000000000")
    expected = [[list(anchor_scores(at, r).values()) for r in range(3)] for at in range(2)]
    assert np.array_equal(read.reference.replicates, np.array(expected))


def other_oracle(found: Rows) -> None:
    found[3]["oracle_key"] = oracle("002")


def other_text(found: Rows) -> None:
    found[3]["content_hash"] = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda found: found.pop(), "the same number of labels, 2 at least"),
        (lambda found: found.__delitem__(slice(2, None)), "the same number of labels"),
        (other_oracle, "labels of several oracles"),
        (other_text, "'y' has two texts"),
        (
            lambda found: found[0].pop("content_hash"),
            "line 2: not written by `newsieve oracle label`",
        ),
        (lambda found: found[1].update(label_hash="x"), "line 3: labelled for another version"),
        (
            lambda found: found[1].update(oracle_scores={"scores": {DIMENSIONS[0]: 5}}),
            "line 3: scores of other dimensions",
        ),
        (
            lambda found: found[1]["oracle_scores"]["scores"].update(wonder=11),
            "not written by `newsieve oracle label`",
        ),
        (
            lambda found: found[1]["oracle_scores"]["scores"].update(wonder=5.5),
            "not written by `newsieve oracle label`",
        ),
        (
            lambda found: found[1].update(id=True),
            "line 3: not written by `newsieve oracle label`: id",
        ),
        (  # the line of another filter is not taken, but a file with a hole in it is not whole
            lambda found: found[1].update(filter="another", id=True),
            "line 3: not written by `newsieve oracle label`: id",
        ),
        (
            lambda found: found[1]["oracle_scores"]["scores"].update(wonder="6"),
            "not written by `newsieve oracle label`",
        ),
    ],
)
def test_a_hole_in_the_reference_is_refused(
    spoil: Callable[[Rows], object], complaint: str, tmp_path: Path
) -> None:
    """With the file, the line and what is wrong."""
    found = rows(tmp_path)
    spoil(found)

    with pytest.raises(InputFileInvalid) as raised:
        read_anchors("anchors.jsonl", lines_of(found), UPLIFTING)

    assert complaint in str(raised.value) and "anchors.jsonl" in str(raised.value)


def test_lines_that_are_not_json_are_refused() -> None:
    """Whichever filter is asked for."""
    with pytest.raises(InputFileInvalid, match="line 1"):
        read_anchors("f", [b"{"], load("sustainability"))
