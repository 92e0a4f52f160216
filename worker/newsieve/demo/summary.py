"""Says what the demo did, to somebody who sees newsieve for the first time. Prints nothing
itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, Final

from newsieve.demo.incidents import BASELINE_LABELS, DIMENSIONS, DRIFTING, RISE, SWAPPED, Incidents
from newsieve.demo.run import DemoRun
from newsieve.filters.registry import Filter
from newsieve.printable import printable
from newsieve_schemas.topics import SCORED, tier_topic_name

EXAMPLES_PER_TIER: Final = 2
TITLE_CHARACTERS: Final = 70
TOP_DIMENSIONS: Final = 3


def summary(run: DemoRun) -> str:
    """Return the outcomes of each filter, the dead letters and the numbers of a run as text."""
    parts: list[str] = [""]
    for filter_ in run.filters:
        parts += [*_filter(run, filter_), ""]
    parts += [*_dead_letters(run), "", *_numbers(run)]
    return "\n".join(parts)


def what_drifted(run: DemoRun, incidents: Incidents) -> str:
    """Return what was staged, and what the drift monitor said about it."""
    names = " and ".join(DIMENSIONS)
    parts = [
        "",
        f"Drift: {run.labels} labels by an oracle that reads them from a file, the first "
        f"{BASELINE_LABELS} of each monitor its baseline.",
        f"  Staged: half way all further articles are rated {RISE} points higher in {names} "
        f"({DRIFTING}); for {SWAPPED} another version of the oracle answers.",
    ]
    for what, alert in (("drift", incidents.drift), ("swap", incidents.swap)):
        if alert is None:
            parts.append(f"  The staged {what} was NOT found.")
            continue
        parts += [
            f"  {alert['filter']}, {alert['scope']}: {alert['state'].upper()}, "
            f"{alert['cause'].replace('_', ' ') if alert['state'] == 'alert' else 'not tested'}",
            f"    {alert['headline']}.",
            f"    → {alert['action']['text']}",
        ]
    for alert in incidents.mistakes:
        parts.append(f"  NOT staged, but said: {alert['headline']} ({alert['cause']})")
    return "\n".join(parts)


def what_is_staged(demonstrated: Sequence[str], incidents: Incidents | None) -> str:
    """Return which parts of the demo are not what runs in production. `demonstrated` are the
    filters whose student ships with newsieve."""
    parts = [""]
    if incidents is not None:
        parts.append(
            "The oracle is staged: its labels come from a file, and half way another file makes "
            "the drift and the swap. Broker, workers and monitor are what runs in production."
        )
    if demonstrated:
        names = " and ".join(demonstrated)
        parts.append(
            f"The students of {names} are for demonstration on a CPU: judge no article by them."
        )
    return "\n".join(parts)


def further_commands(run: DemoRun, program: str, options: str, incidents: Incidents | None) -> str:
    """Return lines for a shell with which to look around; each command ends and has output.

    `program` is how the shell starts this newsieve, `options` are its common ones.
    """
    words = [f"tail {topic} --from-beginning --until-end" for topic in _topics_with_records(run)]
    if incidents is not None:
        words += ["drift status --html drift.html", "drift tail --from-beginning --until-end"]
    words += ["dlq list", "doctor"]
    variables = [f"export {name}='{value}'" for name, value in run.environment().items()]
    lines = [*variables, *(f"{program} {line}{options}" for line in words)]
    return "\n".join(f"  {line}" for line in lines)


def _topics_with_records(run: DemoRun) -> list[str]:
    """Return each filter's published tier with the most articles, or else the topic of all
    scores."""
    topics = []
    for filter_ in run.filters:
        published = filter_.definition.published_tiers
        mine = [item["tier"] for item in run.outcomes.scored if item["filter"] == filter_.name]
        counts = Counter(tier for tier in mine if tier in published)
        topics += [
            tier_topic_name(run.prefix, filter_.name, tier) for tier, _ in counts.most_common(1)
        ]
    if not topics and run.outcomes.scored:
        topics.append(run.topic(SCORED))
    return topics


def _filter(run: DemoRun, filter_: Filter) -> Iterator[str]:
    mine = [item for item in run.outcomes.scored if item["filter"] == filter_.name]
    tiers = Counter(item["tier"] for item in mine if item["outcome"] == "scored")
    yield f"{filter_.reference}: {filter_.definition.description}"
    published = filter_.definition.published_tiers
    for tier in dict.fromkeys(item.name for item in filter_.definition.tiers):
        where = f"→ {tier_topic_name(run.prefix, filter_.name, tier)}"
        yield f"  {tier:<16}{tiers[tier]:>6}  {where if tier in published else ''}".rstrip()
    blocked = Counter(item["blocked_by"] for item in mine if item["outcome"] == "blocked")
    if blocked:
        rules = ", ".join(f"{name} {count}" for name, count in blocked.most_common())
        yield f"  {'blocked':<16}{blocked.total():>6}  by content rules: {rules}"
    limits = Counter(name for item in mine for name in (*item["gates"], *item["caps"]))
    if limits:
        named = ", ".join(f"{name} {count}" for name, count in limits.most_common())
        yield f"  {'held down':<16}{'':>6}  by gates and caps: {named}"
    for tier in published:
        yield from _examples(tier, [item for item in mine if item["tier"] == tier])


def _examples(tier: str, articles: list[dict[str, Any]]) -> Iterator[str]:
    best = sorted(articles, key=lambda item: -item["score"])[:EXAMPLES_PER_TIER]
    for item in best:
        top = sorted(item["scores"].items(), key=lambda pair: -pair[1])[:TOP_DIMENSIONS]
        scores = ", ".join(f"{name} {score:.1f}" for name, score in top)
        title = printable(item["article"]["title"] or item["article"]["id"])[:TITLE_CHARACTERS]
        yield f"  {tier}, {item['score']:.2f}: “{title}” ({scores})"


def _dead_letters(run: DemoRun) -> Iterator[str]:
    letters = run.outcomes.letters
    yield f"Dead letters: {len(letters)}, with their original bytes, on {run.topic('dead-letter')}"
    counts = Counter((item["stage"], item["error"]) for item in letters)
    for (stage, error), count in counts.most_common():
        example = next(item for item in letters if item["error"] == error)
        yield f"  {count:>4}  {stage}: {error} ({printable(example['message'])[:TITLE_CHARACTERS]})"


def _numbers(run: DemoRun) -> Iterator[str]:
    outcomes = run.outcomes
    yield (
        f"Exactly once: {run.records} raw records × {len(run.filters)} filters = "
        f"{outcomes.expected} outcomes; missing {outcomes.missing}, doubled {outcomes.doubled}"
    )
    latencies = sorted(outcomes.latencies_seconds)
    slow = latencies[int(len(latencies) * 0.95)] if latencies else 0.0
    yield (
        f"Throughput: {run.records / run.stream_seconds:.1f} articles/s "
        f"({len(outcomes.scored) / run.stream_seconds:.1f} outcomes/s) with {run.workers} workers, "
        f"ready after {run.start_seconds:.1f} s"
    )
    middle = median(latencies) if latencies else 0.0
    yield (
        f"Latency, raw record to committed outcome: median {middle:.1f} s, 95 % {slow:.1f} s "
        "(all articles came at once, so most of it is waiting in line)"
    )
