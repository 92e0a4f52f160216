"""What is deployed beside the programs, held against the code: rules, dashboard, runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from newsieve.stream.ingest_metrics import IngestMetrics
from newsieve.stream.metrics import DriftMetrics, Metrics, OracleMetrics
from newsieve.stream.push_metrics import PushMetrics
from tests.support.workers import ROOT

RUNBOOK = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "newsieve.rules.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "newsieve.json").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def expressions(found: Any) -> Iterator[str]:
    """All PromQL below."""
    if isinstance(found, list):
        for item in found:
            yield from expressions(item)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)


@pytest.mark.parametrize(
    "of", [pytest.param(RULES, id="rules"), pytest.param(DASHBOARD, id="dashboard")]
)
def test_rules_and_dashboard_ask_for_metrics_that_there_are(of: Any) -> None:
    """A name with a slip in it is an alert that never comes."""
    families = [
        family
        for metrics in (Metrics(), OracleMetrics(), DriftMetrics(), PushMetrics(), IngestMetrics())
        for family in metrics.registry.collect()
    ]
    known = {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}

    used = {name for text in expressions(of) for name in re.findall(r"\bnewsieve_\w+", text)}

    assert len(used) > 10
    assert used <= known


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_rule_says_how_urgent_it_is_and_names_a_section_of_the_runbook(name: str) -> None:
    """Whoever is woken knows where to read on."""
    rule = ALERTS[name]
    sections = {title.lower().replace(" ", "-") for title in re.findall(r"(?m)^## (.+)$", RUNBOOK)}

    _, _, section = rule["annotations"]["runbook_url"].partition("#")

    assert section in sections
    assert rule["labels"]["severity"] in ("page", "ticket", "info")
    assert rule["annotations"]["summary"]
