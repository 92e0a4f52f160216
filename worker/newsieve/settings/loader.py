"""All settings, in one tree: defaults, then newsieve.toml, then NEWSIEVE_<SECTION>__<FIELD>.

An unknown name is an error that suggests the right one; an empty variable counts as unset. Each
field says its unit and why it has its default. Only `assemble` and the command line read this;
everything else is handed values.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from newsieve.errors import SettingsInvalid
from newsieve.filters.registry import available
from newsieve.inference.base_files import TRUSTED_PACKAGES
from newsieve.records.json_parsing import MAX_RECORD_BYTES
from newsieve.records.oversize_letter import OversizeLetters
from newsieve.settings.base import MOST, FromJson, Positive, Probability, Section
from newsieve.settings.drift import DriftSettings
from newsieve.settings.kafka import KafkaSettings
from newsieve.settings.observability import ObserveSettings
from newsieve.settings.oracle import OracleSettings
from newsieve.settings.secret_checks import checked_sampling_key
from newsieve.settings.secret_files import file_of_secret, read_secret, require_no_secret

PREFIX: Final = "NEWSIEVE_"
DELIMITER: Final = "__"
DEFAULT_FILE: Final = Path("newsieve.toml")
BLAKE2B_KEY_BYTES: Final = 64
# NEWSIEVE_PORT=tcp://10.0.0.1:8080 is what Kubernetes tells of a service that is called newsieve.
_INJECTED: Final = re.compile(r"(tcp|udp|sctp)://")


def _from_commas(value: Any) -> Any:
    """A list comes with commas from the environment."""
    if not isinstance(value, str):
        return value
    return [name.strip() for name in value.split(",") if name.strip()]


def _of_known_filters(value: dict[str, Any]) -> dict[str, Any]:
    known = sorted({reference.partition("/")[0] for reference in available()})
    for name in value:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"there is no filter {name!r}{hint}")
    return value


OfKnownFilters = AfterValidator(_of_known_filters)


class WorkerSettings(Section):
    """The scoring worker."""

    filters: Annotated[list[str], BeforeValidator(_from_commas)] = Field(default=["uplifting"])
    slot: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Stable per replica (a StatefulSet's ordinal): part of the transactional id, "
        "newsieve-<group>-:<slot>.",
    )
    group: str = Field(
        default="newsieve",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="With any other letter the broker refuses every transaction.",
    )
    id_from_key: bool = Field(default=False, description="Take a missing id from the record's key.")
    dlq_headers: Literal["signed", "any"] | None = Field(
        default=None,
        description="Which dlq.* headers of raw records count: those that `newsieve dlq replay` "
        "signed with sampling.key, or any. Default: signed, if there is a key.",
    )
    max_record_bytes: int = Field(
        default=MAX_RECORD_BYTES, gt=0, le=MOST, description="Larger: a dead letter."
    )
    batch_articles: int = Field(
        default=128,
        gt=0,
        le=100_000,
        description="Articles per micro-batch: enough to sort by length, few enough that a CPU "
        "finishes one in seconds.",
    )
    batches_in_flight: int = Field(
        default=2, gt=0, le=8, description="One on the device, the next being tokenised."
    )
    commit_seconds: Positive = Field(
        default=0.4, le=10, description="Oldest a transaction gets; the broker ends it after 30."
    )
    commit_records: int = Field(
        default=5_000, gt=0, le=MOST, description="Raw records a transaction covers at most, about."
    )
    drain_seconds: Positive = Field(
        default=20, le=86_400, description="For finishing after SIGTERM; Kubernetes kills after 30."
    )
    dead_letter_ratio: Probability = Field(
        default=0.5, description="Of the last dead_letter_window records: more stops the worker."
    )
    dead_letter_window: int = Field(default=1_000, gt=0, le=10_000_000)
    dead_letter_run: int = Field(
        default=100, gt=0, le=MOST, description="Dead letters in a row: more stop the worker."
    )
    oversize_letters: OversizeLetters = Field(
        default="truncate",
        description="What of a record that is too large for a dead letter stands in it: the "
        "beginning of its value, or its headers alone, where half an article should not lie about.",
    )

    @field_validator("filters")
    @classmethod
    def _some_and_unique(cls, value: list[str]) -> list[str]:
        names = [item.partition("/")[0] for item in value]
        if not names or len(set(names)) < len(names):
            raise ValueError("name each filter once, and at least one")
        return value


class StudentSettings(Section):
    """The models and what they run on."""

    folders: Annotated[dict[str, Path], FromJson, OfKnownFilters] = Field(
        default={}, description="Filter to folder; default: filters/<name>/v<N>/student."
    )
    base: str | None = Field(
        default=None,
        description="Where the base model is: a folder, a package, a hub's id; it must be the one "
        "of student.json, file by file.",
    )
    trusted_packages: Annotated[tuple[str, ...], BeforeValidator(_from_commas)] = Field(
        default=TRUSTED_PACKAGES,
        description="Python packages in which a student may name its base model.",
    )
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$")
    dtype: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="auto: bf16 where the device has instructions for it, else fp32.",
    )
    threads: int | None = Field(
        default=None, gt=0, le=1_024, description="Of a forward pass; default: cores."
    )
    budget_tokens: int | None = Field(
        default=None, gt=0, le=MOST, description="Of a forward pass; see newsieve.example.toml."
    )
    candidates: Annotated[dict[str, Path], FromJson, OfKnownFilters] = Field(
        default={}, description="Filter to a folder on trial; its scores go to the shadow topic."
    )
    candidate_share: Probability = Field(default=0.1, description="Of articles it scores, too.")


class SamplingSettings(Section):
    """Which articles go to the oracle."""

    policy: str = Field(default="p1", min_length=1)
    epoch: str = Field(default="2026-11", min_length=1, description="A new one draws anew.")
    key: Annotated[SecretStr, AfterValidator(checked_sampling_key)] | None = Field(
        default=None,
        description="The same for all workers: without it anybody can compute the draw.",
    )
    low: Probability = Field(
        default=0.02, description="Inclusion probability of unpublished tiers."
    )
    surfaced: Probability = Field(default=0.2, description="Of published tiers.")
    suspect: Probability = Field(
        default=0.02,  # as `low`: their labels measure no drift and train nobody, so that many of
        # them are to cost no more than others
        description="Of articles that speak to a model, whatever their tier.",
    )
    filters: Annotated[
        dict[str, dict[Literal["low", "surfaced", "suspect"], Probability]],
        FromJson,
        OfKnownFilters,
    ] = Field(default={}, description="Filter to probabilities of its own.")

    @field_validator("epoch")
    @classmethod
    def _fits_a_key(cls, value: str) -> str:
        if len(value.encode()) > BLAKE2B_KEY_BYTES:
            raise ValueError(f"at most {BLAKE2B_KEY_BYTES} bytes: it keys a blake2b hash")
        return value


class Settings(Section):
    """The whole tree."""

    kafka: KafkaSettings = KafkaSettings()
    worker: WorkerSettings = WorkerSettings()
    student: StudentSettings = StudentSettings()
    sampling: SamplingSettings = SamplingSettings()
    oracle: OracleSettings = OracleSettings()
    drift: DriftSettings = DriftSettings()
    observe: ObserveSettings = ObserveSettings()


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of a file (None: newsieve.toml where there is one) and an environment.

    Raises SettingsInvalid, naming the setting and the one that was probably meant.
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
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_explain(error, variables, file or DEFAULT_FILE))) from None


def ignored_variables(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Variables that name a setting without its section, with the names that would have counted.

    Others without a double underscore are left alone: orchestrators inject some.
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
    """The fields of a section; none where there is no such section."""
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


def _explain(
    error: ValidationError, variables: Mapping[tuple[str, ...], str], file: Path
) -> Iterator[str]:
    for item in error.errors(include_input=False):
        path = [str(step) for step in item["loc"]]
        variable = variables.get(tuple(path[:2]))
        name = ".".join([variable, *path[2:]]) if variable else f"{'.'.join(path)} ({file})"
        if item["type"] == "extra_forbidden":
            yield f"there is no setting {name}{_suggestion(path)}"
        else:
            yield f"{name}: {item['msg'].removeprefix('Value error, ')}"


def _suggestion(path: list[str]) -> str:
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
