"""Finds and loads filters: folders `<name>/v<N>/` with filter.toml and prompt.md.

Filters are looked for in a search path, whose first folder wins. `uplifting` means the highest
version of that name, `uplifting/v4` exactly that one. Reads files and nothing else; knows no
settings.
"""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from newsieve.errors import FilterInvalid, UnknownFilter
from newsieve.filters.content_rules import ContentRules, PatternError
from newsieve.filters.definition import (
    PARTS,
    FilterDefinition,
    Inconsistent,
    filter_hash,
    label_hash,
)
from newsieve.filters.rendering import EARLIER_RENDERINGS, is_rendered_as_before
from newsieve.filters.tiering import Tiering
from newsieve.filters.toml_lines import Key, KeyLines
from newsieve.printable import one_line
from newsieve.validation_text import MESSAGE_CHARACTERS, field_message, validation_message

BUILTIN_FOLDER: Final = Path(str(files("newsieve.filters") / "builtin"))  # of this installation
STUDENT_FOLDER: Final = "student"
DEFINITION_BYTES: Final = 256 * 1024  # ours have 11 KB at most
PROMPT_BYTES: Final = 1024 * 1024  # ours have 4 KB; a request carries it each time
MOST_KEY_CHARACTERS: Final = 60  # compared with the keys there are
MOST_KEY_PARTS: Final = 20  # between dots; ours have one
_LONG_KEY: Final = re.compile(
    rf"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MOST_KEY_PARTS}}}"""
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_VERSION_FOLDER: Final = re.compile(r"v([1-9][0-9]*)")


@dataclass(frozen=True)
class Filter:
    """One version of one filter, loaded and checked."""

    definition: FilterDefinition
    prompt: str
    folder: Path

    @property
    def name(self) -> str:
        """The name, without the version."""
        return self.definition.name

    @property
    def version(self) -> str:
        """The version, as records have it."""
        return str(self.definition.version)

    @property
    def reference(self) -> str:
        """The filter as `name/vN`."""
        return f"{self.name}/v{self.version}"

    @property
    def student_folder(self) -> Path:
        """The folder of the student that ships with the filter, if one does."""
        return self.folder / STUDENT_FOLDER

    @cached_property
    def filter_hash(self) -> str:
        """The hash of all that changes a decision."""
        return filter_hash(self.definition)

    @cached_property
    def label_hash(self) -> str:
        """The hash of what a label means."""
        return label_hash(self.definition, self.prompt)

    @cached_property
    def earlier_label_hashes(self) -> frozenset[str]:
        """What the label hash was under earlier renderings. Such a label means what today's do if
        its text is rendered as before."""
        return frozenset(
            label_hash(self.definition, self.prompt, earlier) for earlier in EARLIER_RENDERINGS
        )

    def has_meaning(self, hash_: object) -> bool:
        """Say whether labels of this hash mean what this filter's do, for a text that is rendered
        as before."""
        return hash_ == self.label_hash or hash_ in self.earlier_label_hashes

    def is_label_of(self, hash_: object, title: str | None, content: str | None) -> bool:
        """Say whether a label of this hash, of an article with this title and content, means what
        this filter's labels do."""
        return hash_ == self.label_hash or (
            hash_ in self.earlier_label_hashes and is_rendered_as_before(title, content)
        )

    @cached_property
    def tiering(self) -> Tiering:
        """What decides the tiers of this filter."""
        return Tiering(self.definition)


class Shadowed(NamedTuple):
    """A filter that is never loaded, because an earlier folder has one of its name and version."""

    reference: str
    used: Path
    ignored: Path


@dataclass(frozen=True)
class FilterRegistry:
    """Finds filters in the folders of a search path, anew each time that it is asked."""

    search_path: tuple[Path, ...]

    @property
    def references(self) -> list[str]:
        """Return each filter there is as `name/vN`, by name, the oldest version first."""
        return [f"{name}/v{version}" for name, version in sorted(self._folders())]

    @property
    def names(self) -> list[str]:
        """Return the names of the filters there are, each once."""
        return list(dict.fromkeys(name for name, _ in sorted(self._folders())))

    @property
    def shadowed(self) -> list[Shadowed]:
        """Return the filters that an earlier folder of the search path hides."""
        used = self._folders()
        return [
            Shadowed(f"{key[0]}/v{key[1]}", used[key], folder)
            for key, folder in self._found()
            if folder != used[key]
        ]

    def load(self, reference: str) -> Filter:
        """Return the filter of a name or `name/vN`. Raises UnknownFilter or FilterInvalid."""
        folders = self._folders()
        fitting = [key for key in sorted(folders) if reference in (key[0], f"{key[0]}/v{key[1]}")]
        if not fitting:
            raise UnknownFilter(
                f"there is no filter {reference!r}; there are: "
                f"{', '.join(self.references) or 'none'}. They are looked for in "
                f"{', '.join(map(str, self.search_path)) or 'no folder'}"
            )
        return load_folder(folders[fitting[-1]])

    def _folders(self) -> dict[tuple[str, int], Path]:
        """Return the folder of each name and version: the first one of the search path."""
        folders: dict[tuple[str, int], Path] = {}
        for key, folder in self._found():
            folders.setdefault(key, folder)
        return folders

    def _found(self) -> Iterator[tuple[tuple[str, int], Path]]:
        for root in dict.fromkeys(self.search_path):
            for folder in root.glob("*/*"):
                match = _VERSION_FOLDER.fullmatch(folder.name)
                if match and (folder / "filter.toml").is_file():
                    yield (folder.parent.name, int(match[1])), folder


def load_folder(folder: Path) -> Filter:
    """Return the filter in this folder. Raises FilterInvalid."""
    path = folder / "filter.toml"
    text = ""
    try:
        text = _without_long_keys(_read(path, DEFINITION_BYTES))
        definition = FilterDefinition.model_validate(tomllib.loads(text))
        ContentRules([definition])
    except ValidationError as error:
        describe = partial(_describe, KeyLines(text))
        raise FilterInvalid(f"{path}: {validation_message(error, describe)}") from None
    except PatternError as error:
        rules = definition.rule_names
        key = ("rules", rules.index(error.rule)) if error.rule is not None else ()
        raise FilterInvalid(f"{path}: {_placed(KeyLines(text), key)}{_short(error)}") from None
    except (OSError, RecursionError, ValueError) as error:
        raise FilterInvalid(f"{path}: {_short(error)}") from None
    prompt = _prompt(folder / "prompt.md")
    if (definition.name, f"v{definition.version}") != (folder.parent.name, folder.name):
        raise FilterInvalid(
            f"{path} calls itself {definition.name} version {definition.version}; "
            f"its folder must be {definition.name}/v{definition.version}"
        )
    return Filter(definition, prompt, folder)


def _without_long_keys(text: str) -> str:
    """Return the text. Raises ValueError for a key of so many parts that the parser's cost, which
    grows with their square, would count."""
    match = _LONG_KEY.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
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
    """Return a regular file's text; others could hang or have no end. Raises OSError or
    ValueError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("no regular file")
    if status.st_size > limit_bytes:
        raise ValueError(f"it has {status.st_size:,} bytes, at most {limit_bytes:,} are read")
    return path.read_text(encoding="utf-8")


def _describe(lines: KeyLines, item: Mapping[str, Any]) -> str:
    """One of a filter.toml's errors with the line and the key that it is about."""
    cause = item.get("ctx", {}).get("error")
    key, message = item["loc"], item["msg"]
    if isinstance(cause, Inconsistent):
        key = cause.key
    if item["type"] == "extra_forbidden":
        message = _unknown_key(str(key[-1]))
    return _placed(lines, key) + field_message({"loc": key, "msg": message})


def _unknown_key(name: str) -> str:
    known = {key for part in PARTS for key in part.model_fields}
    close = difflib.get_close_matches(name[:MOST_KEY_CHARACTERS], known, n=1)
    return f"there is no such key{f'; did you mean {close[0]}?' if close else ''}"


def _placed(lines: KeyLines, key: Key) -> str:
    """Return the line of a key as the beginning of a message; nothing where it is not known."""
    line = lines.line_of(key)
    return "" if line is None else f"line {line}: "


def _short(error: Exception) -> str:
    return one_line(str(error), MESSAGE_CHARACTERS)
