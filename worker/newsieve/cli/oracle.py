"""`newsieve oracle` labels requests until it is told to stop; `oracle label` labels a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from newsieve.bootstrap import labeling as assembled
from newsieve.bootstrap.common import open_health, utc_now
from newsieve.cli.common import ConfigOption, open_input, read_settings
from newsieve.cli.first_line import require_json_lines
from newsieve.cli.lifecycle import EXIT_SECOND_SIGNAL, require_topics, stop_on_signals
from newsieve.errors import BudgetUsedUp, WrongUsage
from newsieve.oracle.batch_labeler import BatchLabeler, CostEstimate, Lines, Summary
from newsieve.oracle.budget import UNLIMITED_USD, Caps
from newsieve.oracle.label_file_writer import LabelFileWriter
from newsieve.oracle.providers.base import Provider
from newsieve.printable import printable
from newsieve.records.json_lines import lines_of
from newsieve.settings.loader import Settings
from newsieve.stream.metrics import OracleMetrics
from newsieve.terminal import echo, echo_err, progress
from newsieve_schemas.label_row import DEAD_LETTER

DEFAULT_FILTER: Final = "uplifting"
NO_LIMIT: Final = 10**9

app = typer.Typer()


@app.callback(invoke_without_command=True)
def oracle(context: typer.Context, config: ConfigOption = None) -> None:
    """Ask the oracle for a label of every request, and publish it exactly once, until SIGTERM.

    [oracle] sets which model is asked and what that may cost in a day; the key is set in
    NEWSIEVE_ORACLE__API_KEY. Exit codes: 0 drained, 1 a person is needed, 2 the settings are wrong,
    3 start it again.

    Example: newsieve oracle
    """
    if context.invoked_subcommand is not None:
        return
    settings = read_settings(config)
    stop = stop_on_signals("oracle")
    health = context.with_resource(open_health(settings, OracleMetrics()))
    with closing(assembled.make_provider(settings)) as provider:
        require_topics(settings, assembled.oracle_topics(settings))
        slot = assembled.acquire_slot(settings, health.watchdog.beat)
        running = assembled.make_labeling_loop(settings, provider, slot, health)
        health.watchdog.start()
        running.runner.run(running.loop, stop.is_set)


@app.command()
def label(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Articles, JSON Lines.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Labels, JSON Lines.")],
    filter_: Annotated[
        str, typer.Option("--filter", metavar="F", help="A name, or name/vN.")
    ] = DEFAULT_FILTER,
    max_calls: Annotated[
        int,
        typer.Option(
            "--max-calls", min=0, metavar="N", help="Calls of the whole labelling at most."
        ),
    ] = NO_LIMIT,
    max_usd: Annotated[
        float | None,
        typer.Option(
            "--max-usd", min=0, metavar="USD", help="Cost of the whole at most; needs prices."
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for every line without a label.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it begins.")] = False,
    config: ConfigOption = None,
) -> None:
    """Label a file of articles for training: one line out for each line in, in order.

    Newsieve's own records that have the text are articles, too. First it says what the labelling
    will cost, about and at most. If it is interrupted, run it again: what the same oracle has
    labelled in --out is not asked for again; lines that failed one after the other are, and with
    --retry-failed all lines without a label, each in its place.

    A bad line becomes a dead letter in its place. The exit code is 1 if there was one, if the
    budget ended first, or if no answer brings a label: then it stops after a few calls and says
    what the answers look like. oracle.calls_per_day limits the stream and not this command.

    Example: newsieve oracle label articles.jsonl --out labels.jsonl --filter uplifting --yes
    """
    settings = read_settings(config)
    caps = _caps(settings, max_calls, max_usd)
    with closing(assembled.make_provider(settings)) as provider:
        writer = LabelFileWriter(out, retry_failed=retry_failed)
        labeler = _batch_labeler(settings, provider, filter_, writer, caps)
        with _lines(file) as lines:
            estimate = labeler.estimate(lines)
        echo_err(_announcement(estimate, settings))
        if estimate.articles and not yes:
            _confirm()
        stop = stop_on_signals("oracle")
        try:
            with _lines(file) as lines, progress("labelling", estimate.lines) as advance:
                labeler.run(lines, stop.is_set, settings.oracle.drain_seconds, advance)
        finally:
            echo(_summary(out, labeler.summary, settings))
    _end(labeler.summary, is_interrupted=stop.is_set())


def _end(summary: Summary, *, is_interrupted: bool) -> None:
    """Exit as the labelling ended. Raises BudgetUsedUp."""
    if is_interrupted:
        echo_err("interrupted: the same command goes on")
        raise typer.Exit(EXIT_SECOND_SIGNAL)
    if summary.is_used_up:
        raise BudgetUsedUp("the budget is used up: the same command with a larger one goes on")
    if summary.statuses[DEAD_LETTER]:
        raise typer.Exit(1)


def _batch_labeler(
    settings: Settings, provider: Provider, filter_: str, writer: LabelFileWriter, caps: Caps
) -> BatchLabeler:
    chosen = settings.filters.registry.load(filter_)
    oracle = assembled.oracle_of(settings)
    pool = assembled.make_call_pool(settings, provider, _CallObserver())
    policy = settings.worker.decode_policy
    prompt = oracle.prompts[chosen.reference]
    return BatchLabeler(oracle, prompt, pool, writer, caps, policy, utc_now)


def _caps(settings: Settings, calls: int, usd: float | None) -> Caps:
    """Return the limits of the labelling. Raises WrongUsage."""
    if usd is not None and not _has_prices(settings):
        raise WrongUsage(
            "--max-usd limits nothing without prices: set NEWSIEVE_ORACLE__INPUT_USD_PER_MILLION "
            "and NEWSIEVE_ORACLE__OUTPUT_USD_PER_MILLION"
        )
    return Caps(calls, UNLIMITED_USD if usd is None else usd)


@contextmanager
def _lines(file: str) -> Iterator[Lines]:
    """Open the articles. Raises WrongUsage for standard input, which cannot be read twice."""
    if file == "-":
        raise WrongUsage("name a file: standard input cannot be read twice")
    with open_input(file) as stream:
        yield lines_of(require_json_lines(file, stream))


def _announcement(estimate: CostEstimate, settings: Settings) -> str:
    """Return what a labelling has to do, and what it will cost."""
    oracle = settings.oracle
    cost = (
        f"about USD {estimate.usd:,.2f}, at most {estimate.max_usd:,.2f} if no call is repeated"
        if _has_prices(settings)
        else "cost unknown: set oracle.input_usd_per_million and oracle.output_usd_per_million"
    )
    again = f"{estimate.again:,} of them once more, " if estimate.again else ""
    return (
        f"{estimate.articles:,} articles to label with {oracle.provider} "
        f"({again}{estimate.done:,} labelled already or twice in the file, {estimate.bad:,} bad "
        "lines): "
        f"about {estimate.input_tokens:,} tokens in and {estimate.output_tokens:,} out without "
        f"thinking; {cost}"
    )


def _has_prices(settings: Settings) -> bool:
    oracle = settings.oracle
    return bool(oracle.input_usd_per_million or oracle.output_usd_per_million)


def _confirm() -> None:
    """Ask whether to begin. Raises WrongUsage where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongUsage("there is no terminal to ask on: begin with --yes")
    typer.confirm("Begin?", abort=True, err=True)


