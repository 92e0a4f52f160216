"""The engine's benchmark runs where a card's machine has torch, transformers, peft and little else.

It starts the script in a process that can import those packages, what they need, and newsieve's
source, as on a machine where newsieve is not installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
GIVEN = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")
WAYS = ("padded, unmerged", "padded", "packed", "as the worker chooses")
MISSING = (
    "pydantic",
    "google-re2",
    "structlog",
    "prometheus-client",
    "confluent-kafka",
    "orjson",
    "typer",
)
RUN = """
import runpy, sys

sys.path[:0] = sys.argv.pop(1).split(":")
runpy.run_module("benchmarks.engine", run_name="__main__", alter_sys=True)
"""


def _needed(names: tuple[str, ...]) -> set[str]:
    """The distributions that these need, themselves among them, but for those that are missing."""
    found: set[str] = set()
    wanted = list(names)
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name not in found and name not in MISSING:
            found.add(name)
            for text in metadata.requires(name) or ():
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    wanted.append(requirement.name)
    return found


def _lent_machine(folder: Path) -> Path:
    """A folder of packages that has no others than the given ones and those that they need."""
    for name in _needed(GIVEN):
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform
        for top in {Path(str(file)).parts[0] for file in distribution.files or ()} - {"..", "bin"}:
            link, target = folder / top, Path(str(distribution.locate_file(top)))
            if not link.exists() and target.exists():
                link.symlink_to(target)
    return folder


def test_the_engine_is_measured_with_nothing_but_what_a_cards_machine_has(tmp_path: Path) -> None:
    """A tiny student of random weights goes through every way that a CPU has, and the worker's
    engine: the table has a rate for each, and scores that are those of the reference."""
    path = (_lent_machine(tmp_path), ROOT, ROOT / "worker", ROOT / "schemas")

    done = subprocess.run(
        [
            sys.executable, "-I", "-S", "-c", RUN, os.pathsep.join(map(str, path)),
            "--shape", "tiny", "--device", "cpu", "--mean-tokens", "40", "--count", "12",
            "--rounds", "1", "--product-seconds", "0", "--threads", "1",
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-2_000:]
    rows = dict(re.findall(r"(?m)^\| (.+?) \| (\d+\.\d) \(.* \|$", done.stdout))
    ways = {f"{way}, fp32" for way in WAYS}
    assert ways | {"**engine, text in, fp32**"} <= set(rows), done.stdout
    assert all(float(rate) > 0 for rate in rows.values())
    differences = re.findall(r"(?m)fp32 \|.* ([\d.e-]+) \| ([\d.]+) \|$", done.stdout)
    assert len(differences) == len(ways)
    assert all(float(off) < 1e-3 for off, _ in differences)
