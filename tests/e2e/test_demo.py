"""`newsieve demo` as a newcomer runs it: the shipped students, the sample articles."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from worker.kafka.broker import Broker

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_ends_with_a_summary_that_adds_up(broker: Broker, prefix: str) -> None:
    """Tiers with examples, dead letters with reasons, every outcome once, where to look next."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "demo"],
        cwd=ROOT,
        env={
            **os.environ,
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert re.search(
        r"250 raw records × 2 filters = \d+ outcomes; missing 0, doubled 0", done.stdout
    )
    for name, tier in (("uplifting", "connection"), ("sustainability", "medium")):
        topic = f"{prefix}.tier.{name}.{tier}"
        reached = re.search(rf"{tier} +(\d+)  → {re.escape(topic)}", done.stdout)
        assert reached is not None and int(reached[1]) > 0, done.stdout
    assert "blocked" in done.stdout and "held down" in done.stdout
    assert re.search(r"Dead letters: [1-9]", done.stdout)
    assert "articles/s" in done.stdout and "median" in done.stdout
    assert f"newsieve tail {prefix}.tier.uplifting" in done.stdout
    assert "Traceback" not in done.stderr