def _summary(out: Path, summary: Summary, settings: Settings) -> str:
    """Return what a run has done, and what it has cost."""
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.statuses.items()))
    versions = ", ".join(
        f"{printable(name)} ({count:,})" for name, count in summary.versions.items()
    )
    cost = f"USD {summary.usd:,.4f}" if _has_prices(settings) else "cost unknown"
    text = (
        f"{out}: {counts or 'nothing new'}; {summary.calls:,} calls, "
        f"{summary.input_tokens:,} tokens in, {summary.output_tokens:,} out, "
        f"{cost}; answered by {versions or 'nobody'}"
    )
    if summary.suspect:
        text += (
            f". {summary.suspect:,} of them speak to a model, as `suspect` in their lines says: "
            "training leaves them out"
        )
    if len(summary.versions) > 1:
        text += ". Labels of different versions do not mix: training wants to know which"
    return text


class _CallObserver:
    """Says on standard error what keeps a labelling waiting."""

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """Do nothing: the progress bar shows it."""

    def withheld(self, reason: str) -> None:
        """Do nothing: the next answers show whether it matters."""

    def breaker_changed(self, *, is_open: bool, failures: int, seconds: float, reason: str) -> None:
        what = "the provider seems to be away" if is_open else "the provider asks to wait"
        if failures:
            echo_err(f"{what}: next call in {seconds:.1f} s ({reason})")
