"""Charts of a monitor: what is written at lines and axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest

from newsieve.drift.recent_labels import LabelHistory
from newsieve.web.charts import FRAME, Chart, error_chart, evidence_chart, path
from newsieve.web.templating import environment
from tests.support.drift_records import DAY, MINUTE
from tests.support.html_page import Element, read_page

SECOND, HOUR = 1_000, 60 * MINUTE
START = 1_795_737_600_000  # 2026-11-27


def history(
    count: int = 60, span: int = DAY, evidence: float = 50.0, error: float = 0.9
) -> LabelHistory:
    """So many labels over so many milliseconds."""
    positions = [START + span * at // max(count - 1, 1) for at in range(count)]
    return LabelHistory(positions, [evidence] * count, [error] * count, [1.0] * count)


def macros() -> Any:
    values = {"frame": FRAME, "path": path}
    return environment().get_template("charts.html").make_module(values)


def drawn(chart: Chart | None) -> Element:
    return read_page(macros().chart(chart))


def pairs(rows: Sequence[tuple[str, float, float | None]]) -> Element:
    """Shares of tiers: now, and on the first day."""
    return read_page(macros().bars("Shares of tiers", rows, " now", 4))


def texts(picture: Element, kind: str) -> list[str]:
    return [item.text for item in picture.all("text", kind)]


def y_of(text: Element) -> float:
    return float(text.attributes["y"])


@pytest.mark.parametrize("evidence", [3.0, 9_000.0, 3e5, 1e300])
def test_the_words_of_the_levels_stand_at_their_lines(evidence: float) -> None:
    """Pending, warning, alert, with their numbers at the axis, apart from each other, however
    high the evidence."""
    picture = drawn(evidence_chart(history(evidence=evidence)))

    heights = []
    for name, number in (("pending", "200"), ("warning", "2,000"), ("alert", "10,000")):
        (line,) = picture.all("path", "level", name)
        height = float(line.attributes["d"].split()[1].split("H")[0])
        (word,) = (item for item in picture.all("text", "word") if item.text == name)
        (tick,) = (item for item in picture.all("text", "tick") if item.text == number)
        assert abs(y_of(word) - height) < 6 and abs(y_of(tick) - height) < 6
        heights.append(height)
    assert all(low - high >= 12 for low, high in itertools.pairwise(heights))
    (course,) = picture.all("path", "course")
    points = course.attributes["d"].removeprefix("M").split("L")
    assert all(0 <= float(point.split()[1]) <= FRAME.height for point in points)
    assert all(len(text) < 16 for text in texts(picture, "tick"))


@pytest.mark.parametrize("make", [evidence_chart, lambda history: error_chart(history, 0.93)])
def test_axes_have_names_and_a_picture_says_what_it_shows(make: object) -> None:
    """By title and description, for who cannot see it."""
    picture = drawn(make(history()))  # type: ignore[operator]

    across, up = sorted(picture.all("text", "name"), key=y_of, reverse=True)
    assert across.text == "the last 60 labels, in order, UTC"
    assert up.text in ("evidence", "MAE, score points")
    (svg,) = picture.all("svg")
    assert svg.attributes["role"] == "img"
    assert svg.children[0].tag == "title" and svg.children[0].text
    assert svg.children[1].tag == "desc" and "60 labels" in svg.children[1].text


@pytest.mark.parametrize(
    ("span", "ends"),
    [
        (1, ["2026-11-27 00:00:00.000", "00:00:00.001"]),
        (5 * SECOND, ["2026-11-27 00:00:00", "00:00:05"]),
        (20 * MINUTE, ["2026-11-27 00:00", "00:20"]),
        (23 * HOUR, ["2026-11-27 00:00", "23:00"]),
        (3 * DAY, ["2026-11-27 00:00", "2026-11-30 00:00"]),
        (0, ["2026-11-27 00:00:00.000", "label 60"]),
    ],
)
def test_the_ends_of_an_axis_differ(span: int, ends: list[str]) -> None:
    """As precise as that takes; within a day the second one is a time."""
    assert texts(drawn(evidence_chart(history(span=span))), "end") == ends


def test_a_single_label_is_a_dot_with_one_time() -> None:
    """There is no curve yet."""
    picture = drawn(evidence_chart(history(count=1)))

    assert len(texts(picture, "end")) == 1 and len(picture.all("circle", "dot")) == 1
    assert "the only label so far, UTC" in texts(picture, "name")
    assert error_chart(history(count=1), 0.9) is None


@pytest.mark.parametrize("error", [0.0, 0.004, 0.9, 9.7])
def test_the_axis_of_the_error_has_two_ends(error: float) -> None:
    """Also where all errors are none; nothing is drawn above it."""
    picture = drawn(error_chart(history(error=error), error))

    bottom, top = texts(picture, "tick")
    assert bottom == "0" and float(top) >= error and float(top) > 0
    assert texts(picture, "word") == [f"usual {error:.2f}"]


def test_oracles_that_never_answered_make_no_curve() -> None:
    """There is no error to draw."""
    assert error_chart(history(error=math.nan), None) is None


def test_a_share_of_a_first_day_that_is_not_over_is_not_drawn() -> None:
    """No bar, and no 0 %."""
    without = pairs([("low", 0.25, None), ("high", 0.75, None)])
    with_it = pairs([("low", 0.25, 0.2), ("a tier of a very long name", 0.75, 0.8)])

    assert [len(item.all("rect", "usual")) for item in (without, with_it)] == [0, 2]
    assert [item.text for item in without.all("text")] == ["low", "25 % now", "high", "75 % now"]
    assert "20 % on the first day" in [item.text for item in with_it.all("text")]
    assert "a tier of a very lo…" in [item.text for item in with_it.all("text")]


def test_names_in_pictures_are_text() -> None:
    """Also those of dimensions and tiers."""
    picture = pairs([("<b>&", 0.5, 0.5)])

    assert picture.all("b") == [] and "<b>&" in [item.text for item in picture.all("text")]
