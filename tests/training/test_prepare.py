"""prepare: what is left out, what stays together, what the manifest proves."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import label_row
from training.errors import LabelsRefused, RecipeInvalid, RunInvalid
from training.prepare import prepare
from training.recipe import Recipe, read_recipe
from training.run import Run
from worker.rules.catalogue import load

Make = Callable[..., Recipe]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [label_row(n, chance) for n in range(count)]


def split_of(run: Run) -> dict[str, str]:
    return {row["id"]: name for name in ("train", "validation", "test") for row in run.rows(name)}


def test_splits_are_disjoint_complete_and_have_their_share_of_each_tier(
    recipe: Make, labels: Path, tmp_path: Path
) -> None:
    """And the manifest counts them."""
    run, made = prepare(recipe(), [labels], tmp_path / "runs")

    assert made
    assert len(split_of(run)) == 120
    manifest = json.loads(run.path("data", "manifest.json").read_text())
    assert sum(manifest["rows"].values()) == 120
    assert all(12 <= manifest["rows"][name] <= 24 for name in ("validation", "test"))
    for name in ("train", "validation", "test"):
        assert set(manifest["tiers"][name]) == set(manifest["tiers"]["train"])


def test_the_same_inputs_are_the_same_run_and_other_ones_another(
    recipe: Make, labels: Path, tmp_path: Path
) -> None:
    """Nothing is done twice; the split does not change."""
    first, _ = prepare(recipe(), [labels], tmp_path / "runs")
    again, made = prepare(recipe(), [labels], tmp_path / "runs")
    other, made_other = prepare(recipe(fit__epochs=1), [labels], tmp_path / "runs")

    assert (again.folder, made) == (first.folder, False)
    assert made_other and other.folder != first.folder
    assert split_of(other) == split_of(first)


@pytest.mark.parametrize(
    ("old", "new"),
    [('when = "score >= 4"', 'when = "score >= 6"'), (r"'\b(share|stock) prices?\b'", "'heal'")],
)
def test_another_threshold_or_rule_is_another_run(
    recipe: Make,
    labels: Path,
    tmp_path: Path,
    edit_filter: Callable[[str, str], None],
    old: str,
    new: str,
) -> None:
    """Its tiers and content rules stand in the data, and the split goes by tiers."""
    first, _ = prepare(recipe(), [labels], tmp_path / "runs")
    edit_filter(old, new)
    other, made = prepare(recipe(), [labels], tmp_path / "runs")

    assert made and other.folder != first.folder
    assert other.facts["data"]["tiers"] != first.facts["data"]["tiers"]
    assert other.facts["filter_hash"] == load("uplifting").filter_hash


def test_duplicates_of_any_kind_stay_on_one_side(recipe: Make, tmp_path: Path) -> None:
    """Same id, same url, same text, nearly the same text."""
    originals = rows(60)
    long = " ".join(f"word{n}" for n in range(200))
    for row in originals:
        row["content"] = f"{row['id']} {row['content']} {row['id']} " + long.replace(
            "word", row["id"]
        )
    copies = []
    for number, row in enumerate(originals):
        copy = {**row, "id": f"copy-{row['id']}", "url": f"https://other.org/{number}"}
        if number % 4 == 0:
            copy |= {
                "url": row["url"] + "?utm_source=x",
                "title": "other",
                "content": f"other {number}",
            }
        elif number % 4 == 1:
            copy |= {"content": row["content"].upper() + " !"}
        elif number % 4 == 2:
            copy |= {"content": row["content"] + " and one more sentence"}
        copies.append(copy)

    run, _ = prepare(recipe(), [write(tmp_path / "l.jsonl", originals + copies)], tmp_path / "runs")

    split = split_of(run)
    apart = [row["id"] for row in originals if split[row["id"]] != split[f"copy-{row['id']}"]]
    assert apart == []
    assert run.facts["data"]["duplicate_groups"] == 60


def test_bad_rows_are_left_out_and_listed(recipe: Make, tmp_path: Path) -> None:
    """With file, line, field and reason."""
    bad = {**rows(1)[0], "oracle_scores": [{"oracle": "one", "scores": [11] + [5] * 7}]}
    path = write(tmp_path / "l.jsonl", [*rows(150), bad])
    path.write_bytes(path.read_bytes().replace(b'"id": "', b'"id": "\\ud800', 1))

    run, _ = prepare(recipe(), [path], tmp_path / "runs")

    (listed,) = run.facts["data"]["bad_rows_listed"]
    assert listed == {
        "file": "l.jsonl",
        "line": 150,
        "field": "oracle_scores[0].agency",
        "reason": "11 is outside 0-10",
    }
    assert len(split_of(run)) == 150


def test_too_many_bad_rows_are_refused(recipe: Make, tmp_path: Path) -> None:
    """More than 1 % is a broken file; nothing is written."""
    path = write(tmp_path / "l.jsonl", [*rows(50), "{", "[]", "null"])

    with pytest.raises(LabelsRefused, match="3 of 53 rows are bad"):
        prepare(recipe(), [path], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_row_nested_too_deep_is_a_bad_row(recipe: Make, tmp_path: Path) -> None:
    """As it is a dead letter of the worker's."""
    path = write(tmp_path / "l.jsonl", [*rows(150), "[" * 2_000])

    run, _ = prepare(recipe(), [path], tmp_path / "runs")

    assert run.facts["data"]["bad_rows_listed"][0]["reason"] == "nested more than 100 deep"


def test_runs_that_cannot_lie_where_they_should_are_refused(recipe: Make, labels: Path) -> None:
    """In a file, or below one."""
    for runs in (labels, Path("/dev/null/runs")):
        with pytest.raises(RunInvalid, match="cannot make the folder"):
            prepare(recipe(), [labels], runs)


def test_a_similarity_that_cannot_be_told_is_refused(
    recipe: Make, labels: Path, tmp_path: Path
) -> None:
    """0.98 is the highest that works."""
    prepare(recipe(labels__near_duplicate_similarity=0.98), [labels], tmp_path / "runs")

    with pytest.raises(ValueError, match=r"less than or equal to 0\.98"):
        recipe(labels__near_duplicate_similarity=0.99)


def test_a_recipe_nested_without_end_is_refused(tmp_path: Path) -> None:
    """With its name."""
    file = tmp_path / "recipe.toml"
    file.write_text("x = " + "[" * 20_000)

    with pytest.raises(RecipeInvalid, match=r"recipe\.toml"):
        read_recipe(file)


def test_labels_of_several_oracles_never_mix_unasked(recipe: Make, tmp_path: Path) -> None:
    """Named in the recipe they do, and an article's labels are averaged."""
    mixed = rows(40)
    for row in mixed:
        first = row["oracle_scores"][0]["scores"][0]
        row["oracle_scores"].append({"oracle": "two", "scores": [min(10, first + 2)] * 8})
    path = write(tmp_path / "l.jsonl", mixed)

    with pytest.raises(LabelsRefused, match=r"'one' \(40\), 'two' \(40\)"):
        prepare(recipe(), [path], tmp_path / "runs")
    only, _ = prepare(recipe(labels__oracles=["two"]), [path], tmp_path / "runs")
    both, _ = prepare(recipe(labels__oracles=["one", "two"]), [path], tmp_path / "runs")

    source = {row["id"]: row["oracle_scores"] for row in mixed}
    for row in only.rows("train"):
        assert row["scores"]["agency"] == source[row["id"]][1]["scores"][0]
    for row in both.rows("train"):
        pair = [label["scores"][0] for label in source[row["id"]]]
        assert row["scores"]["agency"] == sum(pair) / 2
