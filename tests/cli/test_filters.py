"""`newsieve filters`: list, show, check."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.cli import newsieve


def test_list_names_the_filters() -> None:
    """As a table and as JSON."""
    assert "uplifting/v4" in newsieve("filters", "list").text
    rows = newsieve("filters", "list", "--json").json()
    assert [row["filter"] for row in rows] == [
        "investment_risk/v2",
        "sustainability/v1",
        "uplifting/v4",
    ]


def test_show_says_all_that_decides() -> None:
    """Dimensions, gates, caps, tiers, rules, hashes."""
    text = newsieve("filters", "show", "uplifting").text

    for piece in (
        "collective_benefit",
        "0.38",
        "at most 3",
        "corporate_finance",
        "impact",
        "sha256:",
    ):
        assert piece in text
    definition = newsieve("filters", "show", "uplifting/v4", "--json").json()["definition"]
    assert definition["gates"][0]["limit"] == 3.0


def test_check_reports_each_rules_rate(tmp_path: Path) -> None:
    """On a file of articles, bad lines counted apart."""
    file = tmp_path / "articles.jsonl"
    lines = [json.dumps({"title": "Shares rose", "url": "https://arxiv.org/x"})] * 1
    lines += [json.dumps({"title": "A quiet day"})] * 9 + ["{"]
    file.write_text("\n".join(lines))

    done = newsieve("filters", "check", "uplifting", "--articles", str(file), "--json")

    report = done.json()
    assert (done.code, report["articles"], report["bad"]) == (0, 10, 1)
    rates = {row["rule"]: row for row in report["rules"]}
    assert rates["academic_domains"]["blocks"] == 0.1
    assert rates["corporate_finance"]["meets"] == 0.1
    assert rates["military_security"]["note"] == "fires too rarely"
    assert rates["defence_press_domains"]["note"] == ""


def test_check_validates_without_articles() -> None:
    """The definition alone."""
    assert "is valid" in newsieve("filters", "check", "investment_risk").text


def test_an_unknown_filter_exits_with_2_and_the_names() -> None:
    """For every command that takes one."""
    for arguments in (["show", "x"], ["check", "x"]):
        done = newsieve("filters", *arguments)
        assert done.code == 2
        assert "uplifting/v4" in done.err
