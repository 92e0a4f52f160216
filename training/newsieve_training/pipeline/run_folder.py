"""One run, one folder: what run.json says of it, and who may work on it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from newsieve.errors import validation_message
from newsieve.filters.registry import Filter, FilterRegistry
from newsieve_training.errors import RunInvalid
from newsieve_training.pipeline.files import Row, read_jsonl, write_json
from newsieve_training.pipeline.recipe import Recipe, recipe_from

RUN_FILE: Final = "run.json"
LOCK_FILE: Final = ".lock"
REPORTS_FOLDER: Final = "training_reports"
SUMMARY: Final = "training_summary.txt"  # of the reports, the one on a page


@dataclass(frozen=True)
class Run:
    """A run folder, and where the filter of its recipe is looked for."""

    folder: Path
    filters: FilterRegistry

    @property
    def facts(self) -> dict[str, Any]:
        """run.json. Raises RunInvalid."""
        try:
            facts: dict[str, Any] = json.loads(self.path(RUN_FILE).read_bytes())
        except OSError:
            raise self._none() from None
        except ValueError as error:
            raise self._damaged(str(error)) from None
        if not isinstance(facts, dict):
            raise self._damaged("it is no object")
        return facts

    def _none(self) -> RunInvalid:
        return RunInvalid(f"{self.folder} is not a run: `newsieve-train prepare` makes one")

    def _damaged(self, reason: str) -> RunInvalid:
        return RunInvalid(
            f"{self.path(RUN_FILE)} cannot be read ({reason}): delete the folder {self.folder} and "
            "run `newsieve-train prepare` again"
        )

    @property
    def recipe(self) -> Recipe:
        try:
            return recipe_from(self.facts["recipe"])
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
        """A split's rows."""
        return list(read_jsonl(self.path("data", f"{name}.jsonl")))

    def json(self, *parts: str) -> Any:
        return json.loads(self.path(*parts).read_bytes())

    def note(self, facts: Mapping[str, Any]) -> None:
        """Put facts into run.json."""
        known = self.facts if self.path(RUN_FILE).exists() else {}
        write_json(self.path(RUN_FILE), {**known, **facts})

    def make(self) -> None:
        """The folder. Raises RunInvalid."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunInvalid(f"cannot make the folder {self.folder}: {error.strerror}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; ends with it, however it ends. Raises RunInvalid."""
        try:
            stream = self.path(LOCK_FILE).open("a")
        except FileNotFoundError:
            raise self._none() from None
        except OSError as error:
            raise RunInvalid(f"cannot work in {self.folder}: {error.strerror}") from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunInvalid(
                    f"another newsieve-train works on {self.folder}: wait for it, or stop it"
                ) from None
            yield
