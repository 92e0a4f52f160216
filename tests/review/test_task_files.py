"""Files for and from reviewers: blind, strict, in JSON Lines and in Label Studio's shapes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from newsieve.review.judgement import InvalidReview, reviewer_key, reviewer_name
from newsieve.review.records import scored_article, task_of
from newsieve.review.task_files import (
    Task,
    json_lines,
    label_studio_config,
    label_studio_tasks,
    read_reviews,
)
from newsieve.store.rows import OutcomeRow
from tests.support.evil_texts import EVIL
from tests.support.reviews import FILTER, NAMES, article_rows, content, hash_of


def task(number: int) -> Task:
    (outcome,) = (r for r in article_rows(number, 7.5) if isinstance(r, OutcomeRow))
    scored = scored_article(outcome.record)
    assert scored is not None
    return task_of(scored, content(number))


TASKS = [task(number) for number in range(3)]
LINES = [json.loads(line) for line in json_lines(TASKS, FILTER).splitlines()]
DATA = [item["data"] for item in json.loads(label_studio_tasks(TASKS, FILTER))]
YES = True
SIXES: dict[str, Any] = dict.fromkeys(NAMES, 6)


def jsonl(*lines: Any) -> bytes:
    return b"\n".join(line if type(line) is bytes else json.dumps(line).encode() for line in lines)


def result(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "article", "type": kind, "value": {kind: value}}


def annotation(*results: Any, **fields: Any) -> dict[str, Any]:
    numbers = [result(name, "number", 6) for name in NAMES]
    return {
        "id": 1,
        "completed_by": 3,
        "was_cancelled": False,
        "result": numbers + list(results),
    } | (fields)


def exported(*annotations: Any, number: int = 0) -> bytes:
    return json.dumps([{"id": 7, "data": DATA[number], "annotations": list(annotations)}]).encode()


def test_files_for_reviewers_are_blind() -> None:
    """They have the article and the dimensions: no score, no tier, no reason, no probability."""
    files = json_lines(TASKS, FILTER) + label_studio_tasks(TASKS, FILTER)
    for secret in (b"7.5", b"connection", b"tier", b"student", b'"pi"', b"sampling", b"oracle"):
        assert secret not in files.replace(b'"connection": null', b"").replace(
            b'"connection":null', b""
        ), secret
    assert LINES[0]["content"] == content(0)
    assert DATA[0]["text"] == content(0)
    assert LINES[0]["scores"] == dict.fromkeys(NAMES)


def test_label_studios_configuration_has_a_control_for_each_dimension() -> None:
    """Whole numbers from 0 to 10, with the definition above, as well-formed XML."""
    tree = ET.fromstring(label_studio_config(FILTER))  # noqa: S314 - our own
    numbers = tree.findall("Number")
    assert [item.get("name") for item in numbers] == list(NAMES)
    assert {(i.get("min"), i.get("max"), i.get("step"), i.get("toName")) for i in numbers} == {
        ("0", "10", "1", "article")
    }
    headers = [item.get("value") or "" for item in tree.findall("Header")]
    assert any("wellbeing" in text for text in headers)
    assert tree.find("Text[@name='article']") is not None


def test_a_filled_line_is_a_review() -> None:
    """With a note and a name; lines as they were drawn are not reviewed yet."""
    found = read_reviews(
        jsonl(
            LINES[0] | {"scores": SIXES | {"wonder": 0, "agency": 10.0}, "note": " why \n"},
            LINES[1] | {"reviewer": "bob", "scores": SIXES},
        ),
        FILTER,
        None,
    )
    assert found.errors == [
        "line 1: it does not say who reviewed: name the reviewer with --reviewer"
    ]

    found = read_reviews(
        jsonl(
            LINES[0] | {"scores": SIXES | {"wonder": 0, "agency": 10.0}, "note": " why \n"},
            LINES[2],
            LINES[2] | {"status": "refused", "note": "in a language I cannot read"},
        ),
        FILTER,
        "ann",
    )
    assert found.errors == []
    assert found.unreviewed == 1
    scored, refused = found.reviews
    assert scored.content_hash == hash_of(0)
    assert scored.reviewer == "ann"
    assert scored.judgement == ({**SIXES, "agency": 10, "wonder": 0}, "why")
    assert refused.judgement == (None, "in a language I cannot read")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"scores": SIXES | {"wonder": 11}}, "wonder is 11, not a whole number from 0 to 10"),
        ({"scores": SIXES | {"wonder": -1}}, "wonder is -1"),
        ({"scores": SIXES | {"wonder": 6.5}}, "wonder is 6.5"),
        ({"scores": SIXES | {"wonder": True}}, "wonder is True"),
        ({"scores": SIXES | {"wonder": "6"}}, "wonder is '6'"),
        ({"scores": SIXES | {"wonder": None}}, "wonder has no score"),
        ({"scores": SIXES | {"wunder": 6}}, "'wunder' is no dimension of uplifting/v4"),
        ({"scores": [6] * 8}, "`scores` is no object"),
        ({"scores": SIXES, "note": 5}, "a note is a text"),
        ({"scores": SIXES, "note": "x" * 4_001}, "at most 4,000 characters, not 4,001"),
        ({"scores": SIXES, "status": "refused"}, "it has scores, though"),
        ({"scores": SIXES, "status": "done"}, "`status` is 'done'"),
        ({"scores": SIXES, "reviewer": "x" * 1_000_000}, "at most 80 characters"),
        ({"scores": SIXES, "reviewer": "a\u202eb"}, "all of them visible"),
        ({"scores": SIXES, "reviewer": " "}, "nobody is named"),
        ({"scores": SIXES, "reviewer": 5}, "a reviewer's name is a text"),
        ({"scores": SIXES, "filter": "sustainability"}, "of the filter 'sustainability'"),
        ({"scores": SIXES, "label_hash": "sha256:" + "0" * 64}, "mean something else"),
        ({"scores": SIXES, "content_hash": "sha256:xyz"}, "no `content_hash`"),
    ],
)
def test_a_line_that_is_no_review_is_named(fields: dict[str, Any], complaint: str) -> None:
    """With its number and what is wrong; nothing is rounded, cut or guessed."""
    line = {"reviewer": "ann"} | LINES[0] | fields
    found = read_reviews(jsonl(LINES[1], b"", line), FILTER, None)
    (error,) = found.errors
    assert error.startswith("line 3: ")
    assert complaint in error
    assert len(error) < 400


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (json.dumps(LINES[0] | {"scores": SIXES}).replace('"wonder": 6', '"wonder": NaN'), "NaN"),
        (json.dumps(LINES[0] | {"scores": SIXES}).replace('"wonder": 6', '"wonder": 1e999'), "inf"),
        (
            json.dumps(LINES[0] | {"scores": SIXES}).replace('"wonder": 6', '"agency": 9'),
            "'agency' stands twice",
        ),
        ("[" * 100_000, "nested"),
        ('{"scores"', "not JSON"),
        ("5", "not a JSON object"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_line_of_junk_is_named(line: str | bytes, complaint: str) -> None:
    """Whatever the parser would have made of it."""
    raw = line if isinstance(line, bytes) else line.encode()
    found = read_reviews(jsonl(LINES[1], raw), FILTER, "ann")
    (error,) = found.errors
    assert error.startswith("line 2: ")
    assert complaint in error


def test_label_studios_numbers_ratings_and_choices_are_scores() -> None:
    """Notes are joined; who annotated is an address, or a number; what was skipped is refused."""
    mixed = [result(name, "number", 6) for name in NAMES[2:]]
    mixed += [
        result(NAMES[0], "rating", 4),
        result(NAMES[1], "choices", ["10"]),
        result("note", "textarea", None) | {"value": {"text": ["so", "and so"]}},
        result("topic", "choices", ["economy"]),  # another control of the project's
    ]
    found = read_reviews(
        exported(
            annotation(result=mixed, completed_by={"id": 3, "email": "ann@example.org"}),
            annotation(completed_by=5),
            annotation(result=[], was_cancelled=True, completed_by=6),
        ),
        FILTER,
        None,
    )
    assert found.errors == []
    assert [item.reviewer for item in found.reviews] == [
        "ann@example.org",
        "label-studio-5",
        "label-studio-6",
    ]
    assert found.reviews[0].judgement == (
        {**SIXES, NAMES[0]: 4, NAMES[1]: 10},
        "so\nand so",
    )
    assert found.reviews[2].judgement == (None, None)


@pytest.mark.parametrize(
    ("content_", "complaint"),
    [
        (exported(annotation(result=[])), "agency has no score"),
        (exported(annotation(result(NAMES[0], "number", 3))), "agency has two scores"),
        (
            exported(annotation(result=[result(n, "number", 6.5) for n in NAMES])),
            "agency is 6.5, not a whole",
        ),
        (
            exported(annotation(result=[result(n, "choices", ["1", "2"]) for n in NAMES])),
            "agency is neither a number, a rating nor one choice",
        ),
        (
            exported(annotation(result=[result(n, "choices", ["eleven"]) for n in NAMES])),
            "agency is 'eleven'",
        ),
        (exported(annotation(result=[result(n, "rating", YES) for n in NAMES])), "agency is True"),
        (exported(annotation(result=None)), "no list `result`"),
        (exported(annotation(result=["x"])), "a result is no object"),
        (exported("x"), "an annotation is no object"),
        (exported(annotation(completed_by=None)), "does not say who reviewed"),
        (b'[{"id": 1, "agency": 7, "annotator": 1}]', "not as JSON-MIN"),
        (json.dumps([{"data": DATA[0]}]).encode(), "no list of `annotations`"),
        (b"[5]", "not an object"),
    ],
)
def test_a_task_that_is_no_review_is_named(content_: bytes, complaint: str) -> None:
    """With its number in the file."""
    (error,) = read_reviews(content_, FILTER, None).errors
    assert error.startswith("task 1: ")
    assert complaint in error


def test_an_export_that_is_cut_off_is_named() -> None:
    """As a whole: it has no tasks."""
    (error,) = read_reviews(exported(annotation())[:-9], FILTER, None).errors
    assert error.startswith("the file: not JSON")


def test_a_file_by_somebody_else_is_not_taken() -> None:
    """Than the one that is named."""
    (error,) = read_reviews(exported(annotation(completed_by=5)), FILTER, "ann").errors
    assert "it is by 'label-studio-5', and not by 'ann'" in error


def test_an_unreviewed_task_counts_as_such() -> None:
    """Without annotations."""
    assert read_reviews(exported(), FILTER, None) == ([], 1, [])


@pytest.mark.parametrize("text", EVIL)
def test_a_name_with_invisible_characters_is_none(text: str) -> None:
    """It could pass for somebody else's."""
    with pytest.raises(InvalidReview):
        reviewer_name("ann" + text + "\u200b")


def test_each_person_is_an_oracle_of_its_own() -> None:
    """The key's name begins with `human/` and the person; another prompt is another key."""
    ann, bob = reviewer_key(FILTER, reviewer_name(" ann  lee ")), reviewer_key(FILTER, "bob")
    assert ann.name.startswith("human/ann lee//")
    assert ann.name != bob.name
    other = type(FILTER)(FILTER.definition, FILTER.prompt + " More.", FILTER.folder)
    assert reviewer_key(other, "bob").name != bob.name
