"""Collects labels from files and topics into a prepared run, with which all commands begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from newsieve.bootstrap.common import cluster, filter_registry
from newsieve.errors import WrongUsage
from newsieve.settings.loader import Settings
from newsieve.terminal import echo_err
from newsieve_training.data.kafka_labels import SNAPSHOT, Snapshot, read_topics, records_in
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.pipeline.files import write_text
from newsieve_training.pipeline.recipe import read_recipe
from newsieve_training.pipeline.run_folder import Run


def prepared(
    recipe_file: Path,
    labels: Sequence[Path],
    runs: Path,
    extends: Path | None,
    settings: Settings,
    *,
    from_kafka: bool,
) -> tuple[Run, bool]:
    """Return the run, and whether its data had to be made.

    With `from_kafka` the oracle's topics are read, too, and what they held is kept in the run's
    labels.jsonl, which can be named as a label file the next time.
    """
    if not labels and not from_kafka:
        raise WrongUsage("name files of labels, or give --from-kafka")
    recipe = read_recipe(recipe_file)
    filters = filter_registry(settings)
    filter_ = filters.load(recipe.filter)
    sources, records = records_in([read_source(path) for path in labels], filter_)
    if records is not None:
        _note(records, "in newsieve's records")
        sources.append(records.source)
    snapshot = None
    if from_kafka:
        kafka, prefix = cluster(settings), settings.kafka.topic_prefix
        snapshot = read_topics(kafka, prefix, filter_)
        _note(snapshot, "on the topics")
        sources.append(snapshot.source)
    run, made = prepare(recipe, sources, runs, filters, Run(extends, filters) if extends else None)
    if snapshot is not None:
        write_text(run.path(SNAPSHOT), snapshot.source.content.decode())
        echo_err(f"the topics go on; to go on with these labels, name {run.path(SNAPSHOT)}")
    return run, made


def _note(snapshot: Snapshot, where: str) -> None:
    left_out = "; ".join(f"{reason}: {count}" for reason, count in snapshot.left_out.items())
    echo_err(f"{snapshot.rows} labelled articles {where}; left out: {left_out or 'none'}")
