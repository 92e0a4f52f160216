"""`newsieve filters`: lists, shows and checks filters, and begins new ones.

It knows neither students nor the broker.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from newsieve.cli.article_rates import TITLE_ONLY, TITLE_ONLY_MEND, rates, sentence
from newsieve.cli.common import ConfigOption, JsonOption, open_input, read_settings
from newsieve.errors import ArticleDeleted, FilterInvalid, RecordError, WrongUsage
from newsieve.filters.content_rules import ContentRules
from newsieve.filters.definition import Rule
from newsieve.filters.registry import Filter, FilterRegistry
from newsieve.filters.scaffold import filter_schema, write_new_filter
from newsieve.records.article_tally import ArticleTally
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.json_lines import lines_of
from newsieve.terminal import echo, echo_err, show_json, show_table

RARE, COMMON = 0.002, 0.15  # a text rule outside these is perhaps broken rather than selective
# A rule as rare as RARE fires on one of so many articles with a probability of 95 %.
ENOUGH_ARTICLES: Final = 1_500

app = typer.Typer(help="List, show, check and begin filters.", no_args_is_help=True)

FilterArgument = Annotated[str, typer.Argument(metavar="F", help="A name, or name/vN.")]


@app.command("list")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the filters: those of filters.path, then the built-in ones. Exit 2 if one is invalid.

    Example: newsieve filters list
    """
    filters = _registry(config)
    rows, invalid = [], []
    for reference in filters.references:
        try:
            rows.append(_summary(filters.load(reference)))
        except FilterInvalid as error:
            invalid.append(str(error))
    _print_summaries(rows, json=json)
    if invalid:
        raise FilterInvalid("\n".join(invalid))


