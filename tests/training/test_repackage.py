"""A student of the earlier rendering is packaged anew where its training texts are the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import StudentInvalid
from newsieve.filters.rendering import RENDERING
from newsieve.inference.manifest import check_filter, read_manifest
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.errors import RunInvalid
from newsieve_training.packaging.repackage import repackage
from tests.support.cli import newsieve_train
from tests.support.filters import BUILTIN, load
from tests.support.labels import label_rows, write_rows

FILTER = load("uplifting")
(EARLIER,) = FILTER.earlier_label_hashes
ARTICLES = 200


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A student of the earlier rendering that was trained on 200 articles."""
    folder = tmp_path / "student"
    shutil.copytree(FILTER.student_folder, folder)
    data = {"rows": {"train": ARTICLES - 20, "test": 20}}
    edit_json(folder / "student.json", label_hash=EARLIER, data=data)
    return folder


def rows_with_markup(count: int) -> list[dict[str, Any]]:
    """The labels of 200 articles, so many of them in HTML."""
    rows = label_rows(ARTICLES)
    for row in rows[:count]:
        row["content"] = f"<p>{row['content']}</p>"
    return rows


@pytest.mark.parametrize("changed", [0, 2])
def test_a_student_whose_texts_are_the_same_is_packaged_anew(
    student: Path, tmp_path: Path, changed: int
) -> None:
    """One in a hundred may differ. The manifest says how many did, and nothing else changes."""
    before = read_manifest(student)
    path = write_rows(tmp_path / "l.jsonl", [*rows_with_markup(changed), "no label", "{}"])
    with pytest.raises(StudentInvalid, match="newsieve-train repackage"):
        check_filter(before, student, FILTER)

    check = repackage(student, [read_source(path)], BUILTIN)

    after = read_manifest(student)
    assert check is not None
    assert (check.articles, check.changed) == (ARTICLES, changed)
    check_filter(after, student, FILTER)
    proof = {"rendering": RENDERING, "articles": ARTICLES, "changed": changed}
    assert after == before.model_copy(
        update={"label_hash": FILTER.label_hash, "data": {**before.data, "rendering": proof}}
    )
    assert repackage(student, [], BUILTIN) is None


@pytest.mark.parametrize(
    ("rows", "edits", "message"),
    [
        (rows_with_markup(3), {}, "3 of 200 articles are rendered in another way now"),
        (rows_with_markup(0)[1:], {}, "made of 200 articles, and these files have labels of 199"),
        ([], {"data": {}}, "0 of 0"),
        (rows_with_markup(0), {"label_hash": "sha256:" + "0" * 64}, "train a new one"),
    ],
)
def test_a_student_that_would_be_another_is_left_as_it_is(
    student: Path, tmp_path: Path, rows: list[Any], edits: dict[str, Any], message: str
) -> None:
    """Too many texts changed, files are missing, nothing is proved, or the prompt was another."""
    edit_json(student / "student.json", **edits)
    before = (student / "student.json").read_bytes()

    with pytest.raises(RunInvalid, match=message):
        repackage(student, [read_source(write_rows(tmp_path / "l.jsonl", rows))], BUILTIN)

    assert (student / "student.json").read_bytes() == before


def test_the_command_says_what_it_compared(student: Path, tmp_path: Path) -> None:
    """And that there is nothing to do where it has been run before."""
    path = write_rows(tmp_path / "l.jsonl", rows_with_markup(1))

    first = newsieve_train("repackage", str(student), str(path), "--json")
    again = newsieve_train("repackage", str(student), str(path), "--json")

    assert "1 of 200 articles are rendered in another way now" in first.err
    assert first.json() == {"made": True, "check": {"articles": 200, "changed": 1}}
    assert again.json() == {"made": False, "check": None}
    assert "nothing to do" in again.err
