"""`newsieve produce`: the former name of `newsieve ingest files`, under which bad lines are sent.

It does not check the articles: that is the worker's task.
"""

from __future__ import annotations

from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.ingest_files import AsIs, Paths, send_files


def produce(paths: Paths, as_is: AsIs = False, config: ConfigOption = None) -> None:
    """Put articles on the raw topic: `newsieve ingest files`, but bad lines are sent, too.

    Each line of JSON Lines is sent as it is, so that a worker keeps a bad one as a dead letter. A
    record's key is the id of its article, so that the versions of one article stay in order.

    Example: newsieve produce articles.jsonl
    """
    send_files(read_settings(config), paths, keeps_bad_lines=True, is_lines=as_is)