def _print_summaries(rows: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        show_json(rows)
        return
    columns = ["filter", "dimensions", "published_tiers", "student"]
    show_table(
        "",
        columns,
        [
            (
                row["filter"],
                len(row["dimensions"]),
                ", ".join(row["published_tiers"]),
                "yes" if row["student"] else "no",
            )
            for row in rows
        ],
    )


@app.command()
def show(filter_: FilterArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show a filter: dimensions, rules, gates, caps, tiers, hashes.

    Example: newsieve filters show uplifting
    """
    chosen = _registry(config).load(filter_)
    if json:
        show_json({**_summary(chosen), "definition": chosen.definition.model_dump(mode="json")})
        return
    definition = chosen.definition
    echo(f"{chosen.reference}: {definition.description}")
    echo(f"filter hash {chosen.filter_hash}")
    echo(f"label hash  {chosen.label_hash}")
    echo("")
    show_table(
        "",
        ["dimension", "weight", "what it measures"],
        [(item.name, f"{item.weight:.3g}", item.measures) for item in definition.dimensions],
    )
    for gate in definition.gates:
        echo(f"\ngate {gate.name}: at most {gate.limit:g} when {gate.when}")
    for cap in definition.caps:
        condition = f" and {cap.when}" if cap.when is not None else ""
        echo(f"cap: at most {cap.limit:g} for articles that meet {cap.rule}{condition}")
    echo("")
    show_table(
        "",
        ["tier", "when", "published"],
        [
            (t.name, t.when or "all the rest", "yes" if t.published else "")
            for t in definition.tiers
        ],
    )
    if definition.rules:
        echo("")
        show_table(
            "",
            ["content rule", "effect", "what it finds"],
            [(r.name, "blocks" if r.blocks else "caps", r.description) for r in definition.rules],
        )


@app.command()
def check(
    filter_: FilterArgument,
    articles: Annotated[
        Path | None,
        typer.Option("--articles", metavar="FILE", help="JSON Lines to try the rules on."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Validate a filter, and report how often each rule fires on a file of articles.

    If the filter is not valid, each fault is named with file, line and key, and the exit code is 2.

    A text rule that fires on fewer than 0.2 % or more than 15 % of the articles is pointed out. One
    that fires on none or all of 1,500 articles or more is a defect: exit code 1. Rules with domains
    are only reported. How many articles are a title alone, have a date that is not understood, or
    came in an envelope, is said as well.

    Example: newsieve filters check uplifting --articles articles.jsonl
    """
    chosen = _registry(config).load(filter_)
    if articles is None:
        if json:
            show_json({"filter": chosen.reference, "valid": True})
        else:
            echo(f"{chosen.reference} is valid")
        return
    sample = _count(chosen, str(articles), read_settings(config).worker.decode_policy)
    total, bad = sample.tally.articles, sample.bad
    rows = [_rate(rule, sample.met, sample.blocked, total) for rule in chosen.definition.rules]
    if json:
        show_json(
            {
                "filter": chosen.reference,
                "valid": True,
                "articles": total,
                "bad": bad,
                "rules": rows,
                **rates(sample.tally),
            }
        )
    else:
        echo(f"{chosen.reference} is valid; its rules on {total} articles, {bad} unreadable:")
        show_table(
            "",
            ["rule", "meets %", "blocks %", "note"],
            [(r["rule"], f"{r['meets']:.2%}", f"{r['blocks']:.2%}", r["note"]) for r in rows],
        )
        echo(sentence(sample.tally))
    if sample.tally.is_mostly_title_only:
        echo_err(f"{TITLE_ONLY}; {TITLE_ONLY_MEND}")
    if any(row["defect"] for row in rows):
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a-z, 0-9 and _.")],
    config: ConfigOption = None,
) -> None:
    """Begin a filter: a commented filter.toml and a prompt, valid as they are, ready to be edited.

    They go to the first folder of filters.path, which is filters/ unless set otherwise. Nothing
    that exists is written over.

    Example: newsieve filters new my_filter
    """
    settings = read_settings(config)
    if not settings.filters.path:
        raise WrongUsage("filters.path names no folder: set one, such as filters")
    if name in settings.filters.registry.names:
        raise WrongUsage(f"there is a filter {name} already: take another name")
    folder = write_new_filter(settings.filters.path[0], name)
    echo(f"wrote {folder}: edit filter.toml and prompt.md there, then")
    echo(f"  newsieve filters check {name}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of filter.toml, with which editors complete and check it.

    Example: newsieve filters schema
    """
    show_json(filter_schema())


def _registry(config: Path | None) -> FilterRegistry:
    """Return the registry that the settings describe, and say which filters others hide."""
    filters = read_settings(config).filters.registry
    for item in filters.shadowed:
        echo_err(f"{item.reference} is taken from {item.used}; {item.ignored} is ignored")
    return filters


def _summary(filter_: Filter) -> dict[str, Any]:
    return {
        "filter": filter_.reference,
        "description": filter_.definition.description,
        "dimensions": list(filter_.definition.dimension_names),
        "published_tiers": list(filter_.definition.published_tiers),
        "filter_hash": filter_.filter_hash,
        "label_hash": filter_.label_hash,
        "student": (filter_.student_folder / "student.json").is_file(),
    }


@dataclass(slots=True)
class _Sample:
    """What a file of articles has: how they came in, how many lines are none, and how many met each
    rule or were blocked by it."""

    tally: ArticleTally = field(default_factory=ArticleTally)
    bad: int = 0
    met: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)


def _count(filter_: Filter, file: str, policy: DecodePolicy) -> _Sample:
    rules = ContentRules([filter_.definition])
    sample = _Sample()
    with open_input(file) as stream:
        for _, line in lines_of(stream):
            try:
                article = decode(RawRecord(line, None, None, None, {}), policy)
            except ArticleDeleted:
                continue
            except RecordError:
                sample.bad += 1
                continue
            sample.tally.add(article)
            (found,) = rules.match(article.text, article.title, article.url)
            sample.met.update(found.names)
            if found.blocked_by is not None:
                sample.blocked[found.blocked_by] += 1
    if not sample.tally.articles:
        echo_err(f"{file} has no readable article")
    return sample


def _rate(rule: Rule, met: Counter[str], blocked: Counter[str], total: int) -> dict[str, Any]:
    meets = met[rule.name] / total if total else 0.0
    is_judged = bool(rule.patterns and not rule.domains and total)
    defect = is_judged and total >= ENOUGH_ARTICLES and meets in (0, 1)
    remark = ""
    if defect:
        remark = f"a defect: {'always' if meets else 'never'} fires"
    elif is_judged and not RARE <= meets <= COMMON:
        remark = "fires too rarely" if meets < RARE else "fires too often"
    return {
        "rule": rule.name,
        "meets": meets,
        "blocks": blocked[rule.name] / max(total, 1),
        "defect": defect,
        "note": remark,
    }
