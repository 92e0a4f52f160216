"""`newsieve --help` is there at once: it loads no command, and says what each one is for."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from newsieve.cli import COMMANDS, app

MAX_CPU_SECONDS = 0.4
COLUMNS = 80
NOT_NEEDED = {
    "confluent_kafka",
    "httpx2",
    "msgspec",
    "newsieve.settings.loader",
    "numpy",
    "pydantic",
    "structlog",
    "torch",
}
LOADED = """
import sys
from newsieve.__main__ import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
sys.stderr.write("\\n".join(sys.modules))
"""


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_no_command(option: str) -> None:
    """Neither the settings nor a library that only commands need."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, option], check=True, capture_output=True, text=True
    )

    loaded = set(done.stderr.splitlines())
    assert "newsieve" in done.stdout
    assert "newsieve.cli" in loaded
    assert not loaded & NOT_NEEDED
    assert not loaded & {f"newsieve.cli.{place.module}" for place in COMMANDS.values()}


def test_help_takes_four_tenths_of_a_second_of_cpu_at_most() -> None:
    """The best of three, so that another program on the machine does not count."""
    assert min(cpu_seconds_of_help() for _ in range(3)) <= MAX_CPU_SECONDS


def cpu_seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "newsieve", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_a_summary_is_shown_whole() -> None:
    """Each command's sentence stands on one line of a terminal of 80 columns."""
    lines = CliRunner().invoke(app, ["--help"], terminal_width=COLUMNS).output.splitlines()

    for name, place in COMMANDS.items():
        assert f"  {name:<8} {place.summary}" in lines


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found_under_its_name(name: str) -> None:
    """Whether it is a function or a group of commands."""
    command = typer.main.get_group(app).get_command(None, name)

    assert command is not None
    assert command.name == name
    assert command.help


def test_a_misspelt_command_is_answered_with_the_likely_one() -> None:
    """The names are known without the commands."""
    done = CliRunner().invoke(app, ["prodce"])

    assert done.exit_code != 0
    assert "Did you mean 'produce'?" in done.output
