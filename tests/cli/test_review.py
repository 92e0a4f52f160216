"""`newsieve review`: samples out, reviews in, the report, and what training and drift read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from newsieve.programs.reviewing.service import Reviewing
from newsieve.store.reviews import ReviewStore
from tests.support.cli import newsieve
from tests.support.review_commands import review, reviewed, sampled
from tests.support.reviews import (
    FILTER,
    NAMES,
    article_rows,
    filled,
    open_store,
)

STORE = "newsieve.db"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a store of forty articles, ten of them labelled."""
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / STORE):
        return tmp_path


def stored() -> list[Any]:
    return Reviewing(ReviewStore(Path(STORE))).reviews(FILTER)


def test_a_sample_goes_out_comes_back_and_is_reported(folder: Path) -> None:
    """By two people; each file twice, which changes nothing."""
    lines = sampled(folder, "--size", "16", "--reviews", "2")
    assert len(lines) == 16
    for name, score in (("ann", 6), ("bob", 7)):
        file = reviewed(folder, f"{name}.jsonl", *(filled(line, score) for line in lines[:12]))
        first = review("import", file, "--reviewer", name)
        again = review("import", file, "--reviewer", name)
        assert "12 new reviews, 0 known already, 0 articles without one" in first.text
        assert "0 new reviews, 12 known already" in again.text
    assert len(stored()) == 24

    report = json.loads(review("report", "--json").out)
    assert report["samples"][0]["frame"] == 40
    assert report["samples"][0]["reviewed"] == 12
    assert report["reviewers"] == {
        "ann": {"scored": 12, "cannot_judge": 0},
        "bob": {"scored": 12, "cannot_judge": 0},
    }
    kinds = {(item["first"]["kind"], item["second"]["name"]) for item in report["comparisons"]}
    assert kinds >= {("student", "ann"), ("student", "bob"), ("oracle", "ann"), ("human", "bob")}
    ann_and_bob = next(item for item in report["comparisons"] if item["first"]["kind"] == "human")
    assert ann_and_bob["dimensions"]["wonder"]["bias"]["value"] == -1
    assert report["reliability"][0]["reviewers"] == ["ann", "bob"]

    shown = review("report").text
    assert "human ann against human bob" in shown
    assert "Krippendorff's alpha" in shown
    assert "collective_benefit" in shown


def test_the_same_seed_writes_the_same_file(folder: Path) -> None:
    """It is the same sample; without one, each has its own."""
    one = sampled(folder, "--size", "10")
    again = review("sample", "--out", "s.jsonl", "--seed", "s", "--size", "10")
    assert "drawn before, and unchanged" in again.text
    assert [json.loads(line) for line in (folder / "s.jsonl").read_text().splitlines()] == one
    seeds = {review("sample").text.partition("seed ")[2].partition(":")[0] for _ in range(2)}
    assert len(seeds) == 2


def test_a_summary_says_from_how_many_articles_was_drawn(folder: Path) -> None:
    """And with which probability; --since narrows it down."""
    assert (
        "8 of 40 articles at random, each with probability 0.2, and"
        in review("sample", "--size", "16").text
    )
    assert folder.is_dir()
    future = review("sample", "--since", "2090-01-01", code=1)
    assert "no article that uplifting/v4 scored in this time" in future.err


def test_bad_lines_are_all_named_and_nothing_is_stored(folder: Path) -> None:
    """With the number of each; exit 2."""
    lines = sampled(folder, "--size", "10")
    file = reviewed(
        folder,
        "bad.jsonl",
        filled(lines[0], 6),
        filled(lines[1], 11),
        json.dumps(lines[2]),
        "{",
        filled(lines[3], 6, content_hash="sha256:" + "0" * 64),
    )
    done = review("import", file, "--reviewer", "ann", code=2)
    assert "nothing is stored" in done.err
    assert "line 2: agency is 11, not a whole number from 0 to 10" in done.err
    assert "line 4: not JSON" in done.err
    assert "line 1" not in done.err
    assert stored() == []

    unknown = filled(lines[3], 6, content_hash="sha256:" + "0" * 64)
    done = review(
        "import", reviewed(folder, "u.jsonl", filled(lines[0], 6), unknown), "--reviewer", "ann",
        code=2,
    )  # fmt: skip
    assert "line 2: no sample in this store has this article" in done.err
    assert stored() == []


