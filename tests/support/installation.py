"""Environments as a user has them: built wheels, and what they declare, in a folder of their own.

What the project's environment has is shared by links, so that an environment takes a second. Only
what a wheel asks for, and what that asks for, is there: anything else cannot be imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = {"newsieve-schemas": "schemas", "newsieve": "worker", "newsieve-training": "training"}
"""Each distribution's folder."""
IMPORTED_AS = {
    "newsieve-schemas": "newsieve_schemas",
    "newsieve": "newsieve",
    "newsieve-training": "newsieve_training",
}


def build_wheels(folder: Path) -> dict[str, Path]:
    """The wheel of each distribution. Nothing is downloaded: hatchling comes from here."""
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "build", "--quiet", "--offline", "--wheel"),
            *("--no-build-isolation", "--python", sys.executable),
            *("--all-packages", "--out-dir", str(folder), str(ROOT)),
        ],
        check=True,
    )
    return {name: next(folder.glob(f"{IMPORTED_AS[name]}-*.whl")) for name in MEMBERS}


def metadata_of(wheel: Path) -> Message:
    """What the wheel says of itself: name, version, requirements."""
    with ZipFile(wheel) as archive:
        (name,) = (item for item in archive.namelist() if item.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the folder that commands are run in."""

    folder: Path
    working_folder: Path

    def run(
        self, *command: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """A command of this environment, without any setting of ours."""
        bare = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NEWSIEVE_", "PYTHON", "VIRTUAL_ENV"))
        }
        program, *arguments = command
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.working_folder,
            input=stdin,
            capture_output=True,
            check=False,
            env={**bare, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(env or {})},
        )


def install(folder: Path, wheels: Sequence[Path], *extras: str) -> Environment:
    """A fresh environment with these wheels; `extras` are of all of them."""
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env")}))
    for name in _needed(wheels, extras):
        for path in _top_level(distribution(name)):
            if not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"),
            *("--no-config", "--python", str(python), *map(str, wheels)),
        ],
        check=True,
        cwd=folder,
    )
    return Environment(folder / "env", folder)


def _needed(wheels: Sequence[Path], extras: Sequence[str]) -> set[str]:
    """The distributions that are asked for, directly or not, without ours."""
    found: set[tuple[str, str]] = set()
    ours = {canonicalize_name(metadata_of(wheel)["Name"]): wheel for wheel in wheels}
    asked = [(name, extra) for name in ours for extra in ("", *extras)]
    while asked:
        one = asked.pop()
        if one in found:
            continue
        found.add(one)
        name, extra = one
        lines = (
            metadata_of(ours[name]).get_all("Requires-Dist") or []
            if name in ours
            else distribution(name).requires or []
        )
        for item in map(Requirement, lines):
            if item.marker is None or item.marker.evaluate({"extra": extra}):
                asked += [(canonicalize_name(item.name), more) for more in ("", *item.extras)]
    missing = {name for name, _ in found} & (MEMBERS.keys() - ours.keys())
    assert not missing, f"{missing} is asked for, and not among the wheels"
    return {name for name, _ in found} - ours.keys()


def _top_level(one: Distribution) -> Iterator[Path]:
    """The files and folders that it has put into site-packages."""
    names = {PurePosixPath(item).parts[0] for item in one.files or []}
    for name in names - {"..", "__pycache__", "/"}:
        yield Path(str(one.locate_file(name)))


def succeeded(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the standard output of a command that must have ended with 0."""
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
