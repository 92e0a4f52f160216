"""prepare --extend: an earlier run's articles stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from newsieve.filters import registry, rendering
from newsieve.filters.definition import label_hash
from newsieve.filters.rendering import EARLIER_RENDERINGS
from newsieve_training.data.prepare import EARLIER
from newsieve_training.errors import LabelsRefused, RunInvalid
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.fits import manifest_of, split_of
from tests.support.labels import label_rows, write_rows

Make = Callable[..., Recipe]
Prepared = Callable[..., Run]


def test_a_run_is_extended_by_what_it_does_not_have(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """Its articles keep their split; a new label of an article that it has, or of nearly its text,
    is left out: a student that was trained on it would be judged by it."""
    rows = label_rows(100)
    first = prepared_from(recipe(), write_rows(tmp_path / "old.jsonl", rows[:60]))
    renamed = {**rows[0], "id": "another", "url": None}
    later = write_rows(tmp_path / "new.jsonl", [*rows[50:], renamed])

    second = prepared_from(recipe(), later, extends=first)

    before, after = split_of(first), split_of(second)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {row["id"] for row in rows[60:]}
    assert set(map(after.get, (row["id"] for row in rows[60:]))) == {"train", "validation", "test"}
    manifest = manifest_of(second)
    assert (manifest.kept_from_earlier_run, manifest.rows_known_to_earlier_run) == (60, 11)
    assert sum(row.get(EARLIER, False) for row in second.rows("test")) == len(first.rows("test"))


def test_a_run_of_another_kind_cannot_be_extended(
    recipe: Make, labels: Path, prepared_from: Prepared, edit_filter: Callable[[str, str], None]
) -> None:
    """Split in another way, into another number of folds, or with labels that mean something
    else."""
    first, crossed = (
        prepared_from(recipe(split__kind=kind), labels) for kind in ("holdout", "cross_validation")
    )

    with pytest.raises(RunInvalid, match="split in another way"):
        prepared_from(recipe(split__kind="cross_validation"), labels, extends=first)
    fewer = recipe(split__kind="cross_validation", split__folds=3)
    with pytest.raises(RunInvalid, match="split in another way"):
        prepared_from(fewer, labels, extends=crossed)
    edit_filter('name = "agency"', 'name = "power"')
    with pytest.raises(RunInvalid, match="mean something else"):
        prepared_from(recipe(), labels, extends=first)


@pytest.mark.parametrize(("changed", "is_extended"), [(1, True), (2, False)])
def test_a_run_of_the_earlier_rendering_is_extended_where_its_texts_are_the_same(
    recipe: Make,
    prepared_from: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: int,
    *,
    is_extended: bool,
) -> None:
    """At most one in a hundred may differ."""
    rows = label_rows(120)
    for row in rows[:changed]:
        row["content"] = f"<p>{row['content']}</p>"
    with monkeypatch.context() as patch:  # the version before read no markup
        patch.setattr(rendering, "plain_text", lambda text: text)
        patch.setattr(registry, "label_hash", partial(label_hash, rendering=EARLIER_RENDERINGS[0]))
        first = prepared_from(recipe(), write_rows(tmp_path / "old.jsonl", rows[:100]))
    assert first.state["label_hash"] in first.filter.earlier_label_hashes
    later = write_rows(tmp_path / "new.jsonl", rows[100:])

    if is_extended:
        second = prepared_from(recipe(), later, extends=first)
        assert manifest_of(second).kept_from_earlier_run == 100
    else:
        with pytest.raises(RunInvalid, match="mean something else"):
            prepared_from(recipe(), later, extends=first)


def test_another_oracles_labels_extend_a_run_only_where_both_are_named(
    recipe: Make, labels: Path, prepared_from: Prepared, tmp_path: Path
) -> None:
    """As within one run."""
    first = prepared_from(recipe(), labels)
    rows = label_rows(60, seed=9)
    for number, row in enumerate(rows):
        row |= {"id": f"b{number}", "url": None}
        row["oracle_scores"][0]["oracle"] = "two"
    later = write_rows(tmp_path / "new.jsonl", rows)

    for oracles in ([], ["two"]):
        with pytest.raises(LabelsRefused, match="labels of one, the new labels are of two"):
            prepared_from(recipe(labels__oracles=oracles), later, extends=first)
    both = prepared_from(recipe(labels__oracles=["one", "two"]), later, extends=first)
    assert set(manifest_of(both).oracles) == {"one", "two"}
