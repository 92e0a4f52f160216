"""A stage of a run, and the one way in which stages are run.

A stage is up to date when its inputs are those that it was made of and its files are as it left
them; then nothing happens. Otherwise its files are made in a workspace, from which a killed stage
goes on, copied into their place and recorded in run.json. So deleting a stage's files rebuilds that
stage, and those after it only where their inputs have changed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from newsieve_training.errors import RunInvalid
from newsieve_training.pipeline.files import copy_file, file_hash, files_below, hash_of
from newsieve_training.pipeline.run_folder import Run

STAGES: Final = "stages"
FIRST: Final = "prepare"
UNFINISHED: Final = ".unfinished"
OUT: Final = "out"
DELETING: Final = ".doomed"  # a suffix: earlier versions write it, too
SHORT_HASH: Final = 8


@dataclass(frozen=True)
class StageWorkspace:
    """The folder in which a stage works. What it writes below `out` is copied to the same place of
    the run; what else lies in `folder` outlives a crash while the stage's inputs stay the same."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / OUT


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    `reads` are the stages whose files it reads; `fingerprint_inputs` returns, as JSON values, what
    else decides its result.
    """

    name: str
    reads: tuple[Stage, ...]
    fingerprint_inputs: Callable[[Run], Any]


# Does a stage's work, and returns what run.json is to record of it. A `result` among that is what
# later stages depend on, where the hashes of its files say too much: wall-clock times, for one.
StageBody = Callable[[StageWorkspace], Mapping[str, Any]]


def run_stage(run: Run, stage: Stage, body: StageBody) -> bool:
    """Make the stage's files, unless they are there. Returns whether they had to be made.

    Raises RunInvalid when a stage before it is missing or out of date, or another process works on
    the run.
    """
    with run.locked():
        inputs = inputs_of(run, stage)
        if is_done(run, stage.name, inputs):
            return False
        workspace = _workspace_of(run, stage.name, inputs)
        _delete_stale_workspaces(run, stage.name, workspace)
        workspace.out.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        details = body(workspace)
        seconds = round(time.monotonic() - start, 1)
        files = _publish(run, stage.name, workspace.out)
        record = {"inputs": inputs, "files": files, "result": hash_of(files), "seconds": seconds}
        run.update({STAGES: {**_stages(run), stage.name: {**record, **details}}})
        _delete(workspace.folder)
        if not any(run.path(UNFINISHED).iterdir()):
            run.path(UNFINISHED).rmdir()
        return True


def run_stage_as_follower(run: Run, stage: Stage, body: StageBody) -> bool:
    """Do the work of `run_stage` as one of several processes, of which another one writes."""
    inputs = inputs_of(run, stage)
    if is_done(run, stage.name, inputs):
        return False
    body(_workspace_of(run, stage.name, inputs))
    return True


def inputs_of(run: Run, stage: Stage) -> str:
    """Return a hash of all that the stage is made of. Raises RunInvalid."""
    read = {earlier.name: require_up_to_date(run, earlier)["result"] for earlier in stage.reads}
    return hash_of(stage.fingerprint_inputs(run), read)


def require_up_to_date(run: Run, stage: Stage) -> dict[str, Any]:
    """Return what run.json records of a stage that is up to date. Raises RunInvalid."""
    record = _stages(run).get(stage.name)
    command = f"`newsieve-train {stage.name} {run.folder}`"
    if stage.name == FIRST:
        command = f"`newsieve-train {FIRST}` with the same recipe and labels"
    if record is None:
        raise RunInvalid(f"run {command} first")
    damaged = _first_damaged(run, record["files"])
    if damaged is not None:
        raise RunInvalid(f"{run.path(damaged)} is missing or was changed: run {command} again")
    if record["inputs"] != inputs_of(run, stage):
        raise RunInvalid(f"what {stage.name} was made of has changed since: run {command} again")
    return record


def _workspace_of(run: Run, name: str, inputs: str) -> StageWorkspace:
    return StageWorkspace(run.path(UNFINISHED, f"{name}-{inputs[:SHORT_HASH]}"))


def is_done(run: Run, name: str, inputs: str) -> bool:
    """Say whether a stage was made of these inputs and its files are as it left them."""
    record = _stages(run).get(name)
    if record is None or record["inputs"] != inputs:
        return False
    return _first_damaged(run, record["files"]) is None


def _stages(run: Run) -> dict[str, dict[str, Any]]:
    stages: dict[str, dict[str, Any]] = run.state.get(STAGES, {})
    return stages


def _first_damaged(run: Run, files: Mapping[str, str]) -> str | None:
    """Return the first of these files that is not as its stage left it."""
    for name, known in files.items():
        path = run.path(name)
        if not path.is_file() or file_hash(path) != known:
            return name
    return None


def _publish(run: Run, name: str, out: Path) -> dict[str, str]:
    """Copy what a stage made into its place, and delete what only its last result had. The
    workspace stays as it is: a crash before the stage is recorded begins here again."""
    made = {relative: file_hash(out / relative) for relative in files_below(out)}
    for relative in made:
        copy_file(out / relative, run.path(relative))
    for stale in set(_stages(run).get(name, {}).get("files", {})) - set(made):
        run.path(stale).unlink(missing_ok=True)
    return made


def _delete_stale_workspaces(run: Run, name: str, current: StageWorkspace) -> None:
    """Delete what this stage began with other inputs, or was deleting when it crashed."""
    for folder in run.path(UNFINISHED).glob(f"{name}-*"):
        if folder != current.folder:
            _delete(folder)


def _delete(folder: Path) -> None:
    """Rename a folder first, then delete it, so that a crash leaves no half-deleted workspace
    under its live name."""
    deleting = folder.with_suffix(DELETING)
    if folder != deleting:
        shutil.rmtree(deleting, ignore_errors=True)
        folder.rename(deleting)
    shutil.rmtree(deleting)
