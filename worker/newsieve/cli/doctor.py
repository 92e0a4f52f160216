"""`newsieve doctor`: reports what is wrong, and which command repairs it.

It changes nothing, neither on the broker nor on disk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import typer

from newsieve.bootstrap import drift, ingest_feeds
from newsieve.bootstrap import labeling as assembled
from newsieve.bootstrap.common import all_topics, cluster, load_filters
from newsieve.bootstrap.scoring import worker_topics
from newsieve.bootstrap.students import load_candidates, load_students
from newsieve.cli.application import missing_package
from newsieve.cli.article_rates import TITLE_ONLY, TITLE_ONLY_MEND, sentence
from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.cli.sampling_key import examine_key
from newsieve.drift.power_analysis import days_until_found, labels_a_day, rise_found_within
from newsieve.errors import (
    AccessDenied,
    ArticleDeleted,
    NewsieveError,
    RecordError,
    TopicsWrong,
)
from newsieve.filters.registry import Filter
from newsieve.kafka.acls import missing_rights
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import APP
from newsieve.kafka.group_membership import ADVICE, group_of, occupation
from newsieve.kafka.topic_reader import newest_records
from newsieve.records.article_tally import ArticleTally
from newsieve.records.decode import decode
from newsieve.settings.loader import Settings
from newsieve.terminal import show_json, show_table
from newsieve_schemas.topics import RAW, Topic, topic_name

SAMPLE_RECORDS: Final = 100  # of the raw topic: each may have megabytes
SAMPLE_SECONDS: Final = 10.0

Verdict = Literal["ok", "wrong", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the report: what was checked, the verdict, and a command that repairs it."""

    check: str
    verdict: Verdict
    finding: str
    mend: str = ""


