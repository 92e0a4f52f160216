"""The configuration and the surroundings of a fit: the content of training_metadata.json.

A table for people, and what the reports, the gate and the model card say of the fit.
"""

from __future__ import annotations

from typing import ClassVar

from newsieve_training.pipeline.recipe import Lora
from newsieve_training.pipeline.result_files import Part, ResultFile


class WarmStart(Part):
    """The student whose adapter a fit continues from: the adapter's hash and the student's run.

    `may_have_seen_the_judging_articles` says that it may have been trained on articles that judge
    the new student.
    """

    adapter: str
    may_have_seen_the_judging_articles: bool
    run: str | None


class TrainingMetadata(Part, ResultFile):
    """The content of training_metadata.json. `start` is None for a fit from the base."""

    FILE: ClassVar = "training_metadata.json"

    filter: str
    base_model: str
    revision: str
    input: str
    articles: int
    splits: dict[str, int]
    split_kind: str
    dimensions: int
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup: float
    max_tokens: int
    loss: str
    seed: int
    precision: str
    lora: Lora
    trainable_parameters: int
    all_parameters: int
    trainable_share: float
    start: WarmStart | None
    device: str
    threads: int
    processes: int
    python: str
    versions: dict[str, str]
