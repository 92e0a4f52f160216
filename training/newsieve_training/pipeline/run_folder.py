"""One run, one folder: the state that run.json keeps of it, and who may work on it.

Knows no stage: what is made of what stands in `graph`, and how a stage is run in `stage`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from filelock import FileLock, Timeout
from pydantic import ValidationError

from newsieve.filters.registry import Filter, FilterRegistry
from newsieve.validation_text import validation_message
from newsieve_training.errors import RunInvalid
from newsieve_training.pipeline.files import Row, read_jsonl, write_json
from newsieve_training.pipeline.recipe import Recipe, recipe_from

RUN_FILE: Final = "run.json"
LOCK_FILE: Final = ".lock"
REPORTS_FOLDER: Final = "training_reports"
SUMMARY: Final = "training_summary.txt"  # of the reports, the one on a page


class _Version(NamedTuple):
    """Tells a replaced file from the one that was read: each `write_json` makes a new file."""

    inode: int
    modified_ns: int
    size: int


class Run:
    """A run folder, and where the filter of its recipe is looked for. Use from one thread."""

    def __init__(self, folder: Path, filters: FilterRegistry) -> None:
        self.folder = folder
        self.filters = filters
        self._state: dict[str, Any] = {}
        self._version: _Version | None = None

    @property
    def state(self) -> Mapping[str, Any]:
        """What run.json says: the recipe, what the run was prepared from, and the stages that are
        done. It is read again only where this or another process has replaced it. Raises
        RunInvalid."""
        version = self._current_version()
        if version != self._version:
            self._state, self._version = self._read_state(), version
        return self._state

    def update(self, values: Mapping[str, Any]) -> None:
        """Put values into run.json, beside what it says now. Call it while the run is locked."""
        known = self.state if self.path(RUN_FILE).exists() else {}
        write_json(self.path(RUN_FILE), {**known, **values})

    def _current_version(self) -> _Version:
        try:
            status = self.path(RUN_FILE).stat()
        except OSError:
            raise self._no_run() from None
        return _Version(status.st_ino, status.st_mtime_ns, status.st_size)

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads(self.path(RUN_FILE).read_bytes())
        except OSError:
            raise self._no_run() from None
        except ValueError as error:
            raise self._damaged(str(error)) from None
        if not isinstance(state, dict):
            raise self._damaged("it is no object")
        return state

    def _no_run(self) -> RunInvalid:
        return RunInvalid(f"{self.folder} is not a run: `newsieve-train prepare` makes one")

    def _damaged(self, reason: str) -> RunInvalid:
        return RunInvalid(
            f"{self.path(RUN_FILE)} cannot be read ({reason}): delete the folder {self.folder} and "
            "run `newsieve-train prepare` again"
        )

    @property
    def recipe(self) -> Recipe:
        """The recipe that the run was prepared with. Raises RunInvalid."""
        try:
            return recipe_from(self.state["recipe"])
        except KeyError:
            raise self._damaged("it has no recipe") from None
        except ValidationError as error:  # another version of ours knew other settings
            raise self._damaged(validation_message(error)) from None

    @property
    def filter(self) -> Filter:
        """The recipe's filter as it is now. Raises RunInvalid, UnknownFilter or FilterInvalid."""
        return self.filters.load(self.recipe.filter)

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def rows(self, name: str) -> list[Row]:
        """Read the rows of a split."""
        return list(read_jsonl(self.path("data", f"{name}.jsonl")))

    def make(self) -> None:
        """Make the folder, where it is not there. Raises RunInvalid."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunInvalid(f"cannot make the folder {self.folder}: {error.strerror}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process. The lock ends with the process, however it ends. Raises
        RunInvalid."""
        lock = FileLock(self.path(LOCK_FILE), timeout=0, fallback_to_soft=False)
        try:
            self.folder.stat()  # or the lock would make the folder
            held = lock.acquire()
        except FileNotFoundError:
            raise self._no_run() from None
        except Timeout:
            raise RunInvalid(
                f"another newsieve-train works on {self.folder}: wait for it, or stop it"
            ) from None
        except OSError as error:
            raise RunInvalid(f"cannot work in {self.folder}: {error.strerror}") from None
        with held:
            yield
