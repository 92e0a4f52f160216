"""Reads all settings into one tree: defaults, newsieve.toml, then NEWSIEVE_<SECTION>__<FIELD>.

An unknown name is an error that suggests the right one, and an empty variable counts as unset. That
is why this module reads the sources itself: pydantic-settings lets a variable of an unknown section
pass, and does not name the variable in its errors. Only `bootstrap` and the command line read
settings; everything else is handed values.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from newsieve.errors import SettingsInvalid
from newsieve.settings.base import Section
from newsieve.settings.drift import DriftSettings
from newsieve.settings.filters import FilterSettings
from newsieve.settings.ingest import IngestSettings
from newsieve.settings.kafka import KafkaSettings
from newsieve.settings.observability import ObserveSettings
from newsieve.settings.oracle import OracleSettings
from newsieve.settings.push import PushSettings
from newsieve.settings.sampling import SamplingSettings
from newsieve.settings.secret_files import file_of_secret, read_secret, require_no_secret
from newsieve.settings.serve import ServeSettings
from newsieve.settings.student import StudentSettings
from newsieve.settings.worker import WorkerSettings

PREFIX: Final = "NEWSIEVE_"
DELIMITER: Final = "__"
DEFAULT_FILE: Final = Path("newsieve.toml")
# NEWSIEVE_PORT=tcp://10.0.0.1:8080 is what Kubernetes tells of a service that is called newsieve.
_INJECTED: Final = re.compile(r"(tcp|udp|sctp)://")


class Settings(Section):
    """All sections of the settings."""

    kafka: KafkaSettings = KafkaSettings()
    filters: FilterSettings = FilterSettings()
    worker: WorkerSettings = WorkerSettings()
    student: StudentSettings = StudentSettings()
    sampling: SamplingSettings = SamplingSettings()
    oracle: OracleSettings = OracleSettings()
    drift: DriftSettings = DriftSettings()
    ingest: IngestSettings = IngestSettings()
    push: PushSettings = PushSettings()
    serve: ServeSettings = ServeSettings()
    observe: ObserveSettings = ObserveSettings()


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the settings of a file (None: newsieve.toml if it exists) and of an environment.

    Raises SettingsInvalid, which names the setting and the one that was probably meant.
    """
    tree = _read_file(file)
    require_no_secret(tree, file or DEFAULT_FILE)
    variables: dict[tuple[str, ...], str] = {}
    for name, value in environment.items():
        if name.startswith(PREFIX) and DELIMITER in name:
            section, _, field = name.removeprefix(PREFIX).lower().partition(DELIMITER)
            secret = file_of_secret(section, field)
            if not value and (secret or field in _fields_of(section)):
                continue
            known = (section, secret or field)
            if known in variables:
                raise SettingsInvalid(f"{variables[known]} and {name}: set one of them")
            variables[known] = name
            if section not in tree:
                variables[(section,)] = name
            if isinstance(tree.setdefault(section, {}), dict):
                text = read_secret(name, value) if secret else value
                tree[section] = {**tree[section], known[1]: text}
    file = file or DEFAULT_FILE
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_explain(error, variables, file))) from None
    if unknown := list(_unknown_filters(settings, variables, file)):
        raise SettingsInvalid("\n".join(unknown))
    return settings


def ignored_variables(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return variables that name a setting without its section, with the names that would count.

    Other variables without a double underscore are ignored silently: orchestrators inject some.
    """
    found: dict[str, list[str]] = {}
    for name, value in environment.items():
        rest = name.removeprefix(PREFIX).lower()
        is_ours = name.startswith(PREFIX) and DELIMITER not in name
        if is_ours and value and not _INJECTED.match(value):
            meant = [
                f"{PREFIX}{section}{DELIMITER}{field}".upper()
                for section in Settings.model_fields
                for field in _fields_of(section)
                if rest in {field, f"{section}_{field}"}
            ]
            if meant and not any(map(environment.get, meant)):
                found[name] = meant
    return found


def _fields_of(section: str) -> Mapping[str, Any]:
    """Return the fields of a section, or none if there is no such section."""
    info = Settings.model_fields.get(section)
    return info.annotation.model_fields if info is not None else {}  # type: ignore[union-attr]  # all are Sections


def _read_file(file: Path | None) -> dict[str, Any]:
    if file is None and not DEFAULT_FILE.is_file():
        return {}
    path = file or DEFAULT_FILE
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}") from None


def _unknown_filters(
    settings: Settings, variables: Mapping[tuple[str, ...], str], file: Path
) -> Iterator[str]:
    """Yield a sentence for each setting that is about a filter which does not exist."""
    by_filter: dict[tuple[str, str], Mapping[str, Any]] = {
        ("student", "folders"): settings.student.folders,
        ("student", "candidates"): settings.student.candidates,
        ("sampling", "filters"): settings.sampling.filters,
    }
    known = settings.filters.registry.names if any(by_filter.values()) else []
    for path, of_filters in by_filter.items():
        for name in of_filters:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"; did you mean {close[0]}?" if close else ""
                yield f"{_shown(path, variables, file)}: there is no filter {name!r}{hint}"


def _explain(
    error: ValidationError, variables: Mapping[tuple[str, ...], str], file: Path
) -> Iterator[str]:
    for item in error.errors(include_input=False):
        path = [str(step) for step in item["loc"]]
        name = _shown(path, variables, file)
        if item["type"] == "extra_forbidden":
            yield f"there is no setting {name}{_suggestion(path)}"
        else:
            yield f"{name}: {item['msg'].removeprefix('Value error, ')}"


def _shown(path: Sequence[str], variables: Mapping[tuple[str, ...], str], file: Path) -> str:
    """Return a setting as its user wrote it: the variable, or the key with the file."""
    variable = variables.get(tuple(path[:2]))
    return ".".join([variable, *path[2:]]) if variable else f"{'.'.join(path)} ({file})"


def _suggestion(path: Sequence[str]) -> str:
    known: dict[str, str] = {}
    for section in Settings.model_fields:
        known[section] = section
        for field in _fields_of(section):
            known[f"{section}.{field}"] = f"{section}.{field}"
    close = difflib.get_close_matches(".".join(path[:2]), known, n=1, cutoff=0.5)
    if not close:
        return ""
    section, _, field = close[0].partition(".")
    variable = PREFIX + section.upper() + (DELIMITER + field.upper() if field else DELIMITER + "…")
    return f"; did you mean {close[0]} (in the environment {variable})?"
