"""ONNX Runtime's pass over tokenized articles, sorted by length and cut by the worker's budget.

    python onnx_loop.py FOLDER BUDGET THREADS

It runs in an environment of its own (onnxruntime, onnx, onnxscript, torch, transformers), in a
folder that `merged_student.py` wrote. It prints `ready`, then one JSON line for each line that it
reads.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel

MODEL = "model.onnx"


class Merged(nn.Module):
    """A merged student in the plainest terms: backbone, mean over the tokens, linear head."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        head = load_file(folder / "head.safetensors")
        self.score = nn.Linear(head["weight"].shape[1], head["weight"].shape[0])
        self.score.load_state_dict(head)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        scores: Tensor = self.score((hidden * weights).sum(dim=1) / weights.sum(dim=1))
        return scores


def main() -> None:
    folder, budget, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if not (folder / MODEL).exists():
        _export(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        folder / MODEL, options, providers=["CPUExecutionProvider"]
    )
    articles = json.loads((folder / "tokens.json").read_text())
    batches = [_padded(batch) for batch in _buckets(articles, budget)]
    session.run(None, batches[0])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        scores = np.concatenate([session.run(None, batch)[0] for batch in batches])
        seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        # The mean score says whether it computed what the others did.
        report = {"articles": len(scores), **seconds, "mean_score": float(scores.mean())}
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


def _export(folder: Path) -> None:
    ids = torch.ones((2, 8), dtype=torch.int64)
    axes = {0: "articles", 1: "tokens"}
    with torch.inference_mode():
        torch.onnx.export(
            Merged(folder).eval(),
            (ids, ids),
            folder / MODEL,
            input_names=["input_ids", "attention_mask"],
            output_names=["scores"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "scores": {0: "articles"}},
            dynamo=False,
        )


def _buckets(articles: list[list[int]], budget: int) -> list[list[list[int]]]:
    """Longest first; each batch's size times its longest article is within the budget."""
    buckets: list[list[list[int]]] = []
    for article in sorted(articles, key=len, reverse=True):
        if not buckets or (len(buckets[-1]) + 1) * len(buckets[-1][0]) > budget:
            buckets.append([])
        buckets[-1].append(article)
    return buckets


def _padded(batch: list[list[int]]) -> dict[str, Any]:
    ids = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, article in enumerate(batch):
        ids[row, : len(article)] = article
        mask[row, : len(article)] = 1
    return {"input_ids": ids, "attention_mask": mask}


main()
