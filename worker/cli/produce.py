"""`newsieve produce`: JSON Lines to the raw topic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.topics import RAW, topic_name
from worker.assemble import cluster
from worker.cli.common import ConfigOption, lines_of, open_input, progress, read_settings, say
from worker.codec.decode import record_key
from worker.kafka.feed import Feeder


def produce(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="JSON Lines; - for stdin.")],
    config: ConfigOption = None,
) -> None:
    """Put articles on the raw topic, one per line, as they are: bad lines too.

    A record's key is its article's id, so that one article's versions stay in order.

    Example: newsieve produce articles.jsonl
    """
    settings = read_settings(config)
    with Feeder(cluster(settings), topic_name(settings.kafka.topic_prefix, RAW)) as feeder:
        for file in files:
            with open_input(file) as stream, progress(f"producing {file}", _size(file)) as advance:
                for _, line in lines_of(stream):
                    feeder.send(record_key(line), line)
                    advance(len(line) + 1)
    say(f"produced {feeder.delivered} records to {feeder.topic}")


def _size(file: str) -> int | None:
    path = Path(file)
    return path.stat().st_size if path.is_file() else None
