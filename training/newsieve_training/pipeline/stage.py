"""A stage of a run, and the one way a stage is done.

A stage is done when it was made of what it would be made of now and all its files are as it left
them; then nothing happens. Otherwise it is made in a folder of its own, which a killed stage goes
on from, put into its place and noted in run.json. So deleting a stage's files rebuilds that stage,
and those after it only where their input has become another.
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
from newsieve_training.pipeline.run_folder import RUN_FILE, Run

STAGES: Final = "stages"
FIRST: Final = "prepare"
UNFINISHED: Final = ".unfinished"
OUT: Final = "out"
DOOMED: Final = ".doomed"
SHORT_HASH: Final = 8


@dataclass(frozen=True)
class StageWorkspace:
    """Where a stage works. What it writes below `out` is copied to the same place of the run;
    what else lies in `folder` outlives a crash, as long as the stage's inputs stay the same."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / OUT


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    `reads` are the stages whose files it reads, `rests_on` gives what else decides its result.
    """

    name: str
    reads: tuple[Stage, ...]
    rests_on: Callable[[Run], Any]


# Does a stage's work; returns what is to be noted of it in run.json. A `result` among that is what
# later stages rest on, where the hashes of its files say too much: a clock's readings, for one.
Make = Callable[[StageWorkspace], Mapping[str, Any]]


def run_stage(run: Run, stage: Stage, make: Make) -> bool:
    """Make the stage's files, unless they are there. Returns whether they had to be made.

    Raises RunInvalid when a stage before it is missing or out of date, or another process is at
    work.
    """
    with run.locked():
        inputs = inputs_of(run, stage)
        if is_done(run, stage.name, inputs):
            return False
        workplace = workplace_of(run, stage.name, inputs)
        _forget_others(run, stage.name, workplace)
        workplace.out.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        facts = make(workplace)
        seconds = round(time.monotonic() - start, 1)
        files = _put(run, stage.name, workplace.out)
        noted = {"inputs": inputs, "files": files, "result": hash_of(files), "seconds": seconds}
        noted |= facts
        run.note({STAGES: {**_stages(run), stage.name: noted}})
        _forget(workplace.folder)
        if not any(run.path(UNFINISHED).iterdir()):
            run.path(UNFINISHED).rmdir()
        return True


def run_stage_as_follower(run: Run, stage: Stage, make: Make) -> bool:
    """Do the same as `run_stage` as one of several processes, of which another writes."""
    inputs = inputs_of(run, stage)
    if is_done(run, stage.name, inputs):
        return False
    make(workplace_of(run, stage.name, inputs))
    return True


def inputs_of(run: Run, stage: Stage) -> str:
    """Hash of all that the stage is made of. Raises RunInvalid."""
    read = {earlier.name: require_up_to_date(run, earlier)["result"] for earlier in stage.reads}
    return hash_of(stage.rests_on(run), read)


def require_up_to_date(run: Run, stage: Stage) -> dict[str, Any]:
    """What run.json notes of a stage that is done and up to date. Raises RunInvalid."""
    noted: dict[str, Any] | None = run.facts.get(STAGES, {}).get(stage.name)
    command = f"`newsieve-train {stage.name} {run.folder}`"
    if stage.name == FIRST:
        command = f"`newsieve-train {FIRST}` with the same recipe and labels"
    if noted is None:
        raise RunInvalid(f"run {command} first")
    damaged = _damaged(run, noted["files"])
    if damaged is not None:
        raise RunInvalid(f"{run.path(damaged)} is missing or was changed: run {command} again")
    if noted["inputs"] != inputs_of(run, stage):
        raise RunInvalid(f"what {stage.name} was made of has changed since: run {command} again")
    return noted


def workplace_of(run: Run, name: str, inputs: str) -> StageWorkspace:
    return StageWorkspace(run.path(UNFINISHED, f"{name}-{inputs[:SHORT_HASH]}"))


def is_done(run: Run, name: str, inputs: str) -> bool:
    noted = _stages(run).get(name)
    return noted is not None and noted["inputs"] == inputs and not _damaged(run, noted["files"])


def _stages(run: Run) -> dict[str, Any]:
    if not run.path(RUN_FILE).exists():
        return {}
    found: dict[str, Any] = run.facts.get(STAGES, {})
    return found


def _damaged(run: Run, files: Mapping[str, str]) -> str | None:
    """The first of these files that is not as its stage left it."""
    for name, known in files.items():
        path = run.path(name)
        if not path.is_file() or file_hash(path) != known:
            return name
    return None


def _put(run: Run, name: str, out: Path) -> dict[str, str]:
    """Put what a stage made into its place, take away what only an earlier one made. The workplace
    stays as it is: until the stage is noted, a crash begins here again."""
    made = {relative: file_hash(out / relative) for relative in files_below(out)}
    for relative in made:
        copy_file(out / relative, run.path(relative))
    for stale in set(_stages(run).get(name, {}).get("files", {})) - set(made):
        run.path(stale).unlink(missing_ok=True)
    return made


def _forget_others(run: Run, name: str, workplace: StageWorkspace) -> None:
    """Take away what this stage began with other inputs, or was taking away when it crashed."""
    for folder in run.path(UNFINISHED).glob(f"{name}-*"):
        if folder != workplace.folder:
            _forget(folder)


def _forget(folder: Path) -> None:
    """At once, in name: nothing goes on from half a workplace."""
    doomed = folder.with_suffix(DOOMED)
    if folder != doomed:
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
    shutil.rmtree(doomed)
