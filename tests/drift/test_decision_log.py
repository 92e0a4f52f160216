"""What operators decide, what other oracles and silence do."""

from __future__ import annotations

from newsieve.drift.monitor_state import MonitorConfig
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.drift.transitions import severity
from tests.support.drift import (
    DAY,
    IDENTITY,
    STREAMS,
    as_it_is,
    errors_times,
    feed,
    monitor_after,
    more,
    moved,
    states,
)

WORSE = errors_times(1.6)


def test_a_severity_that_rises_is_published_at_once() -> None:
    """Not only with the next day's reminder."""
    config = MonitorConfig(reminder=DAY)
    monitor, steps = monitor_after(10, (20, as_it_is), (300, errors_times(1.25)), config=config)
    assert (states(steps)[-1], steps[-1].severity) == ("alert", "warning")
    assert monitor.tick(1_000) is None

    feed(monitor, more(1, 300, errors_times(2)))
    reminder = monitor.tick(40_000_000)

    assert reminder is not None and reminder.is_reminder
    assert (reminder.state, reminder.previous_state) == ("alert", "alert")
    assert reminder.severity == "critical"
    assert monitor.tick(40_000_001) is None


def test_an_incident_is_repeated_once_a_day_until_acknowledged() -> None:
    """The state stays what it is."""
    config = MonitorConfig(reminder=DAY)
    monitor, steps = monitor_after(11, (20, as_it_is), (100, errors_times(1.5)), config=config)
    start = steps[-1].position

    told = [now for now in range(start, start + 3 * DAY, DAY // 4) if monitor.tick(now) is not None]
    monitor.acknowledge()

    assert len(told) == 2
    assert monitor.tick(start + 9 * DAY) is None


def test_silence_suspends_and_labels_end_it() -> None:
    """An incident is not silenced."""
    config = MonitorConfig(silence=DAY)
    monitor, _ = monitor_after(12, (100, as_it_is), config=config)
    before = monitor.state.state
    assert monitor.tick(400 + DAY - 2) is None

    step = monitor.tick(400 + DAY)
    assert step is not None and (step.state, step.reason) == ("suspended", "no_labels")
    steps = feed(monitor, more(1, 1))

    assert [(step.previous_state, step.state, step.reason) for step in steps] == [
        ("suspended", before, "labels_again")
    ]
    alarmed, _ = monitor_after(13, (20, as_it_is), (100, WORSE), config=config)
    assert alarmed.tick(10 * DAY) is None and alarmed.state.state == "alert"


def suspended() -> StratumMonitor:
    monitor, _ = monitor_after(14, (100, as_it_is), oracle_key="a")
    steps = feed(monitor, more(1, 50, moved(4), oracle_key="b"))
    assert states(steps) == ["suspended"]
    assert (steps[0].labels.oracle_key, steps[0].labels.other_oracle_key) == ("a", "b")
    return monitor


def test_an_accepted_oracle_makes_a_new_baseline_of_its_labels() -> None:
    """Of so many, then the test goes on against it. Stragglers of the old one suspend nothing, and
    it can be accepted again."""
    monitor = suspended()

    step = monitor.accept("b", 7)
    steps = feed(monitor, more(2, 400, moved(1), oracle_key="b"))

    assert step is not None and (step.state, step.reason) == ("warming", "rebaseline")
    assert monitor.accept("b", 8) is None
    assert [(s.state, s.position) for s in steps[:1]] == [("ok", 200_199)]
    assert "alert" not in states(steps)
    assert feed(monitor, more(3, 5, oracle_key="a")) == []
    again = monitor.accept("a", 300_000)
    assert again is not None and again.state == "warming"
    assert states(feed(monitor, more(4, 400, oracle_key="a")))[:1] == ["ok"]


def test_an_incident_that_opens_later_is_not_acknowledged_yet() -> None:
    """What is not open, nobody can know of; and what gets critical is told, whoever knows."""
    monitor, _ = monitor_after(14, (100, as_it_is), oracle_key="a")
    monitor.acknowledge()
    feed(monitor, more(1, 400, moved(1), oracle_key="a"))
    here = monitor.state
    assert here.state == "alert" and not here.is_acknowledged

    monitor.acknowledge()

    assert here.is_acknowledged
    here.published_severity = "info"
    reminder = monitor.tick(here.published_at + 1)
    assert (reminder is not None) == (severity("alert", monitor.test) == "critical")


def test_a_rejected_oracle_is_not_looked_at() -> None:
    """The test goes on where it was, with the accepted one's labels."""
    monitor = suspended()
    labels_before = monitor.snapshot()["test"]["labels"]

    step = monitor.reject("b", 7)
    assert step is not None and (step.previous_state, step.reason) == ("suspended", "rejected")
    assert feed(monitor, more(2, 100, moved(4), oracle_key="b")) == []
    feed(monitor, more(3, 10, oracle_key="a"))

    assert monitor.snapshot()["test"]["labels"] == labels_before + 10
    assert monitor.reject("b", 8) is None
    assert states(feed(monitor, more(4, 1, oracle_key="c"))) == ["suspended"]


def test_a_decision_about_another_oracle_changes_nothing() -> None:
    """Rejecting c does not end a suspension by b."""
    monitor = suspended()

    assert monitor.reject("c", 7) is None
    assert monitor.state.state == "suspended"


def test_an_incident_goes_on_after_a_rejected_oracle() -> None:
    """A suspension in its middle ends where it began."""
    monitor, steps = monitor_after(15, (20, as_it_is), (150, WORSE), oracle_key="a")
    assert states(steps)[-1] == "alert"
    feed(monitor, more(1, 1, oracle_key="b"))

    step = monitor.reject("b", 9)

    assert step is not None and step.state == "alert" and step.episode == steps[-1].episode


def test_a_rebaseline_is_an_operators_and_ends_an_incident() -> None:
    """The next labels are the new normal, because somebody said so."""
    monitor, steps = monitor_after(16, (20, as_it_is), (150, WORSE))
    assert states(steps)[-1] == "alert"

    step = monitor.rebaseline(9)
    steps = feed(monitor, more(1, 800, WORSE))

    assert step is not None and (step.state, step.previous_state) == ("warming", "alert")
    assert states(steps)[0] == "ok" and "alert" not in states(steps)


def test_without_a_reference_an_operator_can_ask_for_a_baseline() -> None:
    """Until then nothing is tested."""
    monitor = StratumMonitor(IDENTITY, STREAMS, MonitorConfig(rebaseline_labels=100))
    assert feed(monitor, more(1, 300, moved(5))) == []
    assert monitor.is_without_baseline

    monitor.rebaseline(9)

    assert states(feed(monitor, more(2, 99))) == []
    assert states(feed(monitor, more(3, 1))) == ["ok"]
