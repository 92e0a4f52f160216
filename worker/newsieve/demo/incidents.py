"""What is staged in the demo: a drift, and a swap of the oracle. And what was said of them.

An oracle that reads its labels from a file labels the sample. Half way it is restarted with another
file. By that the world of one filter has moved: in two dimensions all articles to come are rated
five points higher, while its anchors are rated as ever. For the other filter another version
answers. Everything else is as in production: the sampling is only denser, and the baselines, made
of the first labels, are smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from newsieve.errors import RecordError
from newsieve.filters.article import Article
from newsieve.filters.registry import Filter
from newsieve.kafka.config import Cluster
from newsieve.kafka.topic_reader import read
from newsieve.oracle.answer import Answer
from newsieve.oracle.label_file_writer import label_row
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.label_file import LABEL_FILE
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.json_lines import numbered, read_object
from newsieve.settings.loader import Settings
from newsieve_schemas.label_row import LabelLine
from newsieve_schemas.topics import DRIFT_STATE, topic_name

LABELS: Final = Path(str(files("newsieve.demo") / "labels.jsonl"))
DRIFTING, SWAPPED = "uplifting", "sustainability"
DIMENSIONS: Final = ("justice", "wonder")
RISE: Final = 5  # score points: found within some forty labels
OLD, NEW = "labels-1", "labels-2"  # versions of the oracle
BASELINE_LABELS: Final = 40  # in production 200
ANCHORS: Final = 12  # in production a hundred
REPLICATES: Final = 2  # a file says the same twice
GROUP_OF_DEMOS: Final = b"newsieve/drift/newsieve-demo-"


@dataclass
class Incidents:
    """What is staged for these articles, in two acts."""

    acts: tuple[Sequence[bytes], Sequence[bytes]]
    folder: Path
    filters: Sequence[Filter]
    group: str  # of the run; the oracle's model as well, which an earlier run's labels are not of
    alerts: list[dict[str, Any]]  # as they come

    def label_file(self, act: int) -> Path:
        return self.folder / f"labels-{act}.jsonl"

    @property
    def anchor_file(self) -> Path:
        return self.folder / "anchors.jsonl"

    def write(self, settings: Settings) -> None:
        """The oracle's two files, and the anchors."""
        lines = numbered(LABELS.read_bytes().splitlines())
        labels = [dict(LabelLine(read_object(line)).fields) for _, line in lines]
        first = {article.id for article in articles(self.acts[0])}
        for act in (0, 1):
            rows = [_label(row, is_late=act == 1, is_new=row["id"] not in first) for row in labels]
            self.label_file(act).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        known = {(row["id"], row["filter"]): row["scores"] for row in labels}
        self.anchor_file.write_bytes(b"".join(self._anchors(settings, known)))

    def settings(self) -> dict[str, str]:
        """Environment variables of the programs."""
        return {
            "NEWSIEVE_SAMPLING__POLICY": "demo",
            "NEWSIEVE_SAMPLING__LOW": "1",
            "NEWSIEVE_SAMPLING__SURFACED": "1",
            "NEWSIEVE_ORACLE__PROVIDER": LABEL_FILE,
            "NEWSIEVE_ORACLE__MODEL": self.group,
            "NEWSIEVE_ORACLE__LABEL_FILE": str(self.label_file(0)),
            "NEWSIEVE_ORACLE__GROUP": f"{self.group}-oracle",
            "NEWSIEVE_ORACLE__CALLS_PER_DAY": "100000",
            "NEWSIEVE_ORACLE__CONCURRENCY": "32",
            "NEWSIEVE_DRIFT__GROUP": f"{self.group}-drift",
            "NEWSIEVE_DRIFT__ANCHORS": str(self.anchor_file),
            "NEWSIEVE_DRIFT__REBASELINE_LABELS": str(BASELINE_LABELS),
            "NEWSIEVE_DRIFT__COMMIT_SECONDS": "1",
        }

    @property
    def drift(self) -> dict[str, Any] | None:
        """The alert of the drift, with its cause."""
        return next(
            (a for a in self.alerts if a["filter"] == DRIFTING and a["state"] == "alert"), None
        )

    @property
    def swap(self) -> dict[str, Any] | None:
        """The suspension under another oracle."""
        return next(
            (a for a in self.alerts if a["filter"] == SWAPPED and a["state"] == "suspended"), None
        )

    @property
    def mistakes(self) -> list[dict[str, Any]]:
        """Alerts that say something else than what was staged."""
        return [
            alert
            for alert in self.alerts
            if (alert["filter"] == SWAPPED and alert["state"] in ("alert", "warning"))
            or (alert["state"] == "alert" and alert["cause"] != "concept_drift")
        ]

    @property
    def are_found(self) -> bool:
        return self.drift is not None and self.swap is not None

    def _anchors(
        self, settings: Settings, known: Mapping[tuple[str, str], dict[str, int]]
    ) -> Iterable[bytes]:
        """Lines of `newsieve oracle label`, as several runs of it would give."""
        oracle = settings.oracle
        asked = OracleConfig(LABEL_FILE, self.group, oracle.thinking, oracle.temperature)
        labelled = [item for item in articles(self.acts[0]) if (item.id, DRIFTING) in known]
        for filter_ in self.filters:
            prompt = Prompt(filter_, oracle.article_characters)
            for article in labelled[:ANCHORS]:
                answer = Answer(known[article.id, filter_.name], None, None, None)
                verdict = LabelResult("labelled", model_version=OLD, answer=answer)
                row = label_row(article, prompt, verdict, asked.key(prompt, OLD), 0, "")
                yield from [orjson.dumps(row.model_dump()) + b"\n"] * REPLICATES


def articles(lines: Iterable[bytes]) -> list[Article]:
    """Those that can be read, each once."""
    found: dict[str, Article] = {}
    for line in lines:
        try:
            policy = DecodePolicy(len(line), id_from_key=False)
            article = decode(RawRecord(line, None, None, None, {}), policy)
        except RecordError:
            continue
        found.setdefault(article.id, article)
    return list(found.values())


def has_other_state(cluster: Cluster, prefix: str) -> bool:
    """Whether a monitor that was not a demo's has its state here."""
    found: dict[bytes | None, bool] = {}
    topic = topic_name(prefix, DRIFT_STATE)
    for item in read(cluster, topic, from_beginning=True, until_end=True):
        sources = [value or b"" for name, value in item.record.headers or () if name == "ce_source"]
        is_demos = any(source.startswith(GROUP_OF_DEMOS) for source in sources)
        found[item.record.key] = bool(item.record.value) and not is_demos
    return any(found.values())


def forget_states(cluster: Cluster, prefix: str, send: Callable[[bytes, None], None]) -> None:
    """An earlier demo's monitor is not to be gone on with."""
    topic = topic_name(prefix, DRIFT_STATE)
    keys = {
        item.record.key: item.record.value
        for item in read(cluster, topic, from_beginning=True, until_end=True)
    }
    for key, value in keys.items():
        if key is not None and value:
            send(key, None)


def _label(row: dict[str, Any], *, is_late: bool, is_new: bool) -> dict[str, Any]:
    """A label as the oracle's file has it in the first act, or in the second."""
    scores = dict(row["scores"])
    if is_late and is_new and row["filter"] == DRIFTING:
        scores |= {name: min(scores[name] + RISE, 10) for name in DIMENSIONS}
    version = NEW if is_late and row["filter"] == SWAPPED else OLD
    return {**row, "scores": scores, "model_version": version}
