"""What the peers of the engine's benchmark share: an exported student, texts, and one pass for each
line on stdin.

It runs in the peers' own environments, so that it imports nothing of newsieve.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

WARM_UP = 48  # texts


class Export:
    """A merged student in fp32, as `peers.export` writes it, and the texts to score."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = json.loads((folder / "about.json").read_text())
        self.max_tokens: int = about["max_tokens"]
        self.budget_tokens: int = about["budget_tokens"]
        self.threads: int = about["threads"]
        self.backbone = folder / "backbone"
        self.weight = np.array(about["head_weight"], dtype=np.float32)
        self.bias = np.array(about["head_bias"], dtype=np.float32)
        self.texts: list[str] = json.loads((folder / "texts.json").read_text())

    def head(self, pooled: np.ndarray) -> np.ndarray:
        """The scores of (N, hidden) means."""
        return pooled @ self.weight.T + self.bias


def serve(
    packages: Sequence[str], texts: list[str], score: Callable[[list[str]], tuple[np.ndarray, int]]
) -> None:
    """Say which versions run, and then score all texts once for every line that comes.

    A few are scored before, to be warm. `score` returns the (N, D) scores, in the order of the
    texts, and how many tokens it read.
    """
    _say({"versions": ", ".join(f"{name} {version(name)}" for name in packages)})
    score(texts[:WARM_UP])
    for _ in sys.stdin:
        since = time.perf_counter()
        scores, tokens = score(texts)
        seconds = time.perf_counter() - since
        _say({"seconds": seconds, "tokens": tokens, "scores": scores.tolist()})


def _say(answer: object) -> None:
    sys.stdout.write("PEER " + json.dumps(answer) + "\n")
    sys.stdout.flush()
