"""Runs all stages after `prepare`, in order, as `newsieve-train run` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from newsieve_training.data.audit import audit
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.fit.environment import Machine
from newsieve_training.fit.stage import fit
from newsieve_training.packaging.package import package
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.report import report


def run_all(
    run: Run,
    machine: Machine,
    *,
    start: Path | None = None,
    tensorboard: bool = False,
    failed_gate_reason: str | None = None,
) -> Iterator[tuple[str, bool]]:
    """Yield each stage after `prepare` by name, with whether there was anything to do.

    A stage is run only when it is asked for. Raises what the stages raise.
    """
    yield "audit", audit(run)
    yield "fit", fit(run, machine, start=start, tensorboard=tensorboard)
    yield "evaluate", evaluate(run)
    yield "calibrate", calibrate(run)
    yield "report", report(run)
    yield "package", package(run, failed_gate_reason)
