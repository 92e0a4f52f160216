"""`newsieve produce`: puts JSON Lines on the raw topic.

It does not check the articles: that is the worker's task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from newsieve.bootstrap.common import cluster
from newsieve.cli.common import ConfigOption, open_input, read_settings
from newsieve.cli.first_line import require_json_lines
from newsieve.errors import BrokerUnavailable, InputFileInvalid
from newsieve.kafka.producer import PlainProducer
from newsieve.records.decode import record_key
from newsieve.records.json_lines import lines_of
from newsieve.terminal import echo, echo_err, progress
from newsieve_schemas.topics import RAW, topic_name

UNLESS: Final = ". Nothing was sent; --as-is sends each line all the same"


def produce(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="JSON Lines; - for stdin.")],
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Send each line, whatever the first one looks like.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Put articles on the raw topic, one per line, as they are: bad lines too.

    If the first line of a file is not a JSON object, nothing is sent and the exit code is 2. A
    record's key is the id of its article, so that the versions of one article stay in order.

    Example: newsieve produce articles.jsonl
    """
    settings = read_settings(config)
    with ExitStack() as opened:
        inputs: list[tuple[str, Iterable[bytes]]] = []
        for file in files:
            stream = opened.enter_context(open_input(file))
            inputs.append((file, stream if as_is else require_json_lines(file, stream, UNLESS)))
        feeder = PlainProducer(cluster(settings), topic_name(settings.kafka.topic_prefix, RAW))
        _Feeding(feeder).run(inputs)
    echo(f"produced {feeder.delivered} records to {feeder.topic}")


class _Feeding:
    """Sends files to a producer; however it ends, what was sent is delivered and reported."""

    def __init__(self, feeder: PlainProducer) -> None:
        self._feeder = feeder
        self._file, self._line = "", 0

    def run(self, inputs: Sequence[tuple[str, Iterable[bytes]]]) -> None:
        """Send the files. Raises TopicsWrong, BrokerUnavailable or InputFileInvalid."""
        try:
            with self._feeder:
                for self._file, stream in inputs:
                    self._send(stream)
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"{error}{self._progress()}") from None
        except OSError as error:
            raise InputFileInvalid(
                f"cannot read {self._file}: {error.strerror or error}{self._progress()}"
            ) from None
        except KeyboardInterrupt:
            echo_err(f"interrupted{self._progress()}")
            raise

    def _send(self, stream: Iterable[bytes]) -> None:
        self._line = 0
        with progress(f"producing {self._file}", _size(self._file)) as advance:
            for number, line in lines_of(stream):
                self._line = number + 1
                self._feeder.send(record_key(line), line)
                advance(len(line) + 1)

    def _progress(self) -> str:
        if not self._file:  # no broker
            return ""
        delivered = self._feeder.delivered
        return f". {delivered} records delivered; stopped at {self._file}, line {self._line}"


def _size(file: str) -> int | None:
    path = Path(file)
    return path.stat().st_size if path.is_file() else None
