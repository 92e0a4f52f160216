"""`newsieve drift replay`: transitions from a file of labels, as the formulas say."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from newsieve_schemas.drift import DriftReplayError, DriftReplayLine
from newsieve_schemas.export import json_schema
from tests.support.drift import (
    PAIRS,
    ROOT,
    as_it_is,
    draws,
    errors_times,
    first,
    history,
    lines,
    moved,
    plain_evidence,
    replay,
    replayed,
    tier_of,
)

WORSE = errors_times(1.5)


@pytest.mark.parametrize(
    ("seed", "change"),
    [(1, errors_times(1.5)), (2, moved(0.6)), (3, errors_times(1.6, "wonder")), (4, as_it_is)],
)
def test_levels_are_reached_where_the_formulas_say(seed: int, change: Any) -> None:
    """Pending, warning and alert on the very labels on which the bank, written out in plain
    Python, reaches 200, 2,000 and 10,000; with inclusion probabilities of all sizes."""
    rng = random.Random(seed)
    rows = history(seed, (100, as_it_is), (300, change), reference=150)
    for row in rows:
        row["pi"] = rng.choice([0.02, 0.05, 0.3, 1])
    reference, monitored = rows[:150], rows[150:]
    evidence = list(plain_evidence(reference, monitored))

    done = replay(rows)

    printed = [row for row in done.rows() if row["state"] in ("pending", "warning", "alert")]
    for row in printed[:3]:
        index = row["line"] - 150
        assert row["evidence"]["value"] == pytest.approx(evidence[index], rel=1e-9)
    for state, threshold in (("warning", 2_000), ("alert", 10_000)):
        reached = next((at for at, value in enumerate(evidence) if value >= threshold), None)
        found = next((row["line"] - 150 for row in printed if row["state"] == state), None)
        if state == "warning" and reached is not None and evidence[reached] >= 10_000:
            continue  # straight to the alert
        assert found == reached


def test_an_alert_explains_itself() -> None:
    """A sentence with numbers, streams by share, onset, examples, what to do, how to see it."""
    rows = history(5, (300, as_it_is), (400, errors_times(1.7, "wonder")), student_version="s1")
    for at, row in enumerate(rows):
        row["id"] = f"article-{at}"

    done = replay(rows)

    alert = first(done, "alert")
    assert done.code == 0
    assert alert["filter"] == "uplifting" and alert["student_version"] == "s1"
    assert alert["stratum"] == "x" and alert["cause"] == "unknown"
    assert alert["evidence"]["value"] >= alert["evidence"]["threshold"] == 10_000
    assert alert["streams"][0]["name"] == "abs:wonder"
    shares = [stream["share"] for stream in alert["streams"]]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.5
    assert alert["streams"][0]["baseline"] < alert["streams"][0]["interval"][0]
    low, high = alert["onset"]
    assert 760 <= low <= high <= alert["line"]
    assert "wonder" in alert["headline"] and "on x articles" in alert["headline"]
    assert set(alert["example_article_ids"]) <= {f"article-{n}" for n in range(800, 1_200)}
    assert alert["action"]["command"] == "newsieve drift replay - --filter uplifting"


def test_every_line_is_what_its_schema_says() -> None:
    """Transitions and errors; strictly, with all of their fields."""
    rows = lines(history(6, (100, as_it_is), (150, WORSE), (400, as_it_is))) + b"{}\n"

    done = replay(rows)

    printed = done.rows()
    assert {"alert", "recovering", "resolved", "ok"} <= {row.get("state") for row in printed}
    for row in printed[:-1]:
        DriftReplayLine.model_validate(row)
        jsonschema.validate(row, json_schema(DriftReplayLine))
    DriftReplayError.model_validate(printed[-1])


def test_an_incident_latches_until_it_is_resolved() -> None:
    """However long the drift lasts there is one alert; the next one comes after `resolved`, and
    each step goes on from the last."""
    rows = history(7, (50, as_it_is), (3_000, WORSE), (600, as_it_is), (200, WORSE))

    found = replay(rows).rows()

    alerts = [row["line"] for row in found if row["state"] == "alert"]
    resolved = [row["line"] for row in found if row["state"] == "resolved"]
    assert len(alerts) == 2 and alerts[0] < 700 and alerts[1] > 4_150
    assert len(resolved) == 1 and 3_550 < resolved[0] < 4_150
    previous = "warming"
    for row in found:
        assert row["previous_state"] == previous != row["state"]
        previous = row["state"]
    incidents = {row["incident_id"] for row in found if row["line"] in (*alerts, *resolved)}
    assert len(incidents) == 2


def test_an_article_counts_once_for_a_student_and_an_oracle() -> None:
    """Redelivered or scored again, in whatever stratum; lines without an id are never the same."""
    rows = history(8, (400, WORSE), reference=200)
    for at, row in enumerate(rows):
        row["id"] = at
    plain = replay(rows)
    again = [rows[0]] + [copy for row in rows for copy in (row, {**row, "stratum": "y"}, row)]

    done = replay(again)
    nameless = replay([{k: v for k, v in row.items() if k != "id"} for row in again])

    assert replayed(done) == replayed(plain)
    values = [row["evidence"]["value"] for row in done.rows()]
    assert values == [row["evidence"]["value"] for row in plain.rows()]
    assert first(nameless, "alert")["labels"] > first(plain, "alert")["labels"]


def test_another_students_or_oracles_label_of_an_article_is_another_label() -> None:
    """The id alone does not make a duplicate."""
    base = {**PAIRS[0], "id": "a", "stratum": "x"}
    rows = [
        {**base, "purpose": "reference", "student_version": "1"},
        {**base, "purpose": "reference", "student_version": "2"},
        {**base, "id": "b", "student_version": "1"},
        {**base, "id": "b", "student_version": "2"},
        {**base, "id": "b", "student_version": "2", "oracle_key": "other"},
    ]

    found = replay(rows).rows()

    assert [(row["line"], row["state"]) for row in found] == [
        (2, "ok"),
        (3, "ok"),
        (4, "suspended"),
    ]


def test_another_oracle_suspends_on_its_first_label() -> None:
    """Nothing is tested in that monitor from then on; other monitors go on."""
    rows = history(9, (100, as_it_is), oracle_key="a")
    rows += draws(1, 500, moved(3), stratum="x", oracle_key="b")
    rows += draws(2, 500, moved(3), stratum="x", oracle_key="a")
    other = history(10, (100, as_it_is), (100, moved(3)), oracle_key="a", student_version="2")

    done = replay(rows + other)

    mine = [row for row in done.rows() if row["student_version"] == ""]
    assert [row["state"] for row in mine if row["state"] != "pending"][-1] == "suspended"
    assert mine[-1]["line"] == 600 and "b instead of a" in mine[-1]["headline"]
    assert "alert" in [row["state"] for row in done.rows() if row["student_version"] == "2"]


def test_labels_without_a_reference_are_not_tested() -> None:
    """The monitor stays warming, which is no transition; a note says so."""
    done = replay(draws(1, 300, moved(5)))

    assert (done.code, done.out) == (0, b"")
    assert "300 labels have no baseline" in done.err


def test_reference_rows_count_only_before_the_first_label() -> None:
    """Re-baselining is nobody's accident; late rows are named on standard error."""
    rows = history(11, (50, as_it_is), (200, WORSE))
    late = rows[:600] + draws(3, 500, moved(4), purpose="reference", stratum="x") + rows[600:]

    done = replay(late)

    values = [row["evidence"]["value"] for row in done.rows()]
    assert values == [row["evidence"]["value"] for row in replay(rows).rows()]
    assert "500 reference rows were not used" in done.err


