"""Reads secrets from files that hold nothing else: NEWSIEVE_<SECTION>__<FIELD>_FILE names one.

Orchestrators mount secrets that way. newsieve.toml, which people share, may hold none. No error
quotes a secret, nor the value of the variable, which may be the secret itself by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from newsieve.errors import SettingsInvalid

SECRETS: Final = frozenset(
    {
        ("ingest", "http_secret"),
        ("ingest", "http_token"),
        ("kafka", "options"),
        ("oracle", "api_key"),
        ("push", "secret"),
        ("push", "url"),
        ("sampling", "key"),
        ("serve", "read_token"),
        ("serve", "review_token"),
    }
)
MIXED: Final = ("kafka", "options")  # may be in newsieve.toml, without the secrets among them
SUFFIX: Final = "_file"
MAX_BYTES: Final = 1_000_000  # more holds no secret: options with certificates in PEM have 20,000
_LINE_END: Final = "\r\n"


def file_of_secret(section: str, field: str) -> str | None:
    """Return the secret setting that a variable of this section and field names a file for."""
    secret = field.removesuffix(SUFFIX)
    return secret if secret != field and (section, secret) in SECRETS else None


def read_secret(variable: str, path: str) -> str:
    """Return a file's text without the line ends behind it. Raises SettingsInvalid."""
    try:
        with Path(path).open("rb") as stream:
            found = stream.read(MAX_BYTES + 1)
        if len(found) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        text = found.decode()
    except UnicodeDecodeError:
        raise SettingsInvalid(f"{variable}: the file that it names is not UTF-8") from None
    except OSError as error:
        reason = f"cannot read the file that it names: {error.strerror}"
        raise SettingsInvalid(f"{variable}: {reason}") from None
    except ValueError as error:  # a null in its name, too
        raise SettingsInvalid(f"{variable}: names no file with a secret: {error}") from None
    return text.rstrip(_LINE_END)


def require_no_secret(tree: Mapping[str, Any], file: Path) -> None:
    """Raise SettingsInvalid if newsieve.toml holds a secret."""
    for section, field in sorted(SECRETS - {MIXED}):
        there = tree.get(section)
        if isinstance(there, dict) and field in there:
            variable = f"NEWSIEVE_{section}__{field}".upper()
            raise SettingsInvalid(
                f"{section}.{field} ({file}): a secret must not be in a file that others read: set "
                f"{variable}, or {variable}_FILE to the path of a file of its own"
            )
