"""The demo's programs: none is left behind, whenever the demo is told to end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from newsieve.cli.lifecycle import interrupt_on_signals
from newsieve.demo.processes import ProgramGroup


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def test_a_signal_while_a_program_is_forked_interrupts_the_demo_once_it_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Within fork Python would lose it; before the program is known nobody would end that one."""
    held: list[str] = []

    def fork(*_: Any, **__: Any) -> object:
        signal.raise_signal(signal.SIGTERM)
        held.append("the handler has not raised here")
        return object()

    monkeypatch.setattr(subprocess, "Popen", fork)
    interrupt_on_signals()
    group = ProgramGroup(tmp_path, {}, None)

    with pytest.raises(KeyboardInterrupt):
        group.start("worker")

    assert held and [program.command for program in group.programs] == ["worker"]
