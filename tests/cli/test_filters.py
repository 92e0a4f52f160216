"""`newsieve filters`: list, show, check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newsieve.cli.filters import ENOUGH_ARTICLES
from tests.support.cli import Result, newsieve


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


def test_check_says_how_the_articles_came_in_and_warns_of_bare_titles(tmp_path: Path) -> None:
    """By the names that the settings have: a body under another name is none."""
    facts = {"title": "A quiet day", "story": "<p>Nothing happened.</p>", "date": "one day"}
    connect = {"schema": None, "payload": {**facts, "date": "2026-11-01"}}
    lines = [json.dumps(item) for item in (facts, facts, connect)]
    lines.append(json.dumps({"op": "d", "before": facts, "after": None}))
    file = tmp_path / "articles.jsonl"
    file.write_text("\n".join(lines))
    command = ("filters", "check", "uplifting", "--articles", str(file))

    bare = newsieve(*command)
    env = {"NEWSIEVE_WORKER__FIELDS": '{"content": ["story"]}'}
    read = newsieve(*command, "--json", env=env)

    assert (bare.code, read.code) == (0, 0)
    assert "100% are a title alone, 0% are HTML, " in bare.text
    assert "67% have a date that is not understood, 33% came" in bare.text
    assert "worker.fields" in bare.err
    assert read.err == ""
    report = read.json()
    assert (report["articles"], report["bad"], report["title_only"]) == (3, 0, 0)
    assert report["with_markup"] == 1
    assert report["dates_not_understood"] == pytest.approx(2 / 3)
    assert report["envelopes"] == {"connect": pytest.approx(1 / 3)}


CLICKBAIT = '{"title": "The SECRET of a quiet day"}'
QUIET = '{"title": "A quiet day"}'


def checked(tmp_path: Path, lines: list[str], *options: str) -> Result:
    """`newsieve filters check investment_risk`, whose clickbait_title is a text rule."""
    file = tmp_path / "articles.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return newsieve("filters", "check", "investment_risk", "--articles", str(file), *options)


@pytest.mark.parametrize(("line", "rate"), [(QUIET, 0.0), (CLICKBAIT, 1.0)])
def test_a_text_rule_that_never_or_always_fires_is_a_defect(
    tmp_path: Path, line: str, rate: float
) -> None:
    """On articles enough to tell: exit 1, and said so, in JSON too."""
    done = checked(tmp_path, [line] * ENOUGH_ARTICLES, "--json")

    row = next(row for row in done.json()["rules"] if row["rule"] == "clickbait_title")
    assert done.code == 1
    assert (row["meets"], row["defect"]) == (rate, True)
    table = checked(tmp_path, [line] * ENOUGH_ARTICLES)
    assert table.code == 1
    assert f"a defect: {'always' if rate else 'never'} fires" in table.text


def test_a_rule_with_domains_is_no_defect_where_it_never_fires(tmp_path: Path) -> None:
    """A source may simply not be in the file."""
    rows = checked(tmp_path, [QUIET] * ENOUGH_ARTICLES, "--json").json()["rules"]

    assert [row["defect"] for row in rows if row["rule"] == "academic_paper"] == [False]


@pytest.mark.parametrize("line", [QUIET, CLICKBAIT], ids=["never", "always"])
def test_too_few_articles_prove_no_defect(tmp_path: Path, line: str) -> None:
    """Pointed out all the same."""
    done = checked(tmp_path, [line] * (ENOUGH_ARTICLES - 1))

    assert done.code == 0
    assert "fires too" in done.text and "defect" not in done.text


def test_a_rare_or_common_text_rule_is_no_defect(tmp_path: Path) -> None:
    """It may be meant: pointed out, exit 0."""
    titles = ("A coupon code", "Stocks to buy", "Passive income")
    lines = [json.dumps({"title": title}) for title in titles]

    done = checked(tmp_path, lines + [CLICKBAIT] * ENOUGH_ARTICLES)

    assert done.code == 0
    assert "fires too rarely" in done.text and "fires too often" in done.text


def test_check_validates_without_articles() -> None:
    """The definition alone."""
    assert "is valid" in newsieve("filters", "check", "investment_risk").text


def test_an_unknown_filter_exits_with_2_and_the_names() -> None:
    """For every command that takes one."""
    for arguments in (["show", "x"], ["check", "x"]):
        done = newsieve("filters", *arguments)
        assert done.code == 2
        assert "uplifting/v4" in done.err
