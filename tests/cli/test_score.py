"""`newsieve score`: the worker's own path over a file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from newsieve_schemas.dead_letter import DeadLetterLine
from newsieve_schemas.scored import ScoredArticle
from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.filters import load

Env = dict[str, str]


@pytest.fixture
def env(tiny_student: Path) -> Env:
    return {
        "NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(tiny_student)}),
        "NEWSIEVE_STUDENT__DTYPE": "fp32",
    }


LINES = [value for _, value in raw_records(150, seed=5) if b"\n" not in value]


def test_every_line_has_its_record_in_its_place(env: Env, tmp_path: Path) -> None:
    """Good ones scored, bad ones explained; exit 1 because of the bad ones; no traceback."""
    file = tmp_path / "articles.jsonl"
    file.write_bytes(b"\n".join(LINES) + b"\n")

    done = newsieve("score", str(file), env=env)

    rows = done.rows()
    assert done.code == 1
    assert "Traceback" not in done.err
    assert len(rows) == len(LINES)
    bad = sum(row["outcome"] == "dead_letter" for row in rows)
    assert bad > 0 and f"dead letters among the lines: {bad}. Each says why" in done.err
    for number, row in enumerate(rows):
        if row["outcome"] == "dead_letter":
            DeadLetterLine.model_validate(row)
            assert row["line"] == number
        else:
            ScoredArticle.model_validate_json(json.dumps(row), strict=True, extra="forbid")
            assert row["input"] == {"file": str(file), "line": number}
            assert row["dtype"] == ("fp32" if row["outcome"] == "scored" else None)


def test_blank_lines_are_skipped_but_counted_and_lines_end_at_newline_only(env: Env) -> None:
    """A form feed or a Unicode line separator ends no line."""
    stdin = '\n{"title": "a\u2028b"}\r\n  \n{"title": "c\\u0085"}'.encode()

    done = newsieve("score", stdin=stdin, env=env)

    assert done.code == 0
    assert [row["input"] for row in done.rows()] == [
        {"file": "-", "line": 1},
        {"file": "-", "line": 3},
    ]
    assert done.rows()[0]["article"]["title"] == "a\u2028b"


def test_scores_do_not_depend_on_order_batch_size_or_run(env: Env) -> None:
    """To 1e-4 in fp32; tiers equal except within 1e-4 of a threshold."""
    good = [line for line in LINES if line.startswith(b'{"id": "article')]

    def scored(lines: list[bytes], **more: str) -> dict[str, dict[str, float]]:
        done = newsieve("score", stdin=b"\n".join(lines), env={**env, **more})
        assert done.code == 0
        return {row["article"]["url"]: row for row in done.rows()}

    first = scored(good)
    for again in (scored(good), scored(good[::-1], NEWSIEVE_WORKER__BATCH_ARTICLES="7")):
        assert again.keys() == first.keys()
        for url, row in again.items():
            if row["scores"] is None:
                assert first[url]["scores"] is None
                continue
            assert row["scores"] == pytest.approx(first[url]["scores"], abs=1.01e-4)
            if row["tier"] != first[url]["tier"]:
                assert is_near_a_threshold(row)


def is_near_a_threshold(row: dict[str, Any]) -> bool:
    """Whether a score or average of uplifting stands within 1e-4 of a limit of its conditions."""
    definition = load("uplifting").definition
    conditions = [item.when for item in (*definition.gates, *definition.caps, *definition.tiers)]
    limits = (
        {
            float(number)
            for condition in conditions
            for number in re.findall(r"[<>]=? ([0-9.]+)", str(condition))
        }
        | {gate.limit for gate in definition.gates}
        | {cap.limit for cap in definition.caps}
    )
    limits |= {limit - 0.5 for limit in limits}  # where the scale is rounded to whole scores
    values = [*row["scores"].values(), row["weighted_average"], row["score"]]
    return any(abs(value - limit) <= 1.01e-4 for value in values for limit in limits)


def test_made_ids_are_the_same_on_every_run(env: Env) -> None:
    """Of the url, else of the text."""
    stdin = b'{"title": "x", "url": "https://e.org/1"}\n{"title": "y"}\n{"id": 0, "title": "z"}'

    once, again = (newsieve("score", stdin=stdin, env=env).rows() for _ in range(2))

    assert [row["article"]["id"] for row in once] == [row["article"]["id"] for row in again]
    assert once[2]["article"]["id"] == "0"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["score", "--filter", "nope"], 2, "there are: investment_risk/v2"),
        (["score", "no-such-file"], 2, "cannot read no-such-file"),
        (["score", "--filtr", "x"], 2, "No such option"),
        (["score", "--filter", "investment_risk"], 1, "newsieve-train"),
        (["score", "--config", "missing.toml"], 2, "cannot read missing.toml"),
    ],
)
def test_a_users_mistake_gets_a_sentence(
    env: Env, arguments: list[str], code: int, complaint: str
) -> None:
    """And the right exit code."""
    done = newsieve(*arguments, env=env)

    assert done.code == code
    assert complaint in done.err
    assert "Traceback" not in done.err and not done.out


def test_an_empty_input_is_no_error(env: Env) -> None:
    """Nothing in, nothing out."""
    assert newsieve("score", stdin=b"", env=env).code == 0


def test_scores_are_calibrated_before_anything_is_decided(
    tiny_student: Path, tmp_path: Path
) -> None:
    """Clamped and rounded after it, with the tier's probability; `tier` says the same from the
    record alone."""
    student = tmp_path / "student"
    shutil.copytree(tiny_student, student)
    manifest = json.loads((student / "student.json").read_text())
    names = manifest["dimensions"]
    manifest["calibration"] = {names[0]: {"raw": [0, 1], "calibrated": [6.54321, 6.54321]}}
    manifest["residuals"] = {
        "neighbours": 6,
        "averages": [5.0] * 6,
        "errors": [[delta] * 8 for delta in (-9, 0, 0, 0, 0, 0)],
    }
    (student / "student.json").write_text(json.dumps(manifest))
    settings = {
        "NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(student)}),
        "NEWSIEVE_STUDENT__DTYPE": "fp32",
    }

    scored = newsieve("score", stdin=b'{"title": "The village opened a library."}', env=settings)

    (record,) = scored.rows()
    assert record["scores"][names[0]] == 6.5432
    assert record["tier_confidence"] in (0.75, 0.88)
    decided = newsieve("tier", "--filter", "uplifting", stdin=scored.out)
    assert decided.rows()[0]["tier"] == record["tier"]
    assert decided.rows()[0]["weighted_average"] == record["weighted_average"]
