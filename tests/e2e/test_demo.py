"""`newsieve demo` as a newcomer runs it: the shipped students, the sample articles."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil

from newsieve.cli.demo import how_to_keep
from newsieve.devbroker.broker import Broker
from newsieve.devbroker.java_broker import ENVIRONMENT


def start_demo(broker: Broker, prefix: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "newsieve", "demo", *arguments],
        env={
            **os.environ,
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_demo_takes_articles(broker: Broker, prefix: str, tmp_path: Path) -> None:
    """On a broker that stays, what it says to look around with works afterwards as well."""
    (tmp_path / "articles.jsonl").write_text('{"title": "A village opens a library"}\n{\n')
    articles = str(tmp_path / "articles.jsonl")
    demo = start_demo(broker, prefix, "--articles", articles, "--workers", "1", "--no-web")
    shown, complaints = demo.communicate(timeout=240)

    assert demo.returncode == 0, complaints[-2_000:]
    assert "2 raw records × 2 filters = 4 outcomes; missing 0, doubled 0" in shown
    assert "students of sustainability and uplifting are for demonstration" in shown
    assert "oracle" not in shown and "drift" not in shown
    assert "pages: " not in complaints
    assert f"To look around:\n  export {ENVIRONMENT}='{broker.bootstrap_servers}'" in shown
    tail = next(line for line in shown.splitlines() if "newsieve tail" in line)
    assert paste(shown, tail).count("A village opens a library") >= 1
    assert "Traceback" not in complaints


def test_the_demo_sums_up_and_stays_until_interrupted(broker: Broker, prefix: str) -> None:
    """Tiers with examples, dead letters with reasons, every outcome once; what is staged; commands
    that show something in another terminal and end. Ctrl-C stops the programs in order."""
    demo = start_demo(broker, prefix, "--keep")
    assert demo.stdout is not None
    shown = ""
    while "newsieve doctor" not in shown:
        line = demo.stdout.readline()
        assert line, demo.communicate()[1][-2_000:]
        shown += line
    commands = [line for line in shown.splitlines() if re.match(r"  \S*/newsieve ", line)]
    assert len(commands) == 6
    outputs = [paste(shown, command) for command in commands]
    assert all(outputs), outputs
    address = re.search(r"^Pages: (http://localhost:\d+/)$", shown, re.MULTILINE)
    assert address is not None, shown
    page = httpx2.get(address[1], follow_redirects=True).text
    assert page.count("<article") >= 20
    demo.send_signal(signal.SIGINT)
    rest, complaints = demo.communicate(timeout=60)

    assert demo.returncode == 0, complaints[-2_000:]
    assert rest == ""
    assert re.search(r"250 raw records × 2 filters = \d+ outcomes; missing 0, doubled 0", shown)
    for name, tier in (("uplifting", "connection"), ("sustainability", "medium")):
        topic = f"{prefix}.tier.{name}.{tier}"
        reached = re.search(rf"{tier} +(\d+)  → {re.escape(topic)}", shown)
        assert reached is not None and int(reached[1]) > 0, shown
    assert "blocked" in shown and "held down" in shown
    assert re.search(r"Dead letters: [1-9]", shown)
    assert "articles/s" in shown and "median" in shown
    assert "The oracle is staged" in shown and "are for demonstration" in shown
    assert "Traceback" not in complaints


def test_a_demo_that_is_terminated_leaves_no_program_behind(broker: Broker, prefix: str) -> None:
    """SIGTERM while its programs start ends them all, as Ctrl-C does."""
    demo = start_demo(broker, prefix)
    assert demo.stderr is not None
    while "starting 2 workers" not in demo.stderr.readline():
        assert demo.poll() is None
    children: list[psutil.Process] = []
    while not children:
        children = psutil.Process(demo.pid).children(recursive=True)
    demo.terminate()
    demo.communicate(timeout=60)

    assert demo.returncode not in (0, -signal.SIGTERM)
    gone, left = psutil.wait_procs(children, timeout=30)
    assert [process.cmdline() for process in left] == [] != gone


def paste(shown: str, command: str) -> str:
    """What a command shows that the demo names, run in a shell with the variables it names."""
    variables = [line for line in shown.splitlines() if line.startswith("  export ")]
    script = "\n".join([*variables, command])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_a_demo_whose_broker_has_ended_says_how_it_stays(tmp_path: Path) -> None:
    """No command could show anything any more."""
    articles = tmp_path / "my articles.jsonl"
    said = how_to_keep(articles, " --config mine.toml")

    assert said.endswith(f"newsieve demo --articles '{articles}' --config mine.toml --keep")
    assert how_to_keep(None, "").endswith("newsieve demo --keep")
