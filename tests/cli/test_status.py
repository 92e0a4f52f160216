"""`newsieve drift status`: as a table, as JSON and as a page. tests/e2e asks a real broker."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Result, newsieve
from tests.support.drift import PAIRS, errors_times
from tests.support.drift_records import (
    DAY,
    MINUTE,
    START,
    Given,
    canaries,
    hash_of,
    label,
    scored,
    stratum_of,
    student_folder,
)
from tests.support.drift_scene import DriftScene
from tests.support.page import Element, pairs_of, read_page
from worker.assemble.standing import MonitorGroup
from worker.cli.page import STYLE

AT_WORK = MonitorGroup("watchers", at_work=True, standing_by=0)
MINUTES_AGO = 4
ACCEPTED, OTHER = "<b>001</b>", "<script>alert(1)</script>&"
WORSE = errors_times(2.5)


class Commands:
    """`newsieve drift status` over what a monitor has put on record."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.group = AT_WORK
        self.folder = folder
        self.scene = DriftScene(monkeypatch, folder / "student", worker__filters="uplifting")
        monkeypatch.setattr("worker.cli.status.on_record", lambda *_: self._record())
        monkeypatch.setattr("worker.cli.status.monitor_group", lambda _: self.group)

    def _record(self) -> Any:
        return self.scene.on_record(time.time_ns() // 1_000_000 - MINUTES_AGO * MINUTE)

    def watch(self, records: Sequence[Given]) -> None:
        """Let a monitor read these, shortly after the last one."""
        self.scene.topics.give(records)
        self.scene.now = max(record.at for record in records) + 10 * MINUTE
        self.scene.run()

    def status(self, *arguments: str) -> Result:
        folders = json.dumps({"uplifting": str(self.folder / "student")})
        env = {"NEWSIEVE_STUDENT__FOLDERS": folders, "NEWSIEVE_WORKER__FILTERS": "uplifting"}
        done = newsieve("drift", "status", *arguments, env=env)
        assert "Traceback" not in done.err
        return done

    def rows(self) -> dict[str | None, dict[str, Any]]:
        return {row["stratum"]: row for row in self.status("--json").json()}

    def page(self) -> Element:
        target = self.folder / "drift.html"
        assert self.status("--html", str(target)).code == 0
        return read_page(target.read_text(encoding="utf-8"))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    student_folder(tmp_path / "student")
    return Commands(monkeypatch, tmp_path)


def labels(commands: Commands, count: int, step: int = MINUTE, **facts: Any) -> Iterator[Given]:
    """Of healthy articles."""
    name, rng = hash_of(commands.folder / "student"), random.Random(1)
    for n in range(count):
        yield label(f"a{n}", rng.choice(PAIRS), START + n * step, name, **facts)


def drifting(commands: Commands) -> list[Given]:
    """Low ones drift, surfaced ones do not, and canaries have moved."""
    name, rng = hash_of(commands.folder / "student"), random.Random(2)
    found = []
    for n in range(300):
        pair = rng.choice(PAIRS)
        worse = WORSE(pair)
        is_low = stratum_of(pair) == stratum_of(worse) == "low"
        found.append(label(f"a{n}", worse if is_low else pair, START + n * MINUTE, name))
    return [*found, canaries(START + 300 * MINUTE, passed=False, student=name)]


def articles(commands: Commands, count: int) -> Iterator[Given]:
    """Every half a minute."""
    name = hash_of(commands.folder / "student")
    for n in range(count):
        scores = {k: min(max(v, 0.0), 10.0) for k, v in PAIRS[n % 50]["student"].items()}
        yield scored(f"s{n}", scores, START + n * MINUTE // 2, name)


def test_the_worst_comes_first_and_each_card_says_what_its_alert_says(commands: Commands) -> None:
    """Headline, cause, action and command, in the page as in JSON and below the table; quiet ones
    last."""
    commands.watch(drifting(commands))
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
    commands.watch(list(labels(commands, 40)))
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
    commands.watch(list(articles(commands, 40)))

    assert "no label has come yet" in commands.page().text
    assert commands.rows()[None]["written_at"] is not None


def test_shares_of_tiers_are_compared_once_a_first_day_is_over(commands: Commands) -> None:
    """Before that there is no share that was usual: no bar of it, and no 0 %."""
    commands.watch(list(articles(commands, 400)))
    early = _tiers(commands.page())
    assert early.all("rect", "bar") and early.all("rect", "usual") == []
    assert "0 %" not in re.sub(r"\d0 %", "", early.text)
    assert "first day, to compare with, is not over yet" in early.text

    commands.watch(list(articles(commands, 3_600))[400:])

    later = _tiers(commands.page())
    assert later.all("rect", "usual") and "on the first day" in later.text


def _tiers(page: Element) -> Element:
    (card,) = (card for card in page.all("section", "card") if "Shares of tiers" in card.text)
    return card


def test_no_rate_of_labels_is_made_of_a_burst(commands: Commands) -> None:
    """How many came within what time is said instead; of a day's labels there is a rate."""
    commands.watch(list(labels(commands, 60, step=3_000)))

    burst = commands.rows()["low"]
    assert burst["labels_a_day"] is None
    assert re.fullmatch(r"label rate not known yet: \d\d labels within 3 min", burst["advice"])
    assert "labels a day" not in commands.status().text + commands.page().text

    slow = list(labels(commands, 100, step=20 * MINUTE))
    commands.watch([item.__class__(item.topic, f"b{item.key}", item.value, item.at + DAY)
                    for item in slow])  # fmt: skip
    assert 20 < commands.rows()["low"]["labels_a_day"] < 100


def test_what_an_oracle_calls_itself_is_text_in_the_page(commands: Commands) -> None:
    """Also where it looks like markup; and nothing is loaded or run."""
    commands.watch([
        *labels(commands, 30, version=ACCEPTED),
        *(item for n, item in enumerate(labels(commands, 60, version=OTHER)) if n >= 30),
    ])  # fmt: skip

    page = commands.page()

    assert {row["state"] for row in commands.rows().values()} == {"suspended"}
    assert OTHER in page.text and ACCEPTED in page.text and page.all("b") == []
    loading = {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert {item.tag for item in page.below()}.isdisjoint(loading)
    assert not any(name in ("src", "style") or name.startswith("on")
                   for item in page.below() for name in item.attributes)  # fmt: skip
    assert "url(" not in STYLE and "@import" not in STYLE
    for card in page.all("section", "card"):
        commands_said = [text for term, text in pairs_of(card) if term == "Decide with"]
        assert commands_said == [
            f"newsieve drift {kind} --filter uplifting"
            for kind in ("accept-oracle", "reject-oracle")
        ]


def test_a_page_is_replaced_whole_or_not_at_all(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk is full the former one stays, and nothing lies beside it."""
    target = commands.folder / "drift.html"
    target.write_text("the former one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("worker.cli.status.os.replace", full)
        failed = commands.status("--html", str(target))
    assert failed.code == 2 and "No space left" in failed.err
    assert target.read_text() == "the former one"
    assert {item.name for item in commands.folder.iterdir()} == {"student", "drift.html"}

    assert commands.status("--html", str(target)).code == 0
    assert "Student and oracle" in target.read_text()


def test_a_page_can_go_into_a_pipe(commands: Commands) -> None:
    """Which stays one."""
    pipe, found = commands.folder / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()

    assert commands.status("--html", str(pipe)).code == 0

    reader.join(10)
    assert "Student and oracle" in found[0] and pipe.is_fifo()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: str) -> None:
    """By the ratio of 4.5 that accessibility guidelines ask for, in both schemes."""
    light, _, dark = STYLE.partition("@media")
    colours = dict(re.findall(r"--(\w+): (#\w+)", light if scheme == "light" else dark))

    for behind in ("back", "card"):
        for name in ("ink", "soft", "blue", "red", "amber", "green"):
            assert _contrast(colours[name], colours[behind]) >= 4.5, (name, behind)


def _contrast(one: str, other: str) -> float:
    lights = sorted(map(_luminance, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
