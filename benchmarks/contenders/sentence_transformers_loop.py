"""sentence-transformers as its documentation has it: texts in, its own sorting, mean pooling."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from peer import Export, serve
from sentence_transformers import SentenceTransformer, models


def main() -> None:
    """Take the exported student's folder."""
    export = Export(Path(sys.argv[1]))
    torch.set_num_threads(export.threads)
    backbone = models.Transformer(str(export.backbone), max_seq_length=export.max_tokens)
    pooling = models.Pooling(backbone.get_word_embedding_dimension(), "mean")
    model = SentenceTransformer(modules=[backbone, pooling], device="cpu")
    tokens = [
        len(ids) for ids in model.tokenizer(export.texts, truncation=True)["input_ids"]
    ]  # fmt: skip

    def score(texts: list[str]) -> tuple[np.ndarray, int]:
        pooled = model.encode(texts, show_progress_bar=False)
        return export.head(pooled), sum(tokens)

    serve(("sentence-transformers", "transformers", "torch"), export.texts, score)


main()
