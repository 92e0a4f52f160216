"""`newsieve review`: samples for people to review, their reviews from files, and what they say.

It works on the file of `newsieve serve`, whether that runs or not. What a review means it does not
know.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from newsieve.cli.common import ConfigOption, JsonOption, moment_of, open_input, read_settings
from newsieve.cli.review_report import report_json, show_report
from newsieve.errors import InputFileInvalid
from newsieve.files import whole_file
from newsieve.filters.registry import Filter
from newsieve.programs.reviewing.service import DrawnSample, Reviewing, SampleWanted
from newsieve.review.judgement import InvalidReview, reviewer_name, told
from newsieve.review.records import file_labels, judged_articles, label_rows, task_of
from newsieve.review.sampling import SEED_PATTERN
from newsieve.review.task_files import (
    json_lines,
    label_studio_config,
    label_studio_tasks,
    read_reviews,
)
from newsieve.settings.loader import Settings
from newsieve.store.reviews import ReviewStore
from newsieve.terminal import echo, show_json

DEFAULT_FILTER: Final = "uplifting"
DEFAULT_SIZE: Final = 50
MOST_ARTICLES: Final = 100_000
CONFIG_SUFFIX: Final = ".config.xml"

app = typer.Typer(
    help="Give people articles to score blind, and compare them with oracle and student.",
    no_args_is_help=True,
)

FilterOption = Annotated[
    str, typer.Option("--filter", metavar="F", help="A filter's name, or name/vN.")
]


class TaskFormat(StrEnum):
    """How the file of a sample is written."""

    JSONL = "jsonl"
    LABEL_STUDIO = "label-studio"


@app.command()
def sample(
    filter_: FilterOption = DEFAULT_FILTER,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Also write the articles to this file."),
    ] = None,
    size: Annotated[
        int, typer.Option("--size", min=2, max=MOST_ARTICLES, metavar="N", help="Articles.")
    ] = DEFAULT_SIZE,
    reviews: Annotated[
        int,
        typer.Option(
            "--reviews", min=1, max=100, metavar="N", help="People that are to review each article."
        ),
    ] = 1,
    seed: Annotated[
        str | None,
        typer.Option("--seed", metavar="S", help="Draw by this word; default: a random one."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Only articles scored at or after this time, ISO 8601."),
    ] = None,
    format_: Annotated[
        TaskFormat, typer.Option("--format", help="Of --out; label-studio: its tasks, as JSON.")
    ] = TaskFormat.JSONL,
    config: ConfigOption = None,
) -> None:
    """Draw articles for people to review: half where oracle and student differ most, half at
    random.

    The sample is stored: the page /review gives its articles to whoever signs in for it. The file
    has the same articles, without scores or tiers; `newsieve review import` takes it when scores
    are filled in. For Label Studio, its labelling configuration is written beside it, to
    FILE.config.xml. A --seed that was used before gives the same sample again.

    Example: newsieve review sample --filter uplifting --out sample.jsonl --size 20
    """
    settings = read_settings(config)
    chosen = settings.filters.registry.load(filter_)
    if seed is not None:
        _require_seed(seed)
    since_ms = 0 if since is None else int(moment_of("--since", since).timestamp() * 1_000)
    wanted = SampleWanted(size, max(since_ms, 0), reviews, seed)
    drawn = _reviewing(settings).draw(chosen, wanted)
    if out is not None:
        _write_tasks(out, format_, drawn, chosen)
    echo(_summary(drawn, chosen))


@app.command("import")
def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Reviews: JSON Lines, or Label Studio's JSON.")
    ],
    filter_: FilterOption = DEFAULT_FILTER,
    reviewer: Annotated[
        str | None,
        typer.Option(
            "--reviewer", metavar="NAME", help="Who reviewed, where the file has no name."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Take in reviews from a file, all of them or none.

    A line is one of `review sample`, with a whole number from 0 to 10 for each dimension in
    `scores`, or with `"status": "refused"` for what cannot be judged; `note` and `reviewer` may be
    there. Of Label Studio's JSON export each annotation counts; one that was skipped cannot be
    judged. The same file again changes nothing.

    Example: newsieve review import reviewed.jsonl --reviewer ann
    """
    settings = read_settings(config)
    chosen = settings.filters.registry.load(filter_)
    name = None if reviewer is None else reviewer_name(reviewer)
    with open_input(file) as stream:
        found = read_reviews(stream.read(), chosen, name)
    if found.errors:
        raise InvalidReview(f"{file}: {told(found.errors)}")
    saved = _reviewing(settings).save(chosen, found.reviews)
    echo(
        f"{file}: {saved.new:,} new reviews, {saved.known:,} known already, {found.unreviewed:,} "
        "articles without one"
    )


