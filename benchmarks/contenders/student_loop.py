"""The same student in the loop everybody writes first: transformers, arrival order, padding."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import torch
from meter import Meter, read_task
from transformers import AutoTokenizer

from tests.support.raw_topic import readable
from newsieve.inference import adapter
from newsieve.inference.base_files import find_base
from newsieve.inference.manifest import read_manifest
from newsieve.inference.model import StudentModel, load_backbone
from tests.support.filters import load

BATCH = 16


def main() -> None:
    """`--topic` is the articles' file, `--out` filter:padding:threads (padding: longest, 512)."""
    task = read_task()
    name, padding, threads = task.out.split(":")
    torch.set_num_threads(int(threads))
    filter_ = load(name)
    manifest = read_manifest(filter_.student_folder)
    place = find_base(manifest.base.name, manifest.base.revision)
    model = StudentModel(
        load_backbone(place),
        manifest.pooling,
        len(manifest.dimensions),
        bias=manifest.head_bias,
    )
    adapter.merge(model, filter_.student_folder, manifest.trainable_parameters)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    lines = Path(task.topic).read_bytes().splitlines()
    articles = [text for text in map(readable, lines) if text is not None][: task.records]
    settings = (
        {"padding": "max_length", "max_length": 512}
        if padding == "512"
        else {"padding": "longest", "max_length": manifest.max_tokens}
    )
    meter = Meter()
    with torch.inference_mode():
        for at in range(0, len(articles), BATCH):
            texts = articles[at : at + BATCH]
            batch = tokenizer(texts, truncation=True, return_tensors="pt", **settings)
            model(batch["input_ids"], batch["attention_mask"]).tolist()
    meter.report(len(articles))


main()
