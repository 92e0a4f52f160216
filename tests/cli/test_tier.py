"""`newsieve tier`: decisions from scores alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import newsieve
from tests.support.filters import load

FIVES = dict.fromkeys(load("uplifting").definition.dimension_names, 5)


def tier(*values: Any) -> tuple[int, list[dict[str, Any]]]:
    lines = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    done = newsieve("tier", "--filter", "uplifting", stdin=b"\n".join(lines))
    assert "Traceback" not in done.err
    assert ("dead letters among the lines: " in done.err) == (done.code == 1)
    return done.code, done.rows()


def test_bare_scores_and_wrapped_ones_are_decided_alike() -> None:
    """`{"scores": …, "content_rules": …}`; `caps` is accepted for the same."""
    code, rows = tier(
        FIVES,
        {"scores": FIVES},
        {"scores": FIVES, "content_rules": ["corporate_finance"]},
        {"scores": FIVES, "caps": ["corporate_finance"], "content_rules": None},
        {"scores": FIVES, "content_rules": ["business_news"]},
    )

    assert code == 0
    assert (
        rows[0]
        == rows[1]
        == {
            "scores": dict.fromkeys(FIVES, 5.0),
            "weighted_average": 5.0,
            "score": 5.0,
            "gates": [],
            "caps": [],
            "tier": "connection",
        }
    )
    assert rows[2] == rows[3] != rows[0]
    assert (rows[2]["score"], rows[2]["caps"], rows[2]["tier"]) == (
        2.0,
        ["corporate_finance"],
        "not_uplifting",
    )
    assert (rows[4]["score"], rows[4]["tier"]) == (4.0, "connection")  # a cap is inclusive


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({**FIVES, "wonder": None}, "InvalidScore"),
        ({**FIVES, "wonder": "5"}, "InvalidScore"),
        ({**FIVES, "wonder": True}, "InvalidScore"),
        ({**FIVES, "wonder": 10.0001}, "InvalidScore"),
        ({**FIVES, "wonder": -0.1}, "InvalidScore"),
        ({**FIVES, "wonder": [5]}, "InvalidScore"),
        ({k: v for k, v in FIVES.items() if k != "wonder"}, "MissingDimension"),
        ({"scores": None}, "InvalidScore"),
        ({"scores": FIVES, "content_rules": ["corporate_finanze"]}, "InvalidContentRules"),
        ({"scores": FIVES, "content_rules": "corporate_finance"}, "InvalidContentRules"),
        ({"scores": FIVES, "caps": [1]}, "InvalidContentRules"),
        (b'{"agency": NaN}', "NonFiniteNumber"),
        (json.dumps(FIVES).replace("5}", "1e999}").encode(), "InvalidScore"),
        (json.dumps(FIVES).replace("5}", "1" + "0" * 400 + "}").encode(), "InvalidScore"),
        (b"[]", "NotAnObject"),
        (b"{", "InvalidJson"),
        (b"\xff", "NotUtf8"),
    ],
)
def test_what_is_no_set_of_scores_is_a_dead_letter_never_a_tier(value: Any, error: str) -> None:
    """Its neighbours are decided; exit 1."""
    code, rows = tier(FIVES, value, FIVES)

    assert code == 1
    assert rows[1]["outcome"] == "dead_letter"
    assert (rows[1]["line"], rows[1]["error"]) == (1, error)
    assert rows[0]["tier"] == rows[2]["tier"] == "connection"


def test_published_records_are_decided_again_to_the_same(tiny_student: Path) -> None:
    """`newsieve tier` reproduces every decision from the record alone."""
    env = {"NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(tiny_student)})}
    texts = [
        f"Share price of village number {n} rose" if n % 3 else f"Story {n}" for n in range(200)
    ]
    stdin = b"\n".join(
        json.dumps({"id": n, "title": text}).encode() for n, text in enumerate(texts)
    )
    scored = newsieve("score", stdin=stdin, env=env)
    assert scored.code == 0

    again = newsieve("tier", stdin=scored.out)

    for record, decision in zip(scored.rows(), again.rows(), strict=True):
        assert decision.pop("id") == record["article"]["id"]
        assert {name: record[name] for name in decision} == decision


def test_a_decision_has_the_id_of_its_line() -> None:
    """So that lines can be joined: the row's own, else its article's, integers as records have
    them; one without an id gets none."""
    code, rows = tier(
        {"id": "a", **FIVES},
        {"id": 20261125000000000000, "scores": FIVES},
        {"article": {"id": "b"}, "filter": "uplifting", "scores": FIVES},
        {"id": 0, "article": {"id": "c"}, "scores": FIVES},
        FIVES,
        {"id": True, "article": "d", "scores": FIVES},
    )

    assert code == 0
    assert [row.get("id") for row in rows] == ["a", "20261125000000000000", "b", "0", None, None]
    assert "id" not in rows[4]


def test_a_record_of_another_filter_is_a_dead_letter_in_its_place() -> None:
    """Its dimensions may have the same names; another version of the filter is what `tier` is
    for."""
    code, rows = tier(
        {"filter": "sustainability", "filter_version": "1", "scores": FIVES},
        {"filter": "sustainability/v1", **FIVES},
        {"filter": "uplifting", "filter_version": "3", "scores": FIVES},
        {"filter": "uplifting/v4", "scores": FIVES},
        {"filter": None, "scores": FIVES},
    )

    assert code == 1
    assert [(row["line"], row["stage"], row["error"]) for row in rows[:2]] == [
        (0, "validate", "OtherFilter"),
        (1, "validate", "OtherFilter"),
    ]
    assert "'sustainability', not of uplifting" in rows[0]["message"]
    assert [row["tier"] for row in rows[2:]] == ["connection"] * 3


def test_a_blocked_article_is_said_to_have_no_scores() -> None:
    """It is in a dump of the scored topic, too."""
    blocked = {"filter": "uplifting", "outcome": "blocked", "blocked_by": "ads", "scores": None}

    code, rows = tier(blocked)

    assert (code, rows[0]["error"]) == (1, "InvalidScore")
    assert rows[0]["message"] == "blocked by 'ads': it has no scores to decide from"


def test_a_large_input_streams(tmp_path: Path) -> None:
    """More lines than a batch, in order."""
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps({**FIVES, "wonder": n % 11}) + "\n" for n in range(2_500)))

    done = newsieve("tier", str(file))

    assert [row["scores"]["wonder"] for row in done.rows()] == [n % 11 for n in range(2_500)]