@app.command()
def report(
    filter_: FilterOption = DEFAULT_FILTER,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="FILE", help="Also compare these labels of `newsieve oracle label`."
        ),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show how far oracle, student and people agree with each person, on each dimension.

    Articles that were drawn at random stand for all that could be drawn: their numbers are weighted
    and have 95 % intervals. Those of largest disagreement are shown apart.

    Example: newsieve review report --filter uplifting
    """
    settings = read_settings(config)
    chosen = settings.filters.registry.load(filter_)
    more = None
    if labels is not None:
        with open_input(labels) as stream:
            more = file_labels(labels, stream, chosen)
    found = _reviewing(settings).report(chosen, more)
    if json:
        show_json(report_json(found))
    else:
        show_report(found)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="JSON Lines.")],
    filter_: FilterOption = DEFAULT_FILTER,
    articles: Annotated[
        bool,
        typer.Option(
            "--articles", help="Write the articles alone, each once, for `newsieve oracle label`."
        ),
    ] = False,
    fewest_reviews: Annotated[
        int,
        typer.Option(
            "--fewest-reviews", min=1, metavar="N", help="With --articles: only of N or more."
        ),
    ] = 1,
    config: ConfigOption = None,
) -> None:
    """Write reviews as lines of a label file, which training reads; each person is an oracle.

    With --articles it writes what people have judged, without labels: label that twice or more by
    the oracle that is at work, put the results into one file, and it has the drift monitor's
    anchors.

    Example: newsieve review export --filter uplifting --out human.jsonl
    """
    settings = read_settings(config)
    chosen = settings.filters.registry.load(filter_)
    reviews = _reviewing(settings).reviews_with_text(chosen)
    rows = (
        [orjson.dumps(item) for item in judged_articles(reviews, fewest_reviews)]
        if articles
        else [item.model_dump_json().encode() for item in label_rows(reviews)]
    )
    _write(out, b"".join(row + b"\n" for row in rows))
    echo(f"{out}: {len(rows):,} {'articles' if articles else 'reviews'}")


def _reviewing(settings: Settings) -> Reviewing:
    return Reviewing(ReviewStore(settings.serve.store))


def _require_seed(seed: str) -> None:
    if SEED_PATTERN.fullmatch(seed) is None:
        raise InvalidReview(
            f"--seed {seed!r:.60} has others than letters, digits, dots and dashes, or more than 40"
        )


def _summary(drawn: DrawnSample, filter_: Filter) -> str:
    sample_ = drawn.sample
    at_random = [task.item.pi for task in drawn.tasks if task.item.pi is not None]
    pi = f", each with probability {at_random[0]:.3g}" if at_random else ""
    again = "" if drawn.is_new else "drawn before, and unchanged: "
    return (
        f"{again}sample {sample_.id} of {filter_.reference}, seed {sample_.seed}: "
        f"{len(at_random):,} of {sample_.frame:,} articles at random{pi}, and "
        f"{len(drawn.tasks) - len(at_random):,} where oracle and student differ most"
    )


def _write_tasks(out: Path, format_: TaskFormat, drawn: DrawnSample, filter_: Filter) -> None:
    tasks = [task_of(task.scored, task.item.content) for task in drawn.tasks]
    if format_ is TaskFormat.JSONL:
        _write(out, json_lines(tasks, filter_))
        return
    _write(out, label_studio_tasks(tasks, filter_))
    _write(out.with_name(out.name + CONFIG_SUFFIX), label_studio_config(filter_).encode())


def _write(path: Path, content: bytes) -> None:
    try:
        with whole_file(path) as stream:
            stream.write(content)
    except OSError as error:
        raise InputFileInvalid(f"cannot write {path}: {error.strerror}") from None
