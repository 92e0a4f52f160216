"""prepare: what is left out, what stays together, what the manifest proves."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.errors import LabelsRefused, RecipeInvalid, RunInvalid
from newsieve_training.pipeline.files import hash_of
from newsieve_training.pipeline.graph import DECISIVE
from newsieve_training.pipeline.recipe import Recipe, read_recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.filters import BUILTIN
from tests.support.fits import manifest_of, split_of
from tests.support.labels import label_rows, write_rows

Make = Callable[..., Recipe]


Prepared = Callable[..., Run]


def test_splits_are_disjoint_complete_and_have_their_share_of_each_tier(
    recipe: Make, labels: Path, prepared_from: Prepared
) -> None:
    """And the manifest proves it, with hashes."""
    run = prepared_from(recipe(), labels)

    assert len(split_of(run)) == 120
    manifest = manifest_of(run)
    assert sum(manifest.rows.values()) == 120
    assert all(12 <= manifest.rows[name] <= 24 for name in ("validation", "test"))
    for name in ("train", "validation", "test"):
        assert manifest.tiers[name] == Counter(row["tier"] for row in run.rows(name))
        assert set(manifest.tiers[name]) == set(manifest.tiers["train"])
        assert manifest.hashes[name] == hash_of(run.rows(name))


def test_the_same_inputs_are_the_same_run_and_other_ones_another(
    recipe: Make, labels: Path, prepared_from: Prepared, tmp_path: Path
) -> None:
    """Nothing is done twice; the split does not change."""
    first = prepared_from(recipe(), labels)
    again, made = prepare(recipe(), [read_source(labels)], tmp_path / "runs", BUILTIN)
    other = prepared_from(recipe(fit__epochs=1), labels)

    assert (again.folder, made) == (first.folder, False)
    assert other.folder != first.folder
    assert split_of(other) == split_of(first)


def test_another_gate_is_the_same_run(
    recipe: Make, labels: Path, prepared_from: Prepared, tmp_path: Path
) -> None:
    """It decides only whether the student is shipped; the run knows the new one."""
    first = prepared_from(recipe(gate__mae=1.0), labels)
    again, made = prepare(recipe(gate__mae=2.0), [read_source(labels)], tmp_path / "runs", BUILTIN)

    assert (again.folder, made) == (first.folder, False)
    assert again.recipe.gate.mae == 2.0


@pytest.mark.parametrize(
    ("old", "new"),
    [('when = "score >= 4"', 'when = "score >= 6"'), (r"'\b(share|stock) prices?\b'", "'heal'")],
)
def test_another_threshold_or_rule_is_another_run(
    recipe: Make,
    labels: Path,
    prepared_from: Prepared,
    edit_filter: Callable[[str, str], None],
    old: str,
    new: str,
) -> None:
    """Its tiers and content rules stand in the data, and the split goes by tiers."""
    first = prepared_from(recipe(), labels)
    edit_filter(old, new)
    other = prepared_from(recipe(), labels)

    assert other.folder != first.folder
    assert manifest_of(other).tiers != manifest_of(first).tiers
    assert other.state["filter_hash"] == other.filter.filter_hash


# As the first version of newsieve split these labels: a later one must not split them anew.
SPLIT_OF_THE_FIRST_VERSION = {
    "train": "7fa52396b106630c34c04bcdf87bb553b47deefd40332b9a46287812acd17777",
    "validation": "2034a63e5d5e954ad1d4772ded4f2767cede2e6a8395ec41295e6259ea874f1b",
    "test": "6536bb9c3c2fd9e51ce8b4ffe75f652c90c9b136ad7006f1a7939106fa435f8b",
}


def test_duplicates_of_any_kind_stay_on_one_side(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """Same id, same url, same text, nearly the same text."""
    originals = label_rows(60)
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

    run = prepared_from(recipe(), write_rows(tmp_path / "l.jsonl", originals + copies))

    split = split_of(run)
    apart = [row["id"] for row in originals if split[row["id"]] != split[f"copy-{row['id']}"]]
    assert apart == []
    assert manifest_of(run).duplicate_groups == 60
    assert manifest_of(run).hashes == SPLIT_OF_THE_FIRST_VERSION


def test_parameters_that_name_an_article_tell_articles_apart(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """Tracking, order, scheme and fragment do not; what is no address says nothing."""
    rows = label_rows(80)
    for number, row in enumerate(rows):
        row["url"] = f"https://Example.org/article?id={number // 2}&lang=en"
        if number % 2:
            row["url"] = f"http://example.org/article/?lang=en&UTM_source=x&id={number // 2}#top"
    for row in rows[60:]:
        row["url"] = "n/a"

    run = prepared_from(recipe(), write_rows(tmp_path / "l.jsonl", rows))

    split = split_of(run)
    assert manifest_of(run).duplicate_groups == 30
    pairs = zip(rows[:60:2], rows[1:60:2], strict=True)
    assert all(split[a["id"]] == split[b["id"]] for a, b in pairs)


def test_the_unicode_form_of_a_text_does_not_matter(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """Composed or not, with soft hyphens: the same article."""
    rows = label_rows(60)
    for row in rows:
        row |= {
            "content": f"{row['content']} déjà été où {row['id']} élève naïve fiancé",
            "url": None,
        }
    twins = [
        {**row, "id": f"twin-{row['id']}", "content": unicodedata.normalize("NFD", row["content"])}
        for row in rows
    ]
    for twin in twins:
        twin["content"] = twin["content"].replace("na", "na\u00ad")

    run = prepared_from(recipe(), write_rows(tmp_path / "l.jsonl", rows + twins))

    split = split_of(run)
    assert all(split[row["id"]] == split[f"twin-{row['id']}"] for row in rows)


@pytest.mark.parametrize(
    "same",
    [
        {"url": "https://example.org/feed"},
        {"id": "nan"},
        {"id": "None", "url": "https://a.example"},
    ],
)
def test_an_id_or_address_of_many_texts_is_named_and_makes_no_group(
    recipe: Make, prepared_from: Prepared, tmp_path: Path, same: dict[str, str]
) -> None:
    """A feed's address, a placeholder: half of the articles would be on one side."""
    rows = label_rows(120)
    rows[:60] = [row | same for row in rows[:60]]

    run = prepared_from(recipe(), write_rows(tmp_path / "l.jsonl", rows))

    manifest = manifest_of(run)
    assert manifest.duplicate_groups == 0
    assert all(12 <= manifest.rows[name] <= 24 for name in ("validation", "test"))
    for field, value in same.items():
        kind = "address" if field == "url" else "id"
        said = [remark for remark in manifest.remarks if remark.startswith(f"the {kind} ")]
        assert len(said) == 1
        assert value.removeprefix("https://") in said[0]
        assert "60 different texts" in said[0]