@pytest.mark.parametrize("purpose", ["training", "anchor", "whatever"])
def test_other_purposes_are_no_labels(purpose: str) -> None:
    """Not tested, not remembered, and no bad lines."""
    rows = history(12, (100, as_it_is))
    other = draws(4, 300, moved(5), purpose=purpose, stratum="x")
    for at, row in enumerate(rows):
        row["id"] = at
    for at, row in enumerate(other):
        row["id"] = 500 + at

    done = replay(rows[:500] + other + rows[500:])

    assert done.code == 0 and "300 lines" in done.err if purpose != "anchor" else done.code == 0
    assert replayed(done) == replayed(replay(rows))


def test_the_stratum_is_the_students_own_tiers_unless_given() -> None:
    """Low, or surfaced where the tier is published; any given name wins."""
    rows = [{**pair, "purpose": "reference"} for pair in PAIRS] + list(PAIRS[:60])
    surfaced = {tier_of(pair["student"]) != "not_uplifting" for pair in PAIRS[:60]}
    assert surfaced == {True, False}

    done = replay([*rows, {**PAIRS[0], "stratum": "", "purpose": "reference"},
                   {**PAIRS[0], "stratum": ""}])  # fmt: skip

    begun = {
        row["stratum"]: row["line"] for row in done.rows() if row["previous_state"] == "warming"
    }
    assert set(begun) == {"low", "surfaced", ""}
    for name in ("low", "surfaced"):
        tier = tier_of(PAIRS[begun[name] - len(PAIRS)]["student"])
        assert (tier != "not_uplifting") == (name == "surfaced")


def test_monitors_are_independent_and_may_interleave() -> None:
    """Each (student version, stratum) by itself, in whatever order the file mixes them."""
    parts = [
        history(20 + n, (150, as_it_is), (150, WORSE if n % 2 else as_it_is), reference=100,
                student_version=f"v{n % 3}", stratum=f"s{n % 2}")
        for n in range(6)
    ]  # fmt: skip
    alone = [[(r["state"], r["evidence"]["value"]) for r in replay(part).rows()] for part in parts]
    mixed = [row for group in zip(*parts, strict=True) for row in group]

    done = replay(mixed).rows()

    for part, expected in zip(parts, alone, strict=True):
        who = (part[0]["student_version"], part[0]["stratum"])
        mine = [r for r in done if (r["student_version"], r["stratum"]) == who]
        assert [(r["state"], r["evidence"]["value"]) for r in mine] == expected


MEASURE = """
import json, resource, sys
from newsieve.cli import main
try:
    main()
finally:
    assert not {"torch", "transformers"} & set(sys.modules)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
"""
MONITORS = 1_500


def measured(file: Path) -> tuple[float, int]:
    """CPU seconds and peak KiB of a replay in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "drift", "replay", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, peak = done.stderr.split()[-2:]
    return float(seconds), int(peak)


def test_thousands_of_monitors_one_after_another_cost_time_and_no_memory(tmp_path: Path) -> None:
    """At least 5,000 labels a second, start included, and finished monitors are put away. Torch is
    not imported."""
    rows = [json.dumps(row)[1:-1] for row in draws(1, 30)]

    def write(name: str, monitors: int) -> Path:
        file = tmp_path / name
        with file.open("w") as out:
            for n in range(monitors):
                for at, row in enumerate(rows):
                    purpose = "reference" if at < 15 else "monitor"
                    out.write(f'{{"student_version":"{n}","stratum":"x","id":"{n}-{at}",'
                              f'"purpose":"{purpose}",{row}}}\n')  # fmt: skip
        return file

    _, small = measured(write("few.jsonl", 100))
    seconds, large = measured(write("many.jsonl", MONITORS))

    assert large - small < 20_000
    assert MONITORS * len(rows) / seconds > 5_000
