"""The loop that everybody writes first: transformers, arrival order, batches that are padded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from peer import Export, serve
from transformers import AutoModel, AutoTokenizer

BATCH = 16


def main() -> None:
    """Take the exported student's folder, and what is padded to: longest, or max_length."""
    export = Export(Path(sys.argv[1]))
    torch.set_num_threads(export.threads)
    tokenizer = AutoTokenizer.from_pretrained(export.backbone)
    model = AutoModel.from_pretrained(export.backbone).eval()

    def score(texts: list[str]) -> tuple[np.ndarray, int]:
        rows, tokens = [], 0
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                batch = tokenizer(
                    texts[start : start + BATCH],
                    padding=sys.argv[2],
                    truncation=True,
                    max_length=export.max_tokens,
                    return_tensors="pt",
                )
                mask = batch["attention_mask"].unsqueeze(-1).float()
                hidden = model(**batch).last_hidden_state
                pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
                rows.append(export.head(pooled.numpy()))
                tokens += int(mask.sum())
        return np.vstack(rows), tokens

    serve(("transformers", "torch"), export.texts, score)


main()
