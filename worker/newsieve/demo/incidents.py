"""The incidents that the demo stages, a drift and a swap of the oracle, and the alerts about them.

An oracle that reads its labels from a file labels the sample. Half way it is restarted with another
file. For one filter the meaning of a good article moves by that: in two dimensions all further
articles are rated five points higher, while its anchors are rated as before. For the other filter
another version of the oracle answers. Everything else is as in production, but the sampling is
denser, and the baselines, which are made of the first labels, are smaller.
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
    """The incidents that are staged for these articles, which come in two phases."""

    phases: tuple[Sequence[bytes], Sequence[bytes]]
    folder: Path
    filters: Sequence[Filter]
    group: str  # of the run; also the name of the oracle's model, so that each run has its own
    alerts: list[dict[str, Any]]  # as they come

    def label_file(self, phase: int) -> Path:
        """Return the oracle's file of labels in phase 0 or 1."""
        return self.folder / f"labels-{phase}.jsonl"

    @property
    def anchor_file(self) -> Path:
        """The file of the drift monitor's anchors."""
        return self.folder / "anchors.jsonl"

    def write(self, settings: Settings) -> None:
        """Write the two files of labels, and the anchors."""
        lines = numbered(LABELS.read_bytes().splitlines())
        labels = [dict(LabelLine(read_object(line)).fields) for _, line in lines]
        first = {article.id for article in articles(self.phases[0])}
        for phase in (0, 1):
            rows = [
                _label(row, is_late=phase == 1, is_new=row["id"] not in first) for row in labels
            ]
            self.label_file(phase).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        known = {(row["id"], row["filter"]): row["scores"] for row in labels}
        self.anchor_file.write_bytes(b"".join(self._anchors(settings, known)))

    def settings(self) -> dict[str, str]:
        """Return the environment variables of the programs."""
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
        """The alert about the drift, with its cause; None until it comes."""
        return next(
            (a for a in self.alerts if a["filter"] == DRIFTING and a["state"] == "alert"), None
        )

    @property
    def swap(self) -> dict[str, Any] | None:
        """The suspension under another oracle; None until it comes."""
        return next(
            (a for a in self.alerts if a["filter"] == SWAPPED and a["state"] == "suspended"), None
        )

    @property
    def mistakes(self) -> list[dict[str, Any]]:
        """The alerts that say something else than what was staged."""
        return [
            alert
            for alert in self.alerts
            if (alert["filter"] == SWAPPED and alert["state"] in ("alert", "warning"))
            or (alert["state"] == "alert" and alert["cause"] != "concept_drift")
        ]

    @property
    def are_found(self) -> bool:
        """Whether both incidents were found."""
        return self.drift is not None and self.swap is not None

    def _anchors(
        self, settings: Settings, known: Mapping[tuple[str, str], dict[str, int]]
    ) -> Iterable[bytes]:
        """Yield lines as several runs of `newsieve oracle label` would write them."""
        oracle = settings.oracle
        config = OracleConfig(LABEL_FILE, self.group, oracle.thinking, oracle.temperature)
        labelled = [item for item in articles(self.phases[0]) if (item.id, DRIFTING) in known]
        for filter_ in self.filters:
            prompt = Prompt(filter_, oracle.article_characters)
            for article in labelled[:ANCHORS]:
                answer = Answer(known[article.id, filter_.name], None, None, None)
                result = LabelResult("labelled", model_version=OLD, answer=answer)
                row = label_row(article, prompt, result, config.key(prompt, OLD), 0, "")
                yield from [orjson.dumps(row.model_dump()) + b"\n"] * REPLICATES


def articles(lines: Iterable[bytes]) -> list[Article]:
    """Return the articles of the lines that can be read, each once."""
    known: dict[str, Article] = {}
    for line in lines:
        try:
            policy = DecodePolicy(len(line), id_from_key=False)
            article = decode(RawRecord(line, None, None, None, {}), policy)
        except RecordError:
            continue
        known.setdefault(article.id, article)
    return list(known.values())


def has_other_state(cluster: Cluster, prefix: str) -> bool:
    """Whether a drift monitor other than a demo's has its state on this broker."""
    is_others: dict[bytes | None, bool] = {}
    topic = topic_name(prefix, DRIFT_STATE)
    for item in read(cluster, topic, from_beginning=True, until_end=True):
        sources = [value or b"" for name, value in item.record.headers or () if name == "ce_source"]
        is_demos = any(source.startswith(GROUP_OF_DEMOS) for source in sources)
        is_others[item.record.key] = bool(item.record.value) and not is_demos
    return any(is_others.values())


def forget_states(cluster: Cluster, prefix: str, send: Callable[[bytes, None], None]) -> None:
    """Remove the state of an earlier demo's drift monitor, by null values for its keys."""
    topic = topic_name(prefix, DRIFT_STATE)
    keys = {
        item.record.key: item.record.value
        for item in read(cluster, topic, from_beginning=True, until_end=True)
    }
    for key, value in keys.items():
        if key is not None and value:
            send(key, None)


def _label(row: dict[str, Any], *, is_late: bool, is_new: bool) -> dict[str, Any]:
    """Return a label as the oracle's file has it in the first phase, or in the second
    (`is_late`)."""
    scores = dict(row["scores"])
    if is_late and is_new and row["filter"] == DRIFTING:
        scores |= {name: min(scores[name] + RISE, 10) for name in DIMENSIONS}
    version = NEW if is_late and row["filter"] == SWAPPED else OLD
    return {**row, "scores": scores, "model_version": version}
