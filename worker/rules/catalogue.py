"""The filters on disk: `filters/<name>/v<N>/` with filter.toml and prompt.md.

`uplifting` means its highest version, `uplifting/v4` that one. Reads files and nothing else.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from worker.errors import FilterInvalid, UnknownFilter
from worker.rules.content import ContentRules, PatternError
from worker.rules.definition import FilterDefinition, filter_hash, label_hash
from worker.rules.tiers import Tiering

SHIPPED: Final = Path(__file__).resolve().parents[2] / "filters"
STUDENT_FOLDER: Final = "student"
_VERSION_FOLDER: Final = re.compile(r"v([1-9][0-9]*)")


@dataclass(frozen=True)
class Filter:
    """One version of one filter, loaded and checked."""

    definition: FilterDefinition
    prompt: str
    folder: Path

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def version(self) -> str:
        return str(self.definition.version)

    @property
    def reference(self) -> str:
        return f"{self.name}/v{self.version}"

    @property
    def student_folder(self) -> Path:
        return self.folder / STUDENT_FOLDER

    @cached_property
    def filter_hash(self) -> str:
        return filter_hash(self.definition)

    @cached_property
    def label_hash(self) -> str:
        return label_hash(self.definition, self.prompt)

    @cached_property
    def tiering(self) -> Tiering:
        return Tiering(self.definition)


def available(root: Path = SHIPPED) -> list[str]:
    """References of all filters, oldest version first."""
    found = [
        (folder.parent.name, int(match[1]))
        for folder in root.glob("*/*")
        if (match := _VERSION_FOLDER.fullmatch(folder.name)) and (folder / "filter.toml").is_file()
    ]
    return [f"{name}/v{version}" for name, version in sorted(found)]


def load(reference: str, root: Path = SHIPPED) -> Filter:
    """The filter of a name or `name/vN`. Raises UnknownFilter or FilterInvalid."""
    known = available(root)
    candidates = [item for item in known if reference in (item, item.partition("/")[0])]
    if not candidates:
        raise UnknownFilter(
            f"there is no filter {reference!r}; there are: {', '.join(known) or 'none'}"
        )
    return load_folder(root / candidates[-1])


def load_folder(folder: Path) -> Filter:
    """The filter in this folder. Raises FilterInvalid."""
    path = folder / "filter.toml"
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
        definition = FilterDefinition.model_validate(facts)
        ContentRules([definition])
    except ValidationError as error:
        raise FilterInvalid(f"{path}: {describe(error)}") from None
    except (OSError, PatternError, RecursionError, ValueError) as error:
        raise FilterInvalid(f"{path}: {error}") from None
    prompt = _prompt(folder / "prompt.md")
    if (definition.name, f"v{definition.version}") != (folder.parent.name, folder.name):
        raise FilterInvalid(
            f"{path} calls itself {definition.name} version {definition.version}; "
            f"its folder must be {definition.name}/v{definition.version}"
        )
    return Filter(definition, prompt, folder)


def _prompt(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FilterInvalid(f"{path}: {error}") from None


def describe(error: ValidationError) -> str:
    """A validation error in one line for people."""
    parts = []
    for item in error.errors():
        where = ".".join(str(step) for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        parts.append(f"{where}: {message}" if where else message)
    return "; ".join(parts)
