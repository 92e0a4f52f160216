"""The providers that an oracle can be: newsieve's own, and those of any installed distribution.

A distribution adds one with an entry point of the group `newsieve.oracle_providers`: its name is
what `oracle.provider` is set to, and it names a `ProviderKind`. newsieve registers its own three in
the same way. Only the chosen provider's module is imported. Knows no provider.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from newsieve.errors import SettingsInvalid
from newsieve.oracle.prompt import OracleConfig
from newsieve.oracle.providers.base import Provider

GROUP: Final = "newsieve.oracle_providers"
LEAST_LIKENESS: Final = 0.5  # of a name to the one that was probably meant


class ProviderOptions(BaseModel):
    """The options of one provider, `[oracle.options]`: none, unless a subclass declares some."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderSetup(NamedTuple):
    """Everything that a provider is made from.

    `endpoint` is the address that is set or the provider's own, None for a provider without one.
    `label_file` is the path of the setting of that name. `options` is an instance of the provider's
    own model.
    """

    config: OracleConfig
    endpoint: str | None
    api_key: SecretStr | None
    uses_proxies: bool
    timeout_seconds: float
    max_output_tokens: int
    label_file: Path | None
    options: ProviderOptions


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One kind of provider: how it is made, and what it needs from the settings.

    `make` asks nothing yet, and raises SettingsInvalid or InputFileInvalid. `needs_key` says that
    the default endpoint answers nobody without a key. `default_model` None means that the settings
    have to name a model.
    """

    make: Callable[[ProviderSetup], Provider]
    default_endpoint: str | None = None
    needs_key: bool = False
    default_model: str | None = None
    options: type[ProviderOptions] = ProviderOptions

    def read_options(self, name: str, values: Mapping[str, Any]) -> ProviderOptions:
        """Return the options of the provider `name`, validated. Raises SettingsInvalid."""
        try:
            return self.options.model_validate(values)
        except ValidationError as error:
            lines = [
                self._complaint(name, ".".join(map(str, item["loc"])), item["type"], item["msg"])
                for item in error.errors(include_input=False, include_url=False)
            ]
            raise SettingsInvalid("\n".join(lines)) from None

    def _complaint(self, provider: str, option: str, error_type: str, message: str) -> str:
        if error_type != "extra_forbidden":
            return f"oracle.options.{option}: {message.removeprefix('Value error, ')}"
        known = sorted(self.options.model_fields)
        there_are = f"there are: {', '.join(known)}" if known else "it has none"
        return f"{provider} has no option oracle.options.{option}; {there_are}" + meant(
            option, known
        )


def provider_names() -> list[str]:
    """Return the names of all installed providers, in order."""
    return sorted({item.name for item in entry_points(group=GROUP)})


def require_provider(name: str) -> str:
    """Return the name. Raises ValueError, with the names there are, for one that is unknown."""
    names = provider_names()
    if name not in names:
        there_are = ", ".join(names) or "none; install newsieve again"
        raise ValueError(
            f"there is no provider {name!r:.80}; there are: {there_are}{meant(name, names)}"
        )
    return name


def provider_kind(name: str) -> ProviderKind:
    """Import the provider of this name. Raises SettingsInvalid when that cannot be done."""
    registered = list(entry_points(group=GROUP, name=name))
    if len(registered) != 1:
        owners = ", ".join(map(_distribution, registered)) or "no distribution"
        raise SettingsInvalid(
            f"oracle.provider: {name!r:.80} is registered by {owners}, and one has to register it"
        )
    entry_point = registered[0]
    try:
        kind = entry_point.load()
    except (ImportError, AttributeError) as error:
        raise SettingsInvalid(
            f"oracle.provider: {name} of {_distribution(entry_point)} cannot be imported from "
            f"{entry_point.value}: {error}"
        ) from error
    if not isinstance(kind, ProviderKind):
        raise SettingsInvalid(
            f"oracle.provider: {name} of {_distribution(entry_point)} is no provider: "
            f"{entry_point.value} should be a ProviderKind"
        )
    return kind


def meant(name: str, known: list[str]) -> str:
    """Return "; did you mean …?" where one of the known names is like this one, else nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=LEAST_LIKENESS)
    return f"; did you mean {close[0]}?" if close else ""


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else "an unknown distribution"
