"""The alert rules, judged by Prometheus' own tool: each fires when it has to, and only then."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from newsieve.settings.observability import RUNBOOK_URL
from tests.conftest import ON_CI
from tests.support.promtool import PromtoolMissing, find_promtool
from tests.support.workers import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "newsieve.rules.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
CASES = [
    case
    for file in sorted(FOLDER.glob("*.test.yml"))
    for test in yaml.safe_load(file.read_text())["tests"]
    for case in test["alert_rule_test"]
]
CONFIGURATION = yaml.safe_load((FOLDER / "prometheus.yml").read_text())


@pytest.fixture(scope="module")
def promtool() -> Path:
    """On CI tests fail without it; on a laptop they are skipped."""
    try:
        return find_promtool()
    except PromtoolMissing as error:
        if ON_CI:
            raise
        pytest.skip(str(error))


def run(promtool: Path, *arguments: str) -> str:
    done = subprocess.run(
        [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_scrape_configuration_and_the_rules(promtool: Path) -> None:
    """The configuration names the rules, so both are read."""
    said = run(promtool, "check", "config", "prometheus.yml")

    assert f"{len(ALERTS)} rules found" in said


def test_every_rule_fires_when_it_has_to_and_only_then(promtool: Path) -> None:
    """The cases in deploy/prometheus: what dies at minute 20 is told of, what is healthy is not."""
    run(promtool, "test", "rules", *sorted(path.name for path in FOLDER.glob("*.test.yml")))


@pytest.mark.parametrize("name", ALERTS)
def test_there_are_cases_in_which_a_rule_fires_and_in_which_it_does_not(name: str) -> None:
    """A rule without either may be one that cannot, or that always does."""
    fires = [bool(case.get("exp_alerts")) for case in CASES if case["alertname"] == name]

    assert set(fires) == {True, False}


def test_every_program_has_a_job_and_a_rule_that_misses_it() -> None:
    """All of its metrics end with a program: only `absent` tells that there is none."""
    jobs = {item["job_name"] for item in CONFIGURATION["scrape_configs"]}

    assert jobs == {"newsieve-worker", "newsieve-oracle", "newsieve-drift"}
    for name, missing in (
        ("NewsieveNoWorker", 'absent(newsieve_ready{job="newsieve-worker"} == 1)'),
        ("NewsieveNoOracle", 'absent(newsieve_ready{job="newsieve-oracle"} == 1)'),
        ("NewsieveNobodyWatches", "absent(newsieve_drift_at_work == 1)"),
    ):
        assert ALERTS[name]["expr"] == missing
    (drift,) = (group for group in RULES["groups"] if group["name"] == "newsieve-drift")
    assert all("newsieve_drift_" in rule["expr"] for rule in drift["rules"])  # may be left out
    named = {job for rule in ALERTS.values() for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert named <= jobs


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_names_the_runbook_by_an_address_that_can_be_set(name: str) -> None:
    """The external label's, else the settings' default, so that records and rules agree."""
    address = ALERTS[name]["annotations"]["runbook_url"].partition("#")[0].removesuffix("{{ end }}")
    label, default = address.split("{{ else }}")

    assert label == "{{ with $externalLabels.newsieve_runbook_url }}{{ . }}"
    assert default == RUNBOOK_URL
    assert CONFIGURATION["global"]["external_labels"] == {"newsieve_runbook_url": RUNBOOK_URL}


def ratios(rules: dict[str, Any]) -> list[str]:
    """Rules that divide, or take a quantile."""
    return [
        name
        for name, rule in rules.items()
        if " / " in rule["expr"] or "quantile" in rule["expr"] or "\n/" in rule["expr"]
    ]


@pytest.mark.parametrize("name", ratios(ALERTS))
def test_a_ratio_has_a_minimum_count(name: str) -> None:
    """One dead letter of one record is no reason to look."""
    assert re.search(r"and sum by \(\w+\) \(increase\(.+\)\) >= \d+", ALERTS[name]["expr"])
