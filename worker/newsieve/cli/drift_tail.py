"""`newsieve drift tail`: shows alerts as they come, or runs a command for each.

Does not know what the command does with an alert.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
from contextlib import closing
from typing import Annotated, Any, Final, NamedTuple

import orjson
import typer

from newsieve.bootstrap.common import cluster
from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.cli.lifecycle import stop_on_signals
from newsieve.errors import WrongUsage
from newsieve.kafka.at_least_once_consumer import AtLeastOnceConsumer
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.topic_reader import read
from newsieve.printable import printable
from newsieve.programs.pushing.command import CommandDeliverer
from newsieve.programs.pushing.events import Attempt
from newsieve.programs.pushing.loop import DeliveryLoop, RetryPolicy
from newsieve.settings.drift import GROUP_PATTERN
from newsieve.settings.loader import PREFIX, Settings
from newsieve.terminal import echo, echo_err, show_value
from newsieve_schemas.topics import DRIFT_ALERTS, topic_name

DEFAULT_GROUP: Final = "newsieve-drift-tail"


class Tries(NamedTuple):
    """How long a run of the command may take, and the pauses between runs that fail, in seconds.
    After the last pause and one more run the command is given up."""

    run_seconds: float = 60.0
    pauses_seconds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


TRIES: Final = Tries()


def tail(
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec", metavar="CMD", help="Run CMD for each alert, which is its standard input."
        ),
    ] = None,
    group: Annotated[
        str,
        typer.Option("--group", metavar="NAME", help="Consumer group that remembers what CMD saw."),
    ] = DEFAULT_GROUP,
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="Also show earlier alerts; with --exec, once."),
    ] = False,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at the present end; not with --exec.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show drift alerts as they come, or run a command for each, until interrupted.

    CMD is split into words as a shell would, but is run without a shell: nothing of an alert is
    ever part of a command line. If CMD exits with 0, the alert is dealt with. If CMD exits with
    another code, or takes longer than a minute, it is run again, up to five times, with growing
    pauses. After that this command exits with 1, and begins with the same alert next time. CMD sees
    each alert at least once, so it must bear seeing one again (ce_id).

    Example: newsieve drift tail --from-beginning --until-end

    Example: newsieve drift tail --exec 'curl --fail --json @- https://hooks.example.org/drift'
    """
    settings = read_settings(config)
    if exec_ is not None:
        if until_end:
            raise WrongUsage("--until-end does not go with --exec, which waits for further alerts")
        if re.fullmatch(GROUP_PATTERN, group) is None:
            raise WrongUsage(f"--group {group!r} does not match {GROUP_PATTERN}")
        _run_for_each(settings, _words(exec_), group, from_beginning=from_beginning)
        return
    topic = topic_name(settings.kafka.topic_prefix, DRIFT_ALERTS)
    for stored in read(
        cluster(settings), topic, from_beginning=from_beginning, until_end=until_end
    ):
        _show(stored, as_json=json)


def _run_for_each(
    settings: Settings,
    words: list[str],
    group: str,
    *,
    from_beginning: bool,
    tries: Tries = TRIES,
) -> None:
    """Run the command for each alert until stopped. Raises CommandFailed, BrokerUnavailable,
    BrokerLost, TopicsWrong or ConsumerFailed."""
    stop = stop_on_signals("drift tail")
    topic = topic_name(settings.kafka.topic_prefix, DRIFT_ALERTS)
    command = CommandDeliverer(words, tries.run_seconds, _environment(), "alert")
    policy = RetryPolicy(refused_pauses_seconds=tries.pauses_seconds, commit_seconds=0)
    consumer = AtLeastOnceConsumer(cluster(settings), group, topic, from_beginning=from_beginning)
    with closing(consumer):
        observer = _TailObserver(command)
        loop = DeliveryLoop(consumer, lambda _: True, command, observer, policy, random.random)
        loop.run(stop.is_set)


class _TailObserver:
    """Tells people on stderr what went wrong, and nothing else."""

    def __init__(self, command: CommandDeliverer) -> None:
        self._command = command

    def heartbeat(self) -> None:
        pass

    def attempted(self, attempt: Attempt, seconds: float) -> None:
        pass

    def delivered(self, item: StoredRecord) -> None:
        pass

    def passed_over(self, item: StoredRecord) -> None:
        pass

    def retried(self, item: StoredRecord, reason: str, pause_seconds: float) -> None:
        echo_err(f"{self._command.failed(item, reason)}; again in {pause_seconds:g} s")

    def commit_failed(self, reason: str) -> None:
        echo_err(f"{reason}; an alert may come again")

    def committed(self) -> None:
        pass


def _environment() -> dict[str, str]:
    """Return this process's environment without newsieve's settings, which may be secrets."""
    return {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}


def _words(text: str) -> list[str]:
    """Return a command's words. Raises WrongUsage when there is no such command."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise WrongUsage(f"--exec {text!r}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise WrongUsage(f"--exec {text!r}: there is no command {words[0] if words else ''!r}")
    return words


def _show(stored: StoredRecord, *, as_json: bool) -> None:
    value = stored.record.value or b""
    if as_json:
        show_value(value)
        return
    try:
        echo(_readable(orjson.loads(value)))
    except (KeyError, TypeError, ValueError):  # not ours
        echo(repr(value[:120]), is_line=True)


def _readable(alert: dict[str, Any]) -> str:
    again = ", repeated" if alert["repeated"] else ""
    lines = [
        f"{alert['raised_at']}  {alert['filter']}: {alert['previous_state']} → {alert['state']}, "
        f"{alert['severity']}, {alert['cause']}{again}",
        f"  {alert['headline']}",
        f"  {alert['action']['text']} ({alert['action']['runbook']})",
    ]
    return "\n".join(map(printable, lines))
