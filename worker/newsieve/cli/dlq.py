"""`newsieve dlq`: lists dead letters, and replays them once the cause is repaired.

It does not know why a record failed.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from newsieve.bootstrap.common import cluster, secret_key, utc_now
from newsieve.cli.common import ConfigOption, JsonOption, moment_of, read_settings
from newsieve.kafka.dead_letter_topic import DeadLetters, Selection
from newsieve.printable import printable
from newsieve.settings.loader import Settings
from newsieve.terminal import echo, echo_err, show_json, show_table
from newsieve_schemas.dead_letter import Stage

app = typer.Typer(help="List dead letters, and replay them.", no_args_is_help=True)

StageOption = Annotated[
    Stage | None, typer.Option("--stage", help="Only letters that failed at this stage.")
]
ErrorOption = Annotated[
    str | None, typer.Option("--error", help="Only letters of this error, such as InvalidJson.")
]
FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="F", help="Only letters of this filter (of name/vN, the name counts)."
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="Only letters that failed at or after this time, ISO 8601."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Only letters that failed before this time, ISO 8601.")
]


@app.command("list")
def list_(
    stage: StageOption = None,
    error: ErrorOption = None,
    filter_: FilterOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    records: Annotated[
        bool, typer.Option("--records", help="List each letter instead of counts.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Count dead letters by stage and error, or list them one by one.

    Example: newsieve dlq list --stage decode
    """
    settings = read_settings(config)
    selection = _selection(settings, stage, error, filter_, since, until)
    letters = _dead_letters(settings).letters(selection)  # not held: each has its whole record
    if records:
        rows = [
            {
                "letter": f"{item.stored.partition[1]}/{item.stored.offset}",
                **item.why,
                "replayed": item.is_replayed,
            }
            for item in letters
        ]
        columns = ["letter", "stage", "error", "filter", "attempts", "replayed", "truncated"]
        columns.append("message")
    else:
        counts = Counter(
            (item.why.get("stage"), item.why.get("error"), item.why.get("filter"), item.is_replayed)
            for item in letters
        )
        columns = ["stage", "error", "filter", "replayed", "count"]
        rows = [dict(zip(columns, (*key, n), strict=True)) for key, n in counts.most_common()]
    if json:
        show_json(rows)
    elif rows:
        show_table("", columns, [[_cell(row.get(name)) for name in columns] for row in rows])
    else:
        echo("no dead letters")


@app.command()
def replay(
    stage: StageOption = None,
    error: ErrorOption = None,
    filter_: FilterOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.001, metavar="N", help="Replay at most N letters a second."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Put raw records that are dead letters back, each at most once, for the filter that failed.

    If it is killed, run it again: nothing is doubled. Records are signed with sampling.key, which
    workers that have a key require. Letters of other topics than the raw one stay where they are.

    Example: newsieve dlq replay --stage score --filter uplifting --rate 50
    """
    settings = read_settings(config)
    selection = _selection(settings, stage, error, filter_, since, until)
    letters = _dead_letters(settings)
    replayed = letters.replay(selection, rate, utc_now)
    echo(f"replayed {replayed.total()} dead letters")
    if letters.retimed:
        echo_err(
            f"{letters.retimed} of them have the present time: the topic does not take records of "
            "their original one"
        )
    for reason, count in letters.originals.missed.items():
        echo_err(f"{count} dead letters are left where they are: {reason}")
    if letters.left:
        echo_err(
            f"{letters.left.total()} others are not put back, since they are no raw records: "
            f"{_counted(letters.left)}"
        )
    if replayed and settings.sampling.key is None:
        echo_err(
            "sampling.key is not set here, so nothing was signed: workers that have one score "
            "these records for all of their filters"
        )
    ours = {reference.partition("/")[0] for reference in settings.worker.filters}
    others = Counter({name: n for name, n in replayed.items() if name and name not in ours})
    if others:
        echo_err(
            f"{others.total()} of them are for filters that are not in worker.filters: "
            f"{_counted(others)}"
        )


def _counted(names: Counter[str]) -> str:
    return printable(", ".join(f"{name} ({n})" for name, n in names.most_common()))


def _dead_letters(settings: Settings) -> DeadLetters:
    prefix = settings.kafka.topic_prefix
    return DeadLetters(cluster(settings), prefix, secret_key(settings))


def _selection(
    settings: Settings,
    stage: Stage | None,
    error: str | None,
    filter_: str | None,
    since: str | None,
    until: str | None,
) -> Selection:
    """Return which letters the options select. Raises UnknownFilter or WrongUsage."""
    name = settings.filters.registry.load(filter_).name if filter_ is not None else None
    return Selection(stage, error, name, _utc("--since", since), _utc("--until", until))


def _utc(option: str, text: str | None) -> str | None:
    """Normalise an ISO 8601 time, so that times can be compared as text."""
    if text is None:
        return None
    return moment_of(option, text).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: object) -> str:
    if value is None or value is False:
        return ""
    return "yes" if value is True else str(value)
