"""`newsieve demo` as a newcomer runs it: the shipped students, the sample articles."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from worker.kafka.broker import Broker

ROOT = Path(__file__).resolve().parents[2]
# A shell that runs the tests in the background has them, and so the demo, ignore Ctrl-C.
PROGRAM = """
import signal
from worker.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def start_demo(broker: Broker, prefix: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "demo", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_demo_takes_articles_and_stays_until_interrupted(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    """With what another terminal needs to look around; Ctrl-C stops the workers in order."""
    (tmp_path / "articles.jsonl").write_text('{"title": "A village opens a library"}\n{\n')
    articles = str(tmp_path / "articles.jsonl")
    demo = start_demo(broker, prefix, "--articles", articles, "--workers", "1", "--keep")

    assert demo.stdout is not None
    shown = ""
    while "newsieve doctor" not in shown:
        line = demo.stdout.readline()
        assert line, demo.communicate()[1][-2_000:]
        shown += line
    demo.send_signal(signal.SIGINT)
    _, complaints = demo.communicate(timeout=60)

    assert demo.returncode == 0, complaints[-2_000:]
    assert "2 raw records × 2 filters = 4 outcomes; missing 0, doubled 0" in shown
    assert f"export NEWSIEVE_KAFKA__TOPIC_PREFIX='{prefix}'" in shown
    assert "Traceback" not in complaints


def test_the_demo_ends_with_a_summary_that_adds_up(broker: Broker, prefix: str) -> None:
    """Tiers with examples, dead letters with reasons, every outcome once, where to look next."""
    demo = start_demo(broker, prefix)
    shown, complaints = demo.communicate(timeout=240)

    assert demo.returncode == 0, complaints[-2_000:]
    assert re.search(r"250 raw records × 2 filters = \d+ outcomes; missing 0, doubled 0", shown)
    for name, tier in (("uplifting", "connection"), ("sustainability", "medium")):
        topic = f"{prefix}.tier.{name}.{tier}"
        reached = re.search(rf"{tier} +(\d+)  → {re.escape(topic)}", shown)
        assert reached is not None and int(reached[1]) > 0, shown
    assert "blocked" in shown and "held down" in shown
    assert re.search(r"Dead letters: [1-9]", shown)
    assert "articles/s" in shown and "median" in shown
    assert f"newsieve tail {prefix}.tier.uplifting" in shown
    assert "Traceback" not in complaints
