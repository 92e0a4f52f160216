"""A student's folder, changed at random: bytes flipped, files cut off, values of JSON replaced."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FILES = (
    "student.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "canaries.jsonl",
    "tokenizer.json",
)
VALUES = (
    None,
    True,
    0,
    -1,
    10**9,
    10**30,
    1e308,
    "",
    "x" * 2_000,
    "\x1b[2J",
    "\ud800",
    [],
    {},
    [[]],
    {"": None},
    ["a", 1],
)
FLIPS = 8
HEAD_BYTES = 4_096  # of a file: most of what means something stands there


def mutate(folder: Path, seed: int) -> str:
    """Change one file of the folder. Returns what was done."""
    chance = random.Random(seed)
    path = folder / FILES[seed % len(FILES)]
    ways = [_flip, _cut, _swap_json] if path.suffix == ".json" else [_flip, _cut]
    way = chance.choice(ways)
    way(path, chance)
    return f"{way.__name__} {path.name}"


def _flip(path: Path, chance: random.Random) -> None:
    facts = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, FLIPS)):
        facts[chance.randrange(min(len(facts), chance.choice([HEAD_BYTES, len(facts)])))] ^= (
            1 << chance.randrange(8)
        )
    path.write_bytes(facts)


def _cut(path: Path, chance: random.Random) -> None:
    facts = path.read_bytes()
    path.write_bytes(facts[: chance.randrange(len(facts))])


def _swap_json(path: Path, chance: random.Random) -> None:
    facts: Any = json.loads(path.read_text())
    holder, key = chance.choice(_places(facts))
    holder[key] = chance.choice(VALUES)
    path.write_text(json.dumps(facts))


def _places(facts: Any) -> list[tuple[Any, Any]]:
    """Where a value may be replaced, the outer ones as likely as the many inner ones."""
    found: list[tuple[Any, Any]] = []
    level = [facts]
    while level and len(found) < 2_000:
        inner = []
        for holder in level:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            found += [(holder, key) for key in keys]
            inner += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
        level = inner
    return found
