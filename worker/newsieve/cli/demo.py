"""`newsieve demo`: everything on this machine, against a real broker."""

from __future__ import annotations

import os
import shlex
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from newsieve.bootstrap.common import all_topics
from newsieve.bootstrap.students import student_folder
from newsieve.cli.common import ConfigOption, open_input, read_settings, this_program
from newsieve.cli.first_line import require_json_lines
from newsieve.cli.lifecycle import interrupt_on_signals
from newsieve.demo.incidents import DRIFTING, SWAPPED, Incidents, forget_states, has_other_state
from newsieve.demo.processes import READY_TEXTS, DemoFailed, Program, ProgramGroup, program_group
from newsieve.demo.run import DemoRun
from newsieve.demo.summary import further_commands, summary, what_drifted, what_is_staged
from newsieve.devbroker.broker import find_or_start
from newsieve.filters.registry import Filter
from newsieve.kafka.config import Cluster
from newsieve.kafka.producer import PlainProducer
from newsieve.records.json_lines import lines_of
from newsieve.settings.loader import Settings
from newsieve.terminal import echo, echo_err, progress
from newsieve_schemas.topics import DRIFT_STATE

SAMPLE: Final = Path(str(files("newsieve.demo") / "articles.jsonl"))


def demo(
    articles: Annotated[
        Path | None,
        typer.Option("--articles", metavar="FILE", help="JSON Lines instead of the sample."),
    ] = None,
    worker_count: Annotated[
        int, typer.Option("--workers", min=1, max=16, metavar="N", help="Worker processes.")
    ] = 2,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay afterwards, to look around, until Ctrl-C.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web/--no-web", help="Show it on pages, too (`newsieve serve`).")
    ] = True,
    config: ConfigOption = None,
) -> None:
    """Find or start a broker, score articles with all filters that have a student, and report.

    With the sample, whose labels are known, an oracle and a drift monitor run as well, and have to
    find what is staged for them: that the world of one filter moves, and that the oracle of another
    is swapped. Exits 0 only if they do.

    The broker: the one NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS names, else Docker's, else Apache Kafka
    on this machine's Java. On a broker that others use set NEWSIEVE_KAFKA__TOPIC_PREFIX.

    Example: newsieve demo --articles articles.jsonl
    """
    settings = read_settings(config)
    interrupt_on_signals()  # its programs have sessions of their own: nobody else ends them
    filters = _filters_with_a_student(settings)
    lines = _lines(str(articles or SAMPLE))
    with (
        tempfile.TemporaryDirectory(prefix="newsieve-demo-") as folder,
        find_or_start(os.environ, echo_err) as broker,
    ):
        echo_err(f"broker: {broker.how}, {broker.bootstrap_servers}")
        kafka = Cluster(broker.bootstrap_servers, settings.kafka.options)
        run = DemoRun(kafka, settings.kafka.topic_prefix, filters, workers=worker_count)
        run.prepare(all_topics(settings, filters))
        incidents = None
        if articles is None:
            incidents = _prepared_incidents(run, settings, lines, Path(folder))
        with program_group(Path(folder), _environment(run, incidents), config) as programs:
            pages = _start_pages(programs, settings) if web else None
            _start(run, programs, incidents)
            address = pages.logged(READY_TEXTS["serve"])["address"] if pages is not None else None
            if address is not None:
                echo_err(f"pages: {address}")
            _run_phases(run, programs, incidents, lines)
            run.close()
            _print_summary(run, incidents, _for_demonstration(settings, filters))
            options = "" if config is None else f" --config {shlex.quote(str(config))}"
            further = further_commands(run, this_program(), options, incidents)
            if keep:
                where = "" if address is None else f"\nPages: {address}"
                _wait_for_interrupt(
                    f"\nEverything stays until Ctrl-C.{where}\nIn another terminal:\n{further}"
                )
    if broker.ends_with_us and not keep:
        echo(how_to_keep(articles, options, address))
    elif not keep:
        echo(f"\nTo look around:\n{further}")
    _require_success(run, incidents)


def _lines(file: str) -> list[bytes]:
    """Return the lines of a file. Raises InputFileInvalid, before a broker is started for
    nothing."""
    with open_input(file) as stream:
        return [line for _, line in lines_of(require_json_lines(file, stream))]


def _prepared_incidents(
    run: DemoRun, settings: Settings, lines: Sequence[bytes], folder: Path
) -> Incidents | None:
    """Return the incidents, their files written; None where another monitor's state is in the
    way."""
    if not {DRIFTING, SWAPPED} <= {item.name for item in run.filters}:
        echo_err(f"oracle and drift are not shown: they need students of {DRIFTING} and {SWAPPED}")
        return None
    if has_other_state(run.cluster, run.prefix):
        echo_err(
            "oracle and drift are not shown: another drift monitor has its state on this broker. "
            "Set another NEWSIEVE_KAFKA__TOPIC_PREFIX"
        )
        return None
    with PlainProducer(run.cluster, run.topic(DRIFT_STATE)) as producer:
        forget_states(run.cluster, run.prefix, producer.send)
    half = len(lines) // 2
    incidents = Incidents((lines[:half], lines[half:]), folder, run.filters, run.group, run.alerts)
    incidents.write(settings)
    return incidents


