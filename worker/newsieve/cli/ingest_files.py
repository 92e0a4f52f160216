"""`newsieve ingest files`: puts the articles of files on the raw topic, and `newsieve produce` uses
it, too.

It knows no format of files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from typing import Annotated, Final

import typer

from newsieve.bootstrap.ingest_files import RunningSender, make_sender, reading_policy
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.errors import Fatal, Fenced, Unavailable
from newsieve.file_readers.content_kind import shown_name
from newsieve.file_readers.input_file import InputFile, input_files
from newsieve.file_readers.reading import ReadingPolicy
from newsieve.programs.ingest.archived_pages import ArchivedPages
from newsieve.programs.ingest.file_opening import FileToSend, checked
from newsieve.programs.ingest.file_progress import keyed
from newsieve.settings.loader import Settings
from newsieve.terminal import echo, echo_err, progress
from newsieve_schemas.ingest import FileState

MOST_REPORTED: Final = 100  # bad records, one by one; all are counted

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH…", help="Files and folders; - for standard input.")
]
AsIs = Annotated[
    bool,
    typer.Option("--as-is", help="Send each line of each file, whatever the file looks like."),
]


def ingest_files(paths: Paths, as_is: AsIs = False, config: ConfigOption = None) -> None:
    """Put the articles of files on the raw topic, each once, whatever ends the command.

    Files are JSON Lines, JSON arrays, JSON objects one behind another, CSV or tab-separated values
    with a header, or web archives (WARC); as they are or in gzip or zstd. What they are is read
    from their bytes. A bad record is named and stepped over, and the exit code is 1 at the end. A
    format that is not read, or a file that is missing, has exit code 2 before anything is sent.

    A command that was ended goes on where it was when it is given again.

    Example: newsieve ingest files articles.jsonl
    """
    send_files(read_settings(config), paths, keeps_bad_lines=as_is, is_lines=as_is)


def send_files(
    settings: Settings, paths: Sequence[str], *, keeps_bad_lines: bool, is_lines: bool
) -> None:
    """Send files and say what was sent. Exits with 1 if there were bad records."""
    files = keyed(input_files(paths))
    with closing(ArchivedPages()) as pages:
        policy = reading_policy(
            settings, pages.read, keeps_bad_lines=keeps_bad_lines, is_lines=is_lines
        )
        opened = checked(files, policy)
        running = make_sender(settings, files, policy.most_bytes, _Shown())
        _send(running, opened, policy)
    sender = running.sender
    passed_over = f" ({sender.passed_over:,} records that are no articles passed over)"
    echo(
        f"produced {sender.sent} records to {running.topic}"
        f"{passed_over if sender.passed_over else ''}"
    )
    if sender.rejected:
        echo_err(f"bad records, which were not sent: {sender.rejected:,}")
        raise typer.Exit(1)


def _send(running: RunningSender, files: Sequence[FileToSend], policy: ReadingPolicy) -> None:
    sender, known = running.sender, running.known
    for item in files:
        if item.keyed.place in known.former and item.keyed.key not in known.by_key:
            echo_err(
                f"{shown_name(item.keyed.file.name)} has changed since it was sent in part: it is "
                "sent from its beginning"
            )
    try:
        sender.send(files, known.by_key, policy)
        sender.forget([*(item.keyed.key for item in files), *known.former.values()])
    except Fenced:
        raise Fenced(
            "another command that sends the same files has taken over, or this one was away for "
            f"too long{_so_far(running)}"
        ) from None
    except (Unavailable, Fatal) as error:
        raise type(error)(f"{error}{_so_far(running)}") from None
    except KeyboardInterrupt:
        echo_err(f"interrupted{_so_far(running)}")
        raise


def _so_far(running: RunningSender) -> str:
    """Say how far a run came, and how it goes on."""
    sender = running.sender
    if sender.stopped_at is None:
        return ""
    file, place = sender.stopped_at
    advice = "The same command goes on from there"
    if file.fingerprint is None:
        advice = f"{shown_name(file.name)} cannot be read again"
    return (
        f". {sender.sent} records delivered; stopped at {shown_name(file.name)}, {place}. {advice}"
    )


class _Shown:
    """Shows on stderr what happens: a progress bar, and what is not sent."""

    def __init__(self) -> None:
        self._reported = 0

    def reading(self, file: InputFile) -> AbstractContextManager[Callable[[int], None]]:
        """Show a progress bar while a file is read."""
        return progress(f"sending {shown_name(file.name)}", file.size)

    def file_resumed(self, file: InputFile, state: FileState) -> None:
        """Say that a file is sent from where an earlier run ended."""
        echo_err(
            f"{shown_name(file.name)}: an earlier command sent it in part, and this one goes on "
            f"behind record {state.records:,}"
        )

    def record_rejected(self, file: InputFile, place: str, problem: str) -> None:
        """Name a bad record, unless there were very many."""
        self._reported += 1
        if self._reported <= MOST_REPORTED:
            echo_err(f"{shown_name(file.name)}, {place}: {problem}")
        if self._reported == MOST_REPORTED:
            echo_err("further bad records are counted, not named")
