"""One run, one folder: where everything lies, and which stages are already done.

A stage is named by the hash of its inputs. When they have not changed, there is nothing to do.
Every file is written under a temporary name and renamed, so that a crash leaves no half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.errors import RunInvalid
from training.recipe import Recipe, recipe_from

RUN_FILE: Final = "run.json"
SHORT_HASH: Final = 8

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """run.json. Raises RunInvalid."""
        try:
            facts: dict[str, Any] = json.loads((self.folder / RUN_FILE).read_bytes())
        except (OSError, ValueError):
            raise RunInvalid(
                f"{self.folder} is not a run: `newsieve-train prepare` makes one"
            ) from None
        return facts

    @property
    def recipe(self) -> Recipe:
        return recipe_from(self.facts["recipe"])

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def rows(self, name: str) -> list[Row]:
        return list(read_jsonl(self.path("data", f"{name}.jsonl")))

    def inputs_of(self, stage: str) -> str | None:
        """Hash of the inputs that this stage was last done with."""
        done: str | None = self.facts.get("stages", {}).get(stage)
        return done

    def require(self, stage: str) -> str:
        """That stage's input hash. Raises RunInvalid when it was not done."""
        done = self.inputs_of(stage)
        if done is None:
            raise RunInvalid(f"run `newsieve-train {stage} {self.folder}` first")
        return done

    def record(self, stage: str, inputs: str, **facts: Any) -> None:
        """Note that a stage is done. What it wrote must be on disk by now."""
        known = self.facts
        known.setdefault("stages", {})[stage] = inputs
        write_json(self.path(RUN_FILE), {**known, **facts})


def hash_of(*facts: Any) -> str:
    """A hash of JSON values, independent of key order."""
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
