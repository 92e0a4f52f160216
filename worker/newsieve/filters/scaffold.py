"""Writes the files a new filter begins with: a commented filter.toml, a prompt, a JSON Schema.

Nothing that exists is written over. Knows neither the search path nor other filters.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from newsieve.errors import WrongUsage
from newsieve.filters.definition import FilterDefinition, Name

SCHEMA_FILE: Final = "filter.schema.json"  # as the first line of the template names it
FIRST_VERSION: Final = "v1"
_PLACEHOLDER: Final = "NAME"
_FILES: Final = ("filter.toml", "prompt.md")


def filter_schema() -> dict[str, Any]:
    """Return the JSON Schema of filter.toml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FilterDefinition.model_json_schema(),
        "title": "filter.toml of newsieve",
    }


def write_new_filter(root: Path, name: str) -> Path:
    """Write the first version of a filter below `root` and return its folder.

    Raises WrongUsage for a name that no filter can have, and where the folder exists or cannot be
    written.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise WrongUsage(
            f"{name!r} cannot name a filter: take at most 60 of a-z, 0-9 and _, a letter first"
        ) from None
    folder = root / name / FIRST_VERSION
    template = files("newsieve.filters") / "template"
    texts = {
        file: (template / file).read_text(encoding="utf-8").replace(_PLACEHOLDER, name)
        for file in _FILES
    }
    texts[SCHEMA_FILE] = json.dumps(filter_schema(), indent=2) + "\n"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise WrongUsage(f"{folder} exists already, and is left as it is") from None
    except OSError as error:
        raise WrongUsage(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return folder