def test_label_studio_gets_tasks_and_gives_reviews(folder: Path) -> None:
    """Its configuration lies beside the tasks; its export is taken in, whoever annotated."""
    review("sample", "--out", "t.json", "--format", "label-studio", "--size", "6", "--seed", "s")
    tasks = json.loads((folder / "t.json").read_text())
    assert (folder / "t.json.config.xml").read_text().startswith("<View>")
    numbers = [
        {"from_name": name, "to_name": "article", "type": "number", "value": {"number": 4}}
        for name in NAMES
    ]
    exported = [
        {
            "id": number,
            "data": task["data"],
            "annotations": [
                {"id": number, "completed_by": 1, "was_cancelled": False, "result": numbers},
                {"id": number, "completed_by": 2, "was_cancelled": True, "result": []},
            ],
            "predictions": [],
        }
        for number, task in enumerate(tasks)
    ]
    (folder / "export.json").write_text(json.dumps(exported))
    assert "12 new reviews" in review("import", "export.json").text
    assert "12 known already" in review("import", "export.json").text
    assert {(item.oracle.model, item.status) for item in stored()} == {
        ("label-studio-1", "labelled"),
        ("label-studio-2", "refused"),
    }


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["import", "missing.jsonl"], 2, "cannot read missing.jsonl"),
        (["sample", "--filter", "nowhere"], 2, "there is no filter 'nowhere'"),
        (["sample", "--seed", "a b"], 2, "--seed 'a b'"),
        (["sample", "--since", "yesterday"], 2, "is not a time"),
        (["sample", "--out", "no/where/s.jsonl"], 2, "cannot write no/where/s.jsonl"),
        (["import", "newsieve.db", "--reviewer", "a\u202eb"], 2, "all of them visible"),
        (["import", "newsieve.db", "--reviewer", "ann"], 2, "nothing is stored"),
        (["report", "--labels", "missing.jsonl"], 2, "cannot read missing.jsonl"),
        (["sample", "--filter", "sustainability"], 1, "no article that sustainability/v1 scored"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], code: int, complaint: str) -> None:
    """With the usual exit codes."""
    assert complaint in review(*arguments, code=code).err


@pytest.mark.parametrize("command", ["sample", "report", "export --out x", "import s.jsonl"])
def test_a_store_that_is_missing_is_said_and_not_made(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the page's, which fills it."""
    reviewed(folder, "s.jsonl", "")
    monkeypatch.setenv("NEWSIEVE_SERVE__STORE", "other.db")
    done = review(*command.split(), code=1)
    assert "there is no store other.db: `newsieve serve` makes it" in done.err
    assert not (folder / "other.db").exists()


def test_commands_work_while_the_store_is_being_filled(folder: Path) -> None:
    """Its one writer goes on; both see what the other has written."""
    with open_store(folder / "live.db", articles=30) as writer:
        env = {"NEWSIEVE_SERVE__STORE": "live.db"}
        assert newsieve("review", "sample", "--out", "l.jsonl", env=env).code == 0
        writer.write(list(article_rows(50, 5.0)), {})
        lines = [json.loads(line) for line in (folder / "l.jsonl").read_text().splitlines()]
        file = reviewed(folder, "f.jsonl", *(filled(line, 6) for line in lines))
        done = newsieve("review", "import", file, "--reviewer", "ann", env=env)
        assert done.code == 0, done.err
        writer.write(list(article_rows(51, 5.0)), {})
    assert "of 32 articles" in newsieve("review", "sample", env=env).text
