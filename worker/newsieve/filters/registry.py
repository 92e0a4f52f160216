"""The filters on disk: `filters/<name>/v<N>/` with filter.toml and prompt.md.

`uplifting` means its highest version, `uplifting/v4` that one. Reads files and nothing else.
"""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from newsieve.errors import FilterInvalid, UnknownFilter
from newsieve.filters.content_rules import ContentRules, PatternError
from newsieve.filters.definition import FilterDefinition, filter_hash, label_hash
from newsieve.filters.shown import one_line
from newsieve.filters.tiering import Tiering

SHIPPED: Final = Path(__file__).with_name("builtin")
STUDENT_FOLDER: Final = "student"
DEFINITION_BYTES: Final = 256 * 1024  # ours have 11 KB at most
PROMPT_BYTES: Final = 1024 * 1024  # ours have 4 KB; a request carries it each time
MOST_KEY_PARTS: Final = 20  # between dots; ours have one
_LONG_KEY: Final = re.compile(
    rf"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MOST_KEY_PARTS}}}"""
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
DESCRIBED_ERRORS: Final = 10  # of one file; a person mends the first ones first
DESCRIBED_CHARACTERS: Final = 1_000  # of one message, which lists what is known
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
        facts = tomllib.loads(_without_long_keys(_read(path, DEFINITION_BYTES)))
        definition = FilterDefinition.model_validate(facts)
        ContentRules([definition])
    except ValidationError as error:
        raise FilterInvalid(f"{path}: {validation_message(error)}") from None
    except (OSError, PatternError, RecursionError, ValueError) as error:
        raise FilterInvalid(f"{path}: {one_line(str(error), DESCRIBED_CHARACTERS)}") from None
    prompt = _prompt(folder / "prompt.md")
    if (definition.name, f"v{definition.version}") != (folder.parent.name, folder.name):
        raise FilterInvalid(
            f"{path} calls itself {definition.name} version {definition.version}; "
            f"its folder must be {definition.name}/v{definition.version}"
        )
    return Filter(definition, prompt, folder)


def _without_long_keys(text: str) -> str:
    """The text. Raises ValueError for a key of so many parts that the parser's cost, which grows
    with their square, would count."""
    found = _LONG_KEY.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"line {line} has a key of more than {MOST_KEY_PARTS} parts")
    return text


def _prompt(path: Path) -> str:
    try:
        prompt = _read(path, PROMPT_BYTES)
    except (OSError, ValueError) as error:
        raise FilterInvalid(f"{path}: {error}") from None
    strange = _CONTROL.search(prompt)
    if strange is not None:
        raise FilterInvalid(
            f"{path} holds the control character {strange[0]!a}, at character "
            f"{strange.start() + 1}: it is no text"
        )
    return prompt


def _read(path: Path, limit_bytes: int) -> str:
    """A regular file's text; others could hang, or have no end. Raises OSError or ValueError."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("no regular file")
    if found.st_size > limit_bytes:
        raise ValueError(f"it has {found.st_size:,} bytes, at most {limit_bytes:,} are read")
    return path.read_text(encoding="utf-8")


def validation_message(error: ValidationError) -> str:
    """A validation error in one line for people: the first things that are wrong."""
    parts = []
    found = error.errors()
    for item in found[:DESCRIBED_ERRORS]:
        where = one_line(".".join(str(step) for step in item["loc"]))
        message = one_line(item["msg"].removeprefix("Value error, "), DESCRIBED_CHARACTERS)
        parts.append(f"{where}: {message}" if where else message)
    if len(found) > DESCRIBED_ERRORS:
        parts.append(f"and {len(found) - DESCRIBED_ERRORS:,} more")
    return "; ".join(parts)