def doctor(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Check settings, filters, students, device, broker, topics, rights and label rate.

    Exits with 1 if something is wrong. Each row says which command repairs it.

    Example: newsieve doctor
    """
    settings = read_settings(config)
    findings = list(_examine(settings))
    if json:
        show_json([dataclasses.asdict(item) for item in findings])
    else:
        rows = [(item.check, item.verdict, item.finding, item.mend) for item in findings]
        show_table("", ["check", "", "finding", "mend with"], rows)
    if any(item.verdict == "wrong" for item in findings):
        raise typer.Exit(1)


def _examine(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", "ok", "read; no unknown names")
    if settings.worker.slot is None:
        yield Finding(
            "slot", "note", "NEWSIEVE_WORKER__SLOT is not set", "set it, stable per replica"
        )
    filters: list[Filter] = []
    yield from _guarded("filters", lambda: _filters(settings, filters))
    if filters:
        yield from _guarded("students", lambda: _students(settings, filters))
        broker = list(_guarded("broker", lambda: _broker(settings, filters)))
        yield from broker
        is_there = any(item.check == "broker" and item.verdict == "ok" for item in broker)
        yield Finding("sampling key", *examine_key(settings, is_broker_there=is_there))
        yield from _guarded("oracle", lambda: _oracle(settings))
        yield from _guarded("drift", lambda: _drift(settings))
        yield _label_rate(settings, len(filters))


def _guarded(check: str, examine: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; an error becomes a finding, and the other checks go on."""
    try:
        yield from examine()
    except NewsieveError as error:
        yield Finding(check, "wrong", str(error))
    except ModuleNotFoundError as error:
        missing = missing_package(error, "newsieve")
        if missing is None:
            raise
        what = f"{missing.package} is not installed: worker, score and demo need it"
        yield Finding(check, "note", what, missing.command)


def _filters(settings: Settings, found: list[Filter]) -> Iterator[Finding]:
    found += load_filters(settings)
    yield Finding("filters", "ok", ", ".join(item.reference for item in found))


def _students(settings: Settings, filters: list[Filter]) -> Iterator[Finding]:
    students = load_students(settings, filters)
    for name, student in (students | load_candidates(settings, filters, students.values())).items():
        what = f"{student.hash[:19]}… on {student.device} in {student.dtype}, canaries reproduced"
        yield Finding(f"student {name}", "ok", what)


def _broker(settings: Settings, filters: list[Filter]) -> Iterator[Finding]:
    kafka = cluster(settings)
    admin = TopicAdmin(kafka)
    wanted = all_topics(settings, filters)
    admin.partitions()
    yield Finding("broker", "ok", f"{settings.kafka.bootstrap_servers} answers")
    differences = admin.differences(wanted)
    for item in differences:
        yield Finding(f"topic {item.topic}", "wrong", item.what, item.mend)
    if not differences:
        yield Finding("topics", "ok", f"all {len(wanted)} are as they should be")
    missing = {item.topic for item in differences if item.what == "missing"}
    used = worker_topics(settings, filters)
    yield from _groups(settings)
    if topic_name(settings.kafka.topic_prefix, RAW) not in missing:
        yield _articles(settings)
    there = {topic.name for topic in wanted} - missing
    yield from _rights(settings, [topic for topic in used if topic.name in there], there)


def _articles(settings: Settings) -> Finding:
    """Return how the newest raw articles came in."""
    topic = topic_name(settings.kafka.topic_prefix, RAW)
    try:
        records = newest_records(cluster(settings), topic, SAMPLE_RECORDS, SAMPLE_SECONDS)
    except (TopicsWrong, AccessDenied) as error:
        return Finding("articles", "note", str(error))
    policy = settings.worker.decode_policy
    tally, bad = ArticleTally(), 0
    for record in records:
        try:
            if record.value is not None:
                tally.add(decode(record, policy))
        except ArticleDeleted:
            continue
        except RecordError:
            bad += 1
    if not (tally.articles or bad):
        return Finding("articles", "note", f"there are none on {topic}", "newsieve produce FILE")
    what = f"{sentence(tally)}; {bad} of the newest records are none"
    if tally.is_mostly_title_only:
        return Finding("articles", "note", f"{what}: {TITLE_ONLY}", TITLE_ONLY_MEND)
    return Finding("articles", "ok", what)


def _groups(settings: Settings) -> Iterator[Finding]:
    """Yield which other clients are in the consumer groups."""
    kafka = cluster(settings)
    is_named = APP in str(kafka.consumer("")["client.id"])
    for group in dict.fromkeys(
        (settings.worker.group, settings.oracle.group, settings.drift.group, settings.ingest.group)
    ):
        check = f"group {group}"
        try:
            found = group_of(kafka, group)
        except AccessDenied as denied:
            yield Finding(check, "note", str(denied), f"kafka-acls --add --group {group}")
            continue
        what = occupation(group, found, is_refused=False, is_named=is_named)
        if what is not None:
            yield Finding(check, "wrong", what, ADVICE)
        else:
            yield Finding(check, "ok", f"{len(found.members)} members, none a stranger")


def _rights(settings: Settings, topics: list[Topic], there: set[str]) -> Iterator[Finding]:
    """Yield rights that are missing: a worker's as errors, those of others as notes."""
    raw = topic_name(settings.kafka.topic_prefix, RAW)
    needed = {(topic.name, "READ" if topic.name == raw else "WRITE") for topic in topics}
    yield from _missing(settings, "rights", needed, settings.worker.group, "wrong")
    others = (
        ("rights of an oracle", assembled.RIGHTS, settings.oracle.group),
        ("rights of a drift monitor", drift.RIGHTS, settings.drift.group),
        ("rights of an ingester", ingest_feeds.RIGHTS, settings.ingest.group),
    )
    for check, rights, group in others:
        named = {(topic_name(settings.kafka.topic_prefix, s), right) for s, right in rights}
        known = {item for item in named if item[0] in there}
        yield from _missing(settings, check, known, group, "note")


def _missing(
    settings: Settings, check: str, needed: set[tuple[str, str]], group: str, verdict: Verdict
) -> Iterator[Finding]:
    missing = missing_rights(cluster(settings), needed, group)
    for what, mend in missing:
        yield Finding(check, verdict, what, mend)
    if not missing:
        yield Finding(check, "ok", "may read, write and commit")


def _oracle(settings: Settings) -> Iterator[Finding]:
    """Yield how the oracle would be asked, without asking it."""
    oracle = settings.oracle
    if oracle.model is None and oracle.label_file is None:
        mend = "NEWSIEVE_ORACLE__MODEL and NEWSIEVE_ORACLE__API_KEY"
        yield Finding("oracle", "note", "none is set: the sample gets no labels", mend)
        return
    who = assembled.oracle_config(settings)
    assembled.make_provider(settings).close()
    key = "with a key" if oracle.api_key is not None else "without a key"
    money = f", USD {oracle.cost_usd_per_day:g}" if oracle.cost_usd_per_day is not None else ""
    share = f", {oracle.source_share:.0%} of it for one source" if oracle.source_share < 1 else ""
    what = f"{who.provider}, {who.model}, {key}; {oracle.calls_per_day} calls{money} a day{share}"
    yield Finding("oracle", "ok", what)


def _drift(settings: Settings) -> Iterator[Finding]:
    """Yield what a drift monitor would compare labels with."""
    for ground in drift.load_filter_inputs(settings):
        name = ground.filter.name
        rows = len(ground.students[0].rows) if ground.students else 0
        anchors = len(ground.anchors.articles) if ground.anchors is not None else 0
        what, mend = f"{rows} reference rows, {anchors} anchors", ""
        if not rows:
            what += ": nothing is tested without a baseline"
            mend = f"newsieve drift rebaseline --filter {name}, or the student's baseline.jsonl"
        elif not anchors:
            what, mend = f"{what}: alerts will not know their cause", "drift.anchors"
        yield Finding(f"drift {name}", "note" if mend else "ok", what, mend)


def _label_rate(settings: Settings, filters: int) -> Finding:
    """Return how small a drift the oracle's budget can detect, by calculation."""
    per_day = labels_a_day(settings.oracle.calls_per_day, filters)
    if per_day == 0:
        return Finding("label rate", "note", "oracle.calls_per_day is 0: drift cannot be found")
    days = {rise: days_until_found(rise, per_day) for rise in (0.2, 0.5)}
    return Finding(
        "label rate",
        "note",
        f"{per_day:.0f} labels a day per filter and stratum: within a day "
        f"{rise_found_within(per_day)} is found; +0.2 takes {days[0.2]:.1f} days, +0.5 "
        f"{days[0.5]:.1f}",
        "oracle.calls_per_day",
    )
