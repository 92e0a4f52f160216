"""Finds the files of a base model in a package, in a folder, or on a hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from newsieve.errors import StudentInvalid
from newsieve.inference.base_files import PACKAGE_PREFIX, find_base
from newsieve.inference.manifest import TOKENIZER, BaseName
from newsieve.inference.tokenize import Tokeniser


def base_file(base: BaseName, name: str) -> Path | None:
    """Return a file of the base; None where it has none of that name. Raises StudentInvalid."""
    if base.name.startswith(PACKAGE_PREFIX) or Path(base.name).is_dir():
        path = find_base(base.name, base.revision) / name
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(base.name, name, revision=base.revision))
    except EntryNotFoundError as error:
        if not isinstance(error, LocalEntryNotFoundError):  # which the library derives from it
            return None
        raise _unreachable(base, error) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _unreachable(base, error) from None


def _unreachable(base: BaseName, error: Exception) -> StudentInvalid:
    return StudentInvalid(
        f"the base model {base.name!r} (revision {base.revision}) cannot be fetched: {error}. Let "
        "base.name in the recipe be a folder that holds it"
    )


def tokeniser_of(base: BaseName, max_tokens: int) -> Tokeniser:
    path = base_file(base, TOKENIZER)
    if path is None:
        raise StudentInvalid(f"the base model {base.name!r} has no {TOKENIZER}")
    return Tokeniser(path, max_tokens)