def _environment(run: DemoRun, incidents: Incidents | None) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // run.workers)
    variables = run.environment() | {"NEWSIEVE_STUDENT__THREADS": str(threads)}
    return variables if incidents is None else variables | incidents.settings()


def _start(run: DemoRun, programs: ProgramGroup, incidents: Incidents | None) -> None:
    """Start the workers, the oracle, and the monitor, which makes baselines of the first labels."""
    names = ", ".join(item.reference for item in run.filters)
    also = "" if incidents is None else ", an oracle that reads labels, a drift monitor"
    echo_err(f"starting {run.workers} workers for {names}{also} …")
    started_at = time.monotonic()
    for _ in range(run.workers):
        programs.start("worker")
    if incidents is not None:
        programs.start("oracle")
        programs.start("drift")
        for name in (DRIFTING, SWAPPED):
            programs.command("drift", "rebaseline", "--filter", name, "--yes")
    programs.wait_until_ready()
    run.start_seconds = time.monotonic() - started_at


def _start_pages(programs: ProgramGroup, settings: Settings) -> Program:
    """Start the pages, on the settings' port or on a free one where that is taken."""
    port = settings.serve.port if _is_free(settings.serve.port) else 0
    variables = {
        "NEWSIEVE_SERVE__STORE": str(programs.folder / "pages.db"),
        "NEWSIEVE_SERVE__PORT": str(port),
    }
    return programs.start("serve", variables)


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _run_phase(run: DemoRun, programs: ProgramGroup, lines: Sequence[bytes]) -> None:
    echo_err(f"producing {len(lines)} raw records …")
    with progress("scoring", len(lines) * len(run.filters)) as advance:
        run.stream(lines, programs.require_alive, advance)


def _run_phases(
    run: DemoRun, programs: ProgramGroup, incidents: Incidents | None, lines: Sequence[bytes]
) -> None:
    """Run a healthy phase, then one with another oracle; without incidents all lines at once."""
    if incidents is None:
        _run_phase(run, programs, lines)
        return
    _run_phase(run, programs, incidents.phases[0])
    run.wait(lambda: run.labels >= run.labels_wanted, "no label", programs.require_alive)
    echo_err("the world of one filter moves, the oracle of the other is swapped …")
    oracle = next(item for item in programs.programs if item.command == "oracle")
    programs.end(oracle)
    programs.start("oracle", {"NEWSIEVE_ORACLE__LABEL_FILE": str(incidents.label_file(1))})
    _run_phase(run, programs, incidents.phases[1])
    run.wait(lambda: incidents.are_found, "nothing was found", programs.require_alive)


def _print_summary(run: DemoRun, incidents: Incidents | None, for_demonstration: list[str]) -> None:
    echo(summary(run))
    if incidents is not None:
        echo(what_drifted(run, incidents))
    echo(what_is_staged(for_demonstration, incidents))


def _require_success(run: DemoRun, incidents: Incidents | None) -> None:
    """Raise DemoFailed unless each outcome came once and the incidents were found."""
    if run.outcomes.missing or run.outcomes.doubled:
        raise DemoFailed("the outcomes do not add up")
    if incidents is not None and (incidents.mistakes or not incidents.are_found):
        raise DemoFailed("the staged incidents were not named as what they are")


def _filters_with_a_student(settings: Settings) -> list[Filter]:
    """Return the highest version of each filter, if it has a student. Raises DemoFailed for
    none."""
    filters = settings.filters.registry
    with_student = [
        filter_
        for filter_ in map(filters.load, filters.names)
        if (student_folder(settings, filter_) / "student.json").is_file()
    ]
    if not with_student:
        raise DemoFailed("no filter has a student: set NEWSIEVE_STUDENT__FOLDERS")
    return with_student


def _for_demonstration(settings: Settings, filters: Sequence[Filter]) -> list[str]:
    """Return the names of the filters whose student is the one that ships with them."""
    return [item.name for item in filters if student_folder(settings, item) == item.student_folder]


def how_to_keep(articles: Path | None, options: str, address: str | None = None) -> str:
    """Return how to run the demo again so that its broker and its pages stay."""
    mine = "" if articles is None else f" --articles {shlex.quote(str(articles))}"
    pages = "" if address is None else f"\nIts pages are then at {address}"
    return (
        "\nThe broker has ended with the demo. To look around, run it again so that it stays, and "
        f"in another terminal what it says:\n  {this_program()} demo{mine}{options} --keep{pages}"
    )


def _wait_for_interrupt(invitation: str) -> None:
    """Print the invitation and wait for Ctrl-C, which may come while it is still being printed."""
    try:
        echo(invitation)
        threading.Event().wait()
    except KeyboardInterrupt:
        echo_err("stopping …")
