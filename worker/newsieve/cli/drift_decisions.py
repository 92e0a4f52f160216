"""`newsieve drift accept-oracle`, `reject-oracle`, `rebaseline`, `acknowledge`: what people decide.

Each command says what will happen, asks, and writes the decision to the control topic, where the
monitor reads it within seconds. If no monitor is at work, the command says so. A decision that is
written twice is carried out once.
"""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import typer

from newsieve.bootstrap import drift as assembled
from newsieve.bootstrap.common import cluster, utc_now
from newsieve.bootstrap.drift_state import load_current_state, monitor_group
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.input_records import LONGEST_NAME
from newsieve.drift.monitor_state import INCIDENT, SUSPENDED
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.errors import NothingToDecide, WrongUsage
from newsieve.kafka.producer import PlainProducer
from newsieve.records.control import decision_record
from newsieve.settings.loader import Settings
from newsieve.terminal import echo
from newsieve.web.drift_overview import at_work
from newsieve_schemas.topics import CONTROL, topic_name

SOURCE: Final = b"newsieve/drift/operator"
COMPONENT: Final = "drift"

FilterOption = Annotated[str, typer.Option("--filter", metavar="F", help="A filter's name.")]
StratumOption = Annotated[
    Literal["low", "surfaced"] | None,
    typer.Option("--stratum", help="Decide for this stratum only; default: both."),
]
OracleOption = Annotated[
    str | None,
    typer.Option("--oracle", metavar="KEY", help="The oracle's key; default: the one that waits."),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who decides; default: this user.")
]