def test_versions_of_an_article_stay_one_article(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """As many as one that is rewritten may have, whatever is made of its address."""
    rows = label_rows(120)
    forms = ["https://www.news.example/a/", "http://news.example:80/a", "//u@news.example/a#x"]
    for number, row in enumerate(rows[:9]):
        row["url"] = forms[number % 3]

    run = prepared_from(recipe(), write_rows(tmp_path / "l.jsonl", rows))

    split = split_of(run)
    assert len({split[row["id"]] for row in rows[:9]}) == 1
    assert manifest_of(run).remarks == []


def test_a_large_group_is_named_and_takes_no_side_over(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """Shares are of articles: it is trained on, and both other splits have theirs."""
    rows = label_rows(120)
    for number, row in enumerate(rows[:50]):
        row |= {"title": "One story", "content": "told again", "id": f"copy-{number}"}
        row["oracle_scores"] = rows[0]["oracle_scores"]

    run = prepared_from(recipe(), write_rows(tmp_path / "l.jsonl", rows))

    split, manifest = split_of(run), manifest_of(run)
    assert {split[row["id"]] for row in rows[:50]} == {"train"}
    assert all(8 <= manifest.rows[name] <= 24 for name in ("validation", "test"))
    assert [r for r in manifest.remarks if r.startswith("50 of 120 articles")] != []


def test_folds_have_as_many_articles_each_as_groups_allow(
    recipe: Make, prepared_from: Prepared, tmp_path: Path
) -> None:
    """A group of ten counts as ten."""
    rows = label_rows(150)
    for number, row in enumerate(rows[:10]):
        row |= {"title": "One story", "content": "told again", "id": f"copy-{number}"}

    run = prepared_from(
        recipe(split__kind="cross_validation"), write_rows(tmp_path / "l.jsonl", rows)
    )

    folds = Counter(row["fold"] for row in run.rows("train"))
    assert max(folds.values()) - min(folds.values()) <= 6


def test_too_few_articles_for_a_split_or_a_fold_are_refused(recipe: Make, tmp_path: Path) -> None:
    """Nothing could be chosen or judged; nothing is written."""
    path = write_rows(tmp_path / "l.jsonl", label_rows(4))

    with pytest.raises(LabelsRefused, match="too few articles: "):
        prepare(recipe(), [read_source(path)], tmp_path / "runs", BUILTIN)
    with pytest.raises(LabelsRefused, match="fold 4"):
        prepare(
            recipe(split__kind="cross_validation"), [read_source(path)], tmp_path / "runs", BUILTIN
        )
    with pytest.raises(ValueError, match="neither may be 0"):
        recipe(split__test=0.0)
    assert not (tmp_path / "runs").exists()


def test_runs_that_cannot_lie_where_they_should_are_refused(recipe: Make, labels: Path) -> None:
    """In a file, or below one."""
    for runs in (labels, Path("/dev/null/runs")):
        with pytest.raises(RunInvalid, match="cannot make the folder"):
            prepare(recipe(), [read_source(labels)], runs, BUILTIN)


def test_a_similarity_that_cannot_be_told_is_refused(
    recipe: Make, labels: Path, prepared_from: Prepared
) -> None:
    """0.98 is the highest that works."""
    prepared_from(recipe(labels__near_duplicate_similarity=0.98), labels)

    with pytest.raises(ValueError, match=r"less than or equal to 0\.98"):
        recipe(labels__near_duplicate_similarity=0.99)


def test_a_run_of_an_earlier_version_stays_good(recipe: Make) -> None:
    """It knew no labels.include_suspect: what its stages rest on must not change by that alone."""
    before = recipe(base__name="package:x").settings(*DECISIVE)
    wished = recipe(base__name="package:x", labels__include_suspect=True).settings(*DECISIVE)

    assert hash_of(before) == "740a53a021cfb93574c9dc720bbd87503c11310b32b80b259f9e7473ba0d6490"
    assert wished["labels"] == before["labels"] | {"include_suspect": True}


def test_a_recipe_nested_without_end_is_refused(tmp_path: Path) -> None:
    """With its name."""
    file = tmp_path / "recipe.toml"
    file.write_text("x = " + "[" * 20_000)

    with pytest.raises(RecipeInvalid, match=r"recipe\.toml"):
        read_recipe(file)
