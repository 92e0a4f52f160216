"""Checks that a tokenizer can be read and used at reasonable cost, by trying it in a process of its
own.

A tokenizer.json is a program of a kind: patterns that go back for ever, replacements that grow a
text a thousandfold. What it costs is found by running it, under limits on time and memory that a
thread does not have.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from newsieve.errors import StudentInvalid
from newsieve.printable import one_line

SCRIPT: Final = Path(str(files("newsieve.inference") / "tokenizer_check_process.py"))
CPU_SECONDS: Final = 20  # the largest tokenizers of published models take 3
MEMORY_BYTES: Final = 4 * 1024**3  # of address space; they take 1 GB
PATIENCE_SECONDS: Final = 120.0  # on the clock, where others use the processors
_QUIET: Final = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}


_tried: dict[str, int] = {}  # by what was tried: several filters often share one tokenizer


def highest_id(tokenizer: bytes, texts: Sequence[str], source: Path) -> int:
    """The largest token id that a tokenizer.json can give, once it was tried on these texts and on
    others that are hard for its own patterns. Raises StudentInvalid."""
    task = {"cpu_seconds": CPU_SECONDS, "memory_bytes": MEMORY_BYTES, "texts": texts}
    request = json.dumps(task).encode() + b"\n" + tokenizer
    key = hashlib.sha256(request).hexdigest()
    if key not in _tried:
        _tried[key] = _try(request, source)
    return _tried[key]


def _try(request: bytes, source: Path) -> int:
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(SCRIPT)],
            input=request,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            env={**os.environ, **_QUIET},
        )
        answer = json.loads(done.stdout)
    except OSError as error:
        raise _untried(source, error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise StudentInvalid(_too_costly(source)) from None
    except ValueError:  # it ended before it could answer: killed, out of memory, or for a fault
        if done.returncode > 0:
            said = done.stderr.decode(errors="replace").strip()
            raise _untried(source, said.rpartition("\n")[2]) from None
        raise StudentInvalid(_too_costly(source)) from None
    if "error" in answer:
        raise StudentInvalid(f"{source} is not a usable tokenizer: {one_line(answer['error'])}")
    return int(answer["highest_id"])


def _untried(source: Path, why: str) -> StudentInvalid:
    return StudentInvalid(
        f"{source} cannot be tried in a process of its own: {one_line(why)}. Let the program "
        f"start {sys.executable}"
    )


def _too_costly(source: Path) -> str:
    return (
        f"{source} costs more than {CPU_SECONDS} s or {MEMORY_BYTES / 1024**3:.0f} GiB to read and "
        "to use on short texts: its patterns or replacements explode. Take the tokenizer of the "
        "base model"
    )
