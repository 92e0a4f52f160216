"""The engine's peers on a CPU: processes in environments of their own that score the same texts.

Each gets the merged student in fp32 as files, and reports its time and scores for every pass that
it is asked for, so that all take turns with newsieve's own ways.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contest import CONTENDERS, own_python
from benchmarks.engine_cases import Corpus, Models
from newsieve.inference.padded_forward import CPU_BUDGET_TOKENS

SECONDS_TO_END = 30
TORCH = tuple(f"{name}=={version(name)}" for name in ("torch", "transformers"))  # as newsieve's


@dataclass
class Peer:
    """One running peer."""

    name: str
    versions: str
    process: subprocess.Popen[str]
    tokens: int  # that the texts have as newsieve reads them
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))

    def run(self) -> float:
        """Have all texts scored once; return the seconds that it took."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = _answer(self.process)
        assert answer["tokens"] == self.tokens, f"{self.name} reads {answer['tokens']:,} tokens"
        self.scores = np.array(answer["scores"])
        return float(answer["seconds"])


# Its name, its script with arguments, and what its environment holds.
CONTENDING = (
    (
        "transformers, batch 16, padded to the longest",
        ("transformers_loop.py", "longest"),
        TORCH,
    ),
    (
        "transformers, batch 16, padded to the window",
        ("transformers_loop.py", "max_length"),
        TORCH,
    ),
    (
        "sentence-transformers, text in",
        ("sentence_transformers_loop.py",),
        (*TORCH, "sentence-transformers==6.2.0"),
    ),
    (
        "ONNX Runtime, sorted, the same budget",
        ("onnx_loop.py",),
        (*TORCH, "onnxruntime==1.32.0", "onnx==1.23.2", "onnxscript==0.7.2"),
    ),
)


def start_peers(stack: ExitStack, models: Models, student: Path, corpus: Corpus) -> list[Peer]:
    """Start every peer. They end with the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    export(folder, models, student, corpus)
    peers: list[Peer] = []
    for name, (script, *arguments), packages in CONTENDING:
        process = subprocess.Popen(
            [
                own_python(script.removesuffix(".py"), packages),
                CONTENDERS / script,
                folder,
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(_end, process)
        peers.append(Peer(name, _answer(process)["versions"], process, corpus.count))
    return peers


def export(folder: Path, models: Models, student: Path, corpus: Corpus) -> None:
    """Write the merged student and the texts for the peers."""
    backbone: Any = models.merged.model
    backbone.save_pretrained(folder / "backbone")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(student / name, folder / "backbone" / name)
    head = models.merged.score
    about = {
        "max_tokens": corpus.tokeniser.max_tokens,
        "budget_tokens": CPU_BUDGET_TOKENS,
        "threads": torch.get_num_threads(),
        "head_weight": head.weight.tolist(),
        "head_bias": head.bias.tolist() if head.bias is not None else [0.0] * len(head.weight),
    }
    (folder / "about.json").write_text(json.dumps(about))
    (folder / "texts.json").write_text(json.dumps(corpus.texts))


def _answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("PEER "):
            return json.loads(line.removeprefix("PEER "))
    raise SystemExit(f"{process.args!r} ended with code {process.wait()}: see above why")


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.wait(SECONDS_TO_END)
    process.stdout.close()
