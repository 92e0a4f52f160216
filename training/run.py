"""One run, one folder: what run.json says of it, and who may work on it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.errors import RunInvalid
from training.files import Row, read_jsonl, write_json
from training.recipe import Recipe, recipe_from

RUN_FILE: Final = "run.json"
LOCK_FILE: Final = ".lock"


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """run.json. Raises RunInvalid."""
        try:
            facts: dict[str, Any] = json.loads(self.path(RUN_FILE).read_bytes())
        except OSError:
            raise RunInvalid(
                f"{self.folder} is not a run: `newsieve-train prepare` makes one"
            ) from None
        except ValueError as error:
            raise RunInvalid(
                f"{self.path(RUN_FILE)} cannot be read ({error}): delete the folder "
                f"{self.folder} and run `newsieve-train prepare` again"
            ) from None
        return facts

    @property
    def recipe(self) -> Recipe:
        return recipe_from(self.facts["recipe"])

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

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; ends with it, however it ends. Raises RunInvalid."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = self.path(LOCK_FILE).open("a")
        except OSError as error:
            raise RunInvalid(f"cannot make the folder {self.folder}: {error.strerror}") from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunInvalid(
                    f"another newsieve-train works on {self.folder}: wait for it, or stop it"
                ) from None
            yield
