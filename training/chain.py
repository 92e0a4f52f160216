"""All stages of a run, in order: what `newsieve-train run` goes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.audit import audit
from training.calibrate import calibrate
from training.evaluate import evaluate
from training.fit import fit
from training.machine import Machine
from training.package import package
from training.report import report
from training.run import Run


def run_all(
    run: Run,
    machine: Machine,
    *,
    start: Path | None = None,
    tensorboard: bool = False,
    failed_gate_reason: str | None = None,
) -> Iterator[tuple[str, bool]]:
    """Each stage after `prepare` by name, with whether there was anything to do.

    Lazy: a stage is made when it is asked for. Raises what the stages raise.
    """
    yield "audit", audit(run)
    yield "fit", fit(run, machine, start=start, tensorboard=tensorboard)
    yield "evaluate", evaluate(run)
    yield "calibrate", calibrate(run)
    yield "report", report(run)
    yield "package", package(run, failed_gate_reason)
