"""Filters as data: the shipped ones say what they should, and broken ones are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from newsieve.errors import FilterInvalid, UnknownFilter
from newsieve.filters.registry import BUILTIN_FOLDER, Filter, FilterRegistry, load_folder
from tests.support.filters import load

Edit = Callable[[str], str]


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, Edit], Path]:
    """A copy of a shipped filter with its filter.toml edited."""

    def edit(reference: str, change: Edit) -> Path:
        folder = tmp_path / "filters" / reference
        shutil.copytree(
            BUILTIN_FOLDER / reference, folder, ignore=shutil.ignore_patterns("student")
        )
        path = folder / "filter.toml"
        path.write_text(change(path.read_text()))
        return folder

    return edit


def test_uplifting_is_as_defined(uplifting: Filter) -> None:
    """Weights, order and published tiers."""
    definition = uplifting.definition

    assert [(d.name, d.weight) for d in definition.dimensions] == [
        ("agency", 0.14),
        ("progress", 0.19),
        ("collective_benefit", 0.38),
        ("connection", 0.10),
        ("innovation", 0.08),
        ("justice", 0.03),
        ("resilience", 0.03),
        ("wonder", 0.05),
    ]
    assert definition.published_tiers == ("impact", "connection")
    assert [(cap.rule, cap.limit) for cap in definition.caps] == [
        ("corporate_finance", 2.0),
        ("military_security", 4.0),
        ("business_news", 4.0),
    ]


def test_investment_risk_is_as_defined(investment_risk: Filter) -> None:
    """Eight dimensions, two of which only gate; rules in order, all blocking."""
    definition = investment_risk.definition

    weights = [d.weight for d in definition.dimensions]
    assert weights == [0.25, 0.20, 0.15, 0.15, 0.10, 0.15, 0, 0]
    assert definition.published_tiers == ("red", "yellow", "green")
    assert all(rule.blocks for rule in definition.rules)


def test_sustainability_is_as_defined(sustainability: Filter) -> None:
    """Equal weights, no rules, no gates."""
    definition = sustainability.definition

    assert {d.weight for d in definition.dimensions} == {0.125}
    assert len(definition.dimensions) == 8
    assert not definition.rules and not definition.gates and not definition.caps


def test_a_name_means_its_highest_version(tmp_path: Path) -> None:
    """v10 comes after v9, not between v1 and v2."""
    for version in (1, 9, 10):
        folder = tmp_path / "sustainability" / f"v{version}"
        shutil.copytree(
            BUILTIN_FOLDER / "sustainability" / "v1",
            folder,
            ignore=shutil.ignore_patterns("student"),
        )
        path = folder / "filter.toml"
        path.write_text(path.read_text().replace("version = 1\n", f"version = {version}\n"))

    filters = FilterRegistry((tmp_path,))
    assert filters.references == [f"sustainability/v{n}" for n in (1, 9, 10)]
    assert filters.load("sustainability").version == "10"
    assert filters.load("sustainability/v9").version == "9"


@pytest.mark.parametrize("name", ["nope", "uplifting/v99", "", "../uplifting", "uplifting/"])
def test_an_unknown_filter_is_refused_with_the_names_there_are(name: str) -> None:
    """So that the user sees what to write."""
    with pytest.raises(UnknownFilter, match="uplifting/v4"):
        load(name)


def test_comments_and_descriptions_change_no_hash_and_rules_only_the_filters(
    edited: Callable[[str, Edit], Path], uplifting: Filter
) -> None:
    """Editing a threshold needs no new student; editing the prompt does."""
    reworded = load_folder(
        edited(
            "uplifting/v4",
            lambda text: (
                "# a remark\n"
                + text.replace("whatever the tone it is told in", "not how it is told")
            ),
        )
    )
    assert (reworded.filter_hash, reworded.label_hash) == (
        uplifting.filter_hash,
        uplifting.label_hash,
    )
    path = reworded.folder / "filter.toml"
    path.write_text(path.read_text().replace('when = "score >= 7"', 'when = "score >= 7.5"'))
    stricter = load_folder(reworded.folder)
    assert stricter.filter_hash != uplifting.filter_hash
    assert stricter.label_hash == uplifting.label_hash
    (reworded.folder / "prompt.md").write_text("Score it.")
    assert load_folder(reworded.folder).label_hash != uplifting.label_hash


def test_and_is_not_hashed_like_or(
    edited: Callable[[str, Edit], Path], investment_risk: Filter
) -> None:
    """The hash sees what a condition says."""
    changed = edited(
        "investment_risk/v2",
        lambda text: text.replace(
            "macro_risk_severity >= 7 or credit_market_stress >= 7",
            "macro_risk_severity >= 7 and credit_market_stress >= 7",
        ),
    )

    assert load_folder(changed).filter_hash != investment_risk.filter_hash


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("weight = 0.38", "weight = 0.37", "sum to 0.99"),
        ('name = "wonder"', 'name = "agency"', "agency is defined twice"),
        ('when = "score >= 7"', 'when = "score >= seven"', "expected a number"),
        ('when = "score >= 7"', 'when = "sores >= 7"', "names sores"),
        ('when = "score >= 7"\n', "", "has no condition, but is not the last"),
        ("published = true", "publishd = true", "publishd"),
        ('rule = "corporate_finance"', 'rule = "corporate"', "which does not exist"),
        ("blocks = true", "blocks = false", "must either block or be named by a cap"),
        ("limit = 3.0", "limit = 30", "less than or equal to 10"),
        ("'\\bcac 40\\b'", "'(?=x)'", "pattern"),
        ('when = "score >= 7"', 'when = {name = "score", op = "==", limit = 7.0}', "when"),
        ('when = "score >= 7"', "when = {parts = []}", "a condition is a string"),
        *(
            ('name = "wonder"', f'name = "{name}"', f"{name} cannot name a dimension")
            for name in ("average", "score", "scores", "and", "or", "not", "caps", "content_rules")
        ),
        ("version = 4", "version = 4\nx = " + "[" * 20_000, "filter.toml"),
        ("version = 4", "version = 5", "calls itself"),
        ("[[gates]]", "[[gates", "filter.toml"),
    ],
)
def test_a_broken_filter_is_refused_with_the_reason(
    edited: Callable[[str, Edit], Path], old: str, new: str, complaint: str
) -> None:
    """Nothing in a definition is silently ignored."""
    folder = edited("uplifting/v4", lambda text: text.replace(old, new, 1))

    with pytest.raises(FilterInvalid, match=complaint):
        load_folder(folder)


def test_patterns_that_are_too_large_together_are_refused(
    edited: Callable[[str, Edit], Path],
) -> None:
    """Each alone RE2 would take."""
    huge = ", ".join(rf"'{number}\pL{{1000}}'" for number in range(60))
    folder = edited("uplifting/v4", lambda text: text.replace(r"'\bcac 40\b'", huge, 1))

    with pytest.raises(
        FilterInvalid, match=r"filter\.toml: the \d+ patterns .* too large together"
    ):
        load_folder(folder)


def test_a_prompt_that_is_not_utf_8_is_named_itself(edited: Callable[[str, Edit], Path]) -> None:
    """Not the filter.toml beside it."""
    folder = edited("uplifting/v4", lambda text: text)
    (folder / "prompt.md").write_bytes(b"Score \xff")

    with pytest.raises(FilterInvalid, match=r"prompt\.md: .*utf-8"):
        load_folder(folder)
