"""`newsieve drift status`: as a table, as JSON and as a page. tests/e2e asks a real broker."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import time

import pytest

from newsieve.programs.drift.current_state import MonitorGroup
from tests.support.drift_records import DAY, MINUTE, sampling
from tests.support.drift_status import AT_WORK, Commands, articles, drifting, labels
from tests.support.html_page import pairs_of


def test_the_worst_comes_first_and_each_card_says_what_its_alert_says(commands: Commands) -> None:
    """Headline, cause, action and command, in the page as in JSON and below the table; quiet ones
    last."""
    commands.monitor(drifting(commands))
    alerts = {item["scope"]: item for item in commands.scene.topics.alerts()}

    page, rows, table = commands.page(), commands.rows(), commands.status().text

    cards = [card for card in page.all("section", "card") if card.all("p", "headline")]
    titles = [card.all("h3")[0].text for card in cards]
    assert titles == [
        "uplifting/v4, canaries alert",
        "uplifting/v4, low articles alert",
        "uplifting/v4, surfaced articles ok",
    ]
    assert list(rows) == ["canaries", "low", "surfaced"]
    assert re.findall(r"(?m)^uplifting +(\w+)", table) == ["canaries", "low", "surfaced"]
    for card, stratum, scope in zip(cards, rows, ("all", "low", "surfaced"), strict=True):
        said, row = dict(pairs_of(card)), rows[stratum]
        assert (
            said["See it again"] == row["action"]["command"] == alerts[scope]["action"]["command"]
        )
        assert row["action"]["text"] in said["What to do"]
        assert row["action"]["runbook"] in said["What to do"]
        assert card.all("p", "headline")[0].text == f"{row['headline']}."
        assert (f"{row['headline']}." in table) == (stratum != "surfaced")
        if stratum != "surfaced":
            assert (
                row["action"] == alerts[scope]["action"] and row["cause"] in alerts[scope]["cause"]
            )
            assert said["Cause"] == alerts[scope]["cause"].replace("_", " ").replace(
                "unknown", "not known"
            )
            assert said["Decide with"] == "newsieve drift acknowledge --filter uplifting"
            assert row["action"]["command"] in table
    assert rows["low"]["headline"].startswith("MAE on low articles rose from")
    assert "Nothing unusual on surfaced articles" in rows["surfaced"]["headline"]


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        (AT_WORK, "A monitor of group watchers is at work."),
        (MonitorGroup("watchers", at_work=True, standing_by=2), "is at work; 2 more stand by."),
        (MonitorGroup("watchers", at_work=False, standing_by=0), "No monitor of group watchers is"),
        (MonitorGroup("watchers", at_work=False, standing_by=1), "1 of it is about to take over"),
        (MonitorGroup("watchers", None, 0, "no right to DESCRIBE it"), "is not known: no right to"),
    ],
)
def test_all_three_say_when_the_state_was_written_and_whether_a_monitor_is_at_work(
    commands: Commands, group: MonitorGroup, sentence: str
) -> None:
    """Each monitor's own time, too."""
    commands.monitor(list(labels(commands, 40)))
    commands.group = group

    table, page, rows = commands.status().text, commands.page(), commands.rows()

    (notice,) = page.all("p", "notice")
    for text in (" ".join(table.split()), notice.text):
        assert re.search(r"State last written 20..-..-.. ..:..:.. UTC, 4 min ago\. ", text)
        assert sentence in text
    for row in rows.values():
        assert time.time() - _seconds(row["written_at"]) == pytest.approx(240, abs=60)
        assert row["monitor"] == {
            "group": "watchers",
            "at_work": group.at_work,
            "standing_by": group.standing_by,
            "why_not_known": group.why_not_known or None,
        }
    (card,) = (card for card in page.all("section", "card") if "low articles" in card.text)
    assert re.search(r"state written 20..-..-.. ..:..:.. UTC, 4 min ago", card.text)


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("group", "what"),
    [
        (AT_WORK, "nothing has come to read"),
        (MonitorGroup("watchers", at_work=False, standing_by=0), "start newsieve drift"),
    ],
)
def test_without_any_state_all_three_say_so_and_what_to_do(
    commands: Commands, group: MonitorGroup, what: str
) -> None:
    """Not an empty table, list or page."""
    commands.group = group

    said = [commands.status().text, commands.rows()[None]["advice"], commands.page().text]

    for text in said:
        assert "no state on record" in text and what in " ".join(text.replace("`", "").split())
    assert commands.rows()[None]["state"] is None


def test_before_the_first_label_articles_alone_are_shown(commands: Commands) -> None:
    """And what is missing."""
    commands.monitor(list(articles(commands, 40)))

    assert "no label has come yet" in commands.page().text
    assert commands.rows()[None]["written_at"] is not None


def test_no_rate_of_labels_is_made_of_a_burst(commands: Commands) -> None:
    """How many came within what time is said instead; of a day's labels there is a rate."""
    commands.monitor(list(labels(commands, 60, step=3_000)))

    burst = commands.rows()["low"]
    assert burst["labels_a_day"] is None
    assert re.fullmatch(r"label rate not known yet: \d\d labels within 3 min", burst["advice"])
    assert "labels a day" not in commands.status().text + commands.page().text

    slow = list(labels(commands, 100, step=20 * MINUTE))
    commands.monitor([item.__class__(item.topic, f"b{item.key}", item.value, item.at + DAY)
                    for item in slow])  # fmt: skip
    steady = commands.rows()["low"]
    assert 20 < steady["labels_a_day"] < 48
    assert re.fullmatch(
        r"\d\d labels a day: within a day no rise of the error below \+0.5 is found; "
        r"\+0.2 takes \d+\.\d days",
        steady["advice"],
    )


def test_labels_of_suspect_articles_have_a_row_without_a_state(commands: Commands) -> None:
    """Counted, with their error, beside the monitors, in the table, as JSON and on the page."""
    plain = list(labels(commands, 40))
    apart = sampling("suspect")
    given = list(labels(commands, 30, sampling=apart, suspect=["instruction"]))
    renamed = [dataclasses.replace(item, key=f"s-{item.key}") for item in given]
    commands.monitor([*plain, *renamed])

    rows, table, page = commands.rows(), commands.status().text, commands.page()

    row = rows["suspect"]
    assert (row["state"], row["labels"], row["failures"]) == (None, 30, 0)
    assert 0 < row["error"]["low"] < row["error"]["estimate"] < row["error"]["high"]
    assert sum(rows[stratum]["labels"] for stratum in ("low", "surfaced")) == 40
    assert re.search(r"(?m)^uplifting +suspect .*30 .*never tested", table)
    assert "30 labels of suspect articles, MAE" in page.text
