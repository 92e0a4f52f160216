"""Quix Streams, exactly once: the same loop in its terms. Run in its own environment."""

from __future__ import annotations

import logging

from meter import Meter, read_task
from quixstreams import Application


def main() -> None:
    task = read_task()
    app = Application(
        broker_address=task.servers,
        consumer_group=task.group,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        commit_every=2_000,
        commit_interval=5.0,
        loglevel=logging.ERROR,
        auto_create_topics=False,
    )
    raw = app.topic(task.topic, value_deserializer="bytes", key_deserializer="bytes")
    out = app.topic(task.out, value_serializer="bytes", key_serializer="bytes")
    app.dataframe(raw).to_topic(out)
    meter = Meter()
    app.run(count=task.records, collect=False)
    meter.report(task.records)


main()