def accept_oracle(
    filter_: FilterOption,
    oracle: OracleOption = None,
    stratum: StratumOption = None,
    yes: YesOption = False,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Accept another oracle's labels from now on: the next ones make a new baseline.

    Example: newsieve drift accept-oracle --filter uplifting --yes
    """
    context = _DecisionContext(read_settings(config), filter_, stratum, by)
    key = context.oracle(oracle)
    concerned = [item for item in context.monitors if item.state.oracle_key != key]
    if not concerned:
        echo(f"{key} is already accepted: there is nothing to do", is_line=True)
        return
    context.decide(
        "accept_oracle",
        "oracle",
        {"oracle_key": key},
        f"{_named(concerned)} will take labels of {key} instead of "
        f"{_keys(concerned)}, whose labels are ignored from now on. The next "
        f"{context.rebaseline_labels} of each make a new baseline; until then nothing is tested, "
        f"and open incidents end. {context.compared(key)} Anchors that the "
        "old oracle labelled say nothing about the new one: label them again.",
        ask=not yes,
    )


def reject_oracle(
    filter_: FilterOption,
    oracle: OracleOption = None,
    stratum: StratumOption = None,
    yes: YesOption = False,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Ignore another oracle's labels, and go on with those of the accepted one.

    Example: newsieve drift reject-oracle --filter uplifting --yes
    """
    context = _DecisionContext(read_settings(config), filter_, stratum, by)
    key = context.oracle(oracle)
    others = [item for item in context.monitors if item.state.oracle_key != key]
    if not others:
        raise NothingToDecide(f"{key} is the accepted one: accept another oracle to replace it")
    concerned = [item for item in others if key not in item.state.rejected]
    if not concerned:
        echo(f"{key} is already rejected: there is nothing to do", is_line=True)
        return
    context.decide(
        "reject_oracle",
        "oracle",
        {"oracle_key": key},
        f"{_named(concerned)} will ignore labels of {key}, and go on with "
        f"{_keys(concerned)}: name that oracle in the oracle's settings, or no label counts. "
        f"{context.compared(key)}",
        ask=not yes,
    )


def rebaseline(
    filter_: FilterOption,
    stratum: StratumOption = None,
    yes: YesOption = False,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a new baseline of the next labels: their errors will count as healthy.

    Example: newsieve drift rebaseline --filter uplifting --yes
    """
    context = _DecisionContext(read_settings(config), filter_, stratum, by)
    student = context.student
    concerned = [
        item for item in context.monitors if student in (None, item.identity.student_version)
    ]
    if not concerned and student is None:
        raise NothingToDecide(
            f"no label of {context.filter.name} has come yet, and there is no folder of a student "
            "of it here: there is no monitor to make a baseline for"
        )
    who = _named(concerned) if concerned else f"{context.filter.name}'s monitors, once labels come,"
    context.decide(
        "rebaseline",
        "baseline",
        {"student": student},
        f"{who} will make a new baseline of the next {context.rebaseline_labels} labels of each. "
        "Until then nothing is tested, open incidents end, and the errors in those labels will "
        "count as healthy: decide this only if you know that they are.",
        ask=not yes,
    )


def acknowledge(
    filter_: FilterOption,
    stratum: StratumOption = None,
    yes: YesOption = False,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Say that somebody takes care of what is open, which ends its daily reminders.

    Example: newsieve drift acknowledge --filter uplifting --yes
    """
    context = _DecisionContext(read_settings(config), filter_, stratum, by)
    opened = [item for item in context.monitors if item.state.state in (*INCIDENT, SUSPENDED)]
    unknown = [item for item in opened if not item.state.is_acknowledged]
    shared = [name for name, state in context.monitor.shared_states().items() if state in INCIDENT]
    names = [_named(unknown)] if unknown else []
    names += shared if stratum is None else []
    if not names:
        echo("every open incident is already acknowledged: there is nothing to do")
        return
    context.decide(
        "acknowledge",
        "incident",
        {},
        f"{', '.join(names)}: no more daily reminders of what is open now. Changes of state are "
        "still published.",
        ask=not yes,
    )


class _DecisionContext:
    """The monitors that a decision is about, and the topic that it is written to."""

    def __init__(
        self, settings: Settings, filter_: str, stratum: str | None, by: str | None
    ) -> None:
        """Restore the filter's monitors. Raises UnknownFilter, WrongUsage, BrokerUnavailable or
        TopicsWrong."""
        self.filter = settings.filters.registry.load(filter_)
        self._settings = settings
        self._stratum = stratum
        self._by = _sayable("--by", by if by is not None else _user())
        known = {item.filter.name: item for item in assembled.load_filter_inputs(settings)}
        if self.filter.name not in known:
            raise WrongUsage(
                f"no monitor watches {self.filter.name}: worker.filters names {', '.join(known)}"
            )
        inputs = known[self.filter.name]
        self.student = inputs.students[0].hash if inputs.students else None
        self.monitor: FilterMonitor = (
            load_current_state(settings, [inputs]).monitored[self.filter.name].monitor
        )
        self.monitors = [
            monitor
            for identity, monitor in sorted(self.monitor.monitors.by_identity.items())
            if stratum in (None, identity.stratum)
        ]
        self.rebaseline_labels = settings.drift.rebaseline_labels

    def oracle(self, named: str | None) -> str:
        """Return the key of the oracle that is meant. Raises NothingToDecide or WrongUsage."""
        if not self.monitors:
            raise NothingToDecide(
                f"no label of {self.filter.name} has come yet: there is no monitor to decide about"
            )
        waiting = sorted({item.state.other_oracle_key or "" for item in self.monitors} - {""})
        if named is not None:
            return _sayable("--oracle", named)
        if len(waiting) == 1:
            return waiting[0]
        if not waiting:
            raise NothingToDecide(
                f"no other oracle of {self.filter.name} waits for a decision. `newsieve drift "
                "status` shows the accepted one; --oracle names any other"
            )
        raise WrongUsage(
            f"several oracles wait for a decision; name one with --oracle: {', '.join(waiting)}"
        )

    def compared(self, key: str) -> str:
        """Return what the anchors say of an oracle."""
        difference = self.monitor.attribution.anchor_difference()
        if difference is None or difference.oracle_key != key:
            is_known = any(
                key in (item.state.other_oracle_key, *item.state.rejected) for item in self.monitors
            )
            unknown = (
                "" if is_known else f"No label of {key} has come yet: is the key spelled right? "
            )
            return unknown + "It has labelled no anchor, so it is not known how its labels differ."
        return (
            f"On {difference.anchors} labels of anchors it differs from the accepted one by "
            f"{difference.error:.2f} (MAE), where {difference.usual:.2f} is usual."
        )

    def decide(
        self, decision: str, about: str, arguments: dict[str, Any], consequence: str, *, ask: bool
    ) -> None:
        """Say what will happen, ask, and write the decision. Raises WrongUsage or
        BrokerUnavailable."""
        echo(consequence, is_line=True)
        group = monitor_group(self._settings)
        if not group.at_work:
            echo(at_work(group))
        if ask:
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise WrongUsage("there is no terminal to ask on: decide with --yes")
            typer.confirm("Decide this?", abort=True, err=True)
        parts = [COMPONENT, self.filter.name, self._stratum, about]
        scope = "/".join(part for part in parts if part is not None)
        topic = topic_name(self._settings.kafka.topic_prefix, CONTROL)
        arguments = {"filter": self.filter.name, "stratum": self._stratum, **arguments}
        record = decision_record(topic, scope, decision, arguments, SOURCE, utc_now(), self._by)
        # Later than the last one of this scope, whatever our clock says, since the latest counts.
        timestamp_ms = max(time.time_ns() // 1_000_000, self.monitor.decisions.latest(scope) + 1)
        with PlainProducer(cluster(self._settings), topic) as producer:
            producer.send(record.key, record.value or b"", record.headers, timestamp_ms)
        taken_up = "It waits for the next monitor at work. " if group.at_work is False else ""
        then = "`newsieve drift status` shows its effect"
        echo(f"decided: {decision} ({scope}). {taken_up}{then}")


def _sayable(option: str, text: str) -> str:
    """Return a text that a record may have and that a monitor reads there. Raises WrongUsage."""
    if text.strip() and text.isprintable() and len(text) <= LONGEST_NAME:
        return text
    raise WrongUsage(
        f"{option} {text!r:.60} cannot be recorded: it needs 1 to {LONGEST_NAME} printable "
        "characters"
    )


def _user() -> str:
    """Return the user's name, or the number of one without a name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _named(monitors: Sequence[StratumMonitor]) -> str:
    names = [f"{item.identity.filter}/{item.identity.stratum}" for item in monitors]
    return " and ".join(dict.fromkeys(names))


def _keys(monitors: Sequence[StratumMonitor]) -> str:
    keys = {item.state.oracle_key or "no oracle" for item in monitors}
    return ", ".join(sorted(keys)) or "the accepted one"
