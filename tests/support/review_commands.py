"""Steps of tests of `newsieve review`, as a person takes them in a working directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.cli import Result, newsieve


def review(*arguments: str, code: int = 0) -> Result:
    done = newsieve("review", *arguments)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    return done


def sampled(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    review("sample", "--out", "s.jsonl", "--seed", "s", *arguments)
    return [json.loads(line) for line in (folder / "s.jsonl").read_text().splitlines()]


def reviewed(folder: Path, name: str, *lines: str) -> str:
    (folder / name).write_text("".join(line + "\n" for line in lines))
    return name
