"""`newsieve filters`: what filters there are, what one says, what its rules would do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from newsieve.cli.common import JsonOption, lines_of, open_input
from newsieve.errors import RecordError
from newsieve.filters.content_rules import ContentRules
from newsieve.filters.definition import Rule
from newsieve.filters.registry import Filter, available, load
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.json_parsing import MAX_RECORD_BYTES
from newsieve.terminal import echo, echo_err, show_json, show_table

RARE, COMMON = 0.002, 0.15  # a text rule outside these is perhaps broken rather than selective
# A rule as rare as RARE fires on one of so many articles with a probability of 95 %.
ENOUGH_ARTICLES: Final = 1_500

app = typer.Typer(help="List, show and check the filters.", no_args_is_help=True)

FilterArgument = Annotated[str, typer.Argument(metavar="F", help="A name, or name/vN.")]


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the filters.

    Example: newsieve filters list
    """
    rows = [_summary(load(reference)) for reference in available()]
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
def show(filter_: FilterArgument, json: JsonOption = False) -> None:
    """Show a filter: dimensions, rules, gates, caps, tiers, hashes.

    Example: newsieve filters show uplifting
    """
    chosen = load(filter_)
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
    json: JsonOption = False,
) -> None:
    """Validate a filter, and report how often each rule fires on a file of articles.

    A text rule that fires on fewer than 0.2 % or more than 15 % is pointed out. One that fires on
    none or all of 1,500 articles or more is a defect: exit 1. Rules with domains are only reported.

    Example: newsieve filters check uplifting --articles articles.jsonl
    """
    chosen = load(filter_)
    if articles is None:
        if json:
            show_json({"filter": chosen.reference, "valid": True})
        else:
            echo(f"{chosen.reference} is valid")
        return
    total, bad, met, blocked = _count(chosen, str(articles))
    rows = [_rate(rule, met, blocked, total) for rule in chosen.definition.rules]
    if json:
        show_json(
            {
                "filter": chosen.reference,
                "valid": True,
                "articles": total,
                "bad": bad,
                "rules": rows,
            }
        )
    else:
        echo(f"{chosen.reference} is valid; its rules on {total} articles, {bad} unreadable:")
        show_table(
            "",
            ["rule", "meets %", "blocks %", "note"],
            [(r["rule"], f"{r['meets']:.2%}", f"{r['blocks']:.2%}", r["note"]) for r in rows],
        )
    if any(row["defect"] for row in rows):
        raise typer.Exit(1)


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


def _count(filter_: Filter, file: str) -> tuple[int, int, Counter[str], Counter[str]]:
    rules = ContentRules([filter_.definition])
    policy = DecodePolicy(MAX_RECORD_BYTES, id_from_key=False)
    total, bad = 0, 0
    met: Counter[str] = Counter()
    blocked: Counter[str] = Counter()
    with open_input(file) as stream:
        for _, line in lines_of(stream):
            try:
                article = decode(RawRecord(line, None, None, None, {}), policy)
            except RecordError:
                bad += 1
                continue
            total += 1
            (found,) = rules.met(article.text, article.title, article.url)
            met.update(found.names)
            if found.blocked_by is not None:
                blocked[found.blocked_by] += 1
    if not total:
        echo_err(f"{file} has no readable article")
    return total, bad, met, blocked


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
