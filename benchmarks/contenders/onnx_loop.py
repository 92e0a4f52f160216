"""ONNX Runtime over the student exported to ONNX: sorted by length, a budget of padded tokens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from peer import Export, serve
from tokenizers import Tokenizer
from transformers import AutoModel


def main() -> None:
    """Take the exported student's folder."""
    export = Export(Path(sys.argv[1]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = export.threads
    session = onnxruntime.InferenceSession(
        _exported(export), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_file(str(export.backbone / "tokenizer.json"))
    tokenizer.enable_truncation(export.max_tokens)
    tokenizer.no_padding()

    def score(texts: list[str]) -> tuple[np.ndarray, int]:
        ids = [item.ids for item in tokenizer.encode_batch(texts)]
        scores = np.empty((len(ids), len(export.bias)))
        for rows in _batches([len(row) for row in ids], export.budget_tokens):
            mask = np.zeros((len(rows), len(ids[rows[0]])), dtype=np.int64)
            padded = np.zeros_like(mask)
            for place, row in enumerate(rows):
                padded[place, : len(ids[row])] = ids[row]
                mask[place, : len(ids[row])] = 1
            (scores[rows],) = session.run(None, {"ids": padded, "mask": mask})
        return scores, sum(map(len, ids))

    serve(("onnxruntime", "onnx", "torch"), export.texts, score)


def _batches(lengths: list[int], budget: int) -> list[list[int]]:
    """Split texts, longest first, into batches that are within the budget once padded."""
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if found and lengths[found[-1][0]] * (len(found[-1]) + 1) <= budget:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _exported(export: Export) -> str:
    """The path of the student in ONNX, with texts and tokens of any number."""
    file = export.folder / "student.onnx"
    model = AutoModel.from_pretrained(export.backbone, attn_implementation="eager").eval()

    class Merged(torch.nn.Module):
        """The backbone, the mean over each text's tokens, and the head."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.score = torch.nn.Linear(*export.weight.T.shape)
            self.score.weight.data = torch.from_numpy(export.weight)
            self.score.bias.data = torch.from_numpy(export.bias)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            return self.score((hidden * weights).sum(dim=1) / weights.sum(dim=1))

    ids = torch.ones(3, 17, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[0, 9:] = 0  # a mask of ones alone may be left out
    axes = {0: "texts", 1: "tokens"}
    # What the older exporter makes of plain attention is what ONNX Runtime runs fastest.
    torch.onnx.export(
        Merged().eval(), (ids, mask), file, dynamo=False,
        input_names=["ids", "mask"], output_names=["scores"],
        dynamic_axes={"ids": axes, "mask": axes, "scores": {0: "texts"}},
    )  # fmt: skip
    return os.fspath(file)


main()
