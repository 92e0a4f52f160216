"""The page of `newsieve drift status --html`."""

from __future__ import annotations

import os
import re
import threading
from importlib.resources import files

import pytest

import newsieve.web
from tests.support.drift_status import Commands, articles, labels
from tests.support.html_page import Element, pairs_of

STYLE = (files(newsieve.web) / "templates" / "drift.css").read_text(encoding="utf-8")
ACCEPTED, OTHER = "<b>001</b>", "<script>alert(1)</script>&"


def test_shares_of_tiers_are_compared_once_a_first_day_is_over(commands: Commands) -> None:
    """Before that there is no share that was usual: no bar of it, and no 0 %."""
    commands.monitor(list(articles(commands, 400)))
    early = _tiers(commands.page())
    assert early.all("rect", "bar") and early.all("rect", "usual") == []
    assert "0 %" not in re.sub(r"\d0 %", "", early.text)
    assert "first day, to compare with, is not over yet" in early.text

    commands.monitor(list(articles(commands, 3_600))[400:])

    later = _tiers(commands.page())
    assert later.all("rect", "usual") and "on the first day" in later.text


def _tiers(page: Element) -> Element:
    (card,) = (card for card in page.all("section", "card") if "Shares of tiers" in card.text)
    return card


def test_what_an_oracle_calls_itself_is_text_in_the_page(commands: Commands) -> None:
    """Also where it looks like markup; and nothing is loaded or run."""
    commands.monitor([
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
        broken.setattr(os, "replace", full)
        failed = commands.status("--html", str(target))
    assert failed.code == 1 and "No space left" in failed.err
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


def test_a_few_labels_make_a_course_and_no_interval(commands: Commands) -> None:
    """The card says how many labels an interval needs."""
    commands.monitor(list(labels(commands, 20)))

    for card in commands.page().all("section", "card"):
        assert "Too few labels for an interval: 30 are needed." in card.text
        assert len(card.all("svg", "chart")) == 1


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


def test_a_monitor_that_tests_nothing_looks_like_no_healthy_one(commands: Commands) -> None:
    """It says what is missing and the command that mends it; no evidence of 0 is shown."""
    (commands.folder / "student" / "baseline.jsonl").unlink()
    commands = commands.anew()
    commands.monitor(list(labels(commands, 20)))

    cards = commands.page().all("section", "card")

    assert len(cards) == 2
    for card in cards:
        assert "There is no baseline" in card.all("p", "headline")[0].text
        assert dict(pairs_of(card))["Decide with"] == "newsieve drift rebaseline --filter uplifting"
        assert card.all("span", "state", "warn") and "evidence 0" not in card.text
