"""Every example of `--help`, and every command of the README and of docs/, does what it says.

They run on a real broker. The pages' other promises are those of tests/docs/test_docs.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from confluent_kafka import Producer

from newsieve import cli
from newsieve.devbroker.broker import Broker
from newsieve.kafka.config import Cluster
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.topic_reader import read
from newsieve.records.decode import header
from newsieve_schemas.drift import State
from newsieve_training.cli import main as newsieve_train
from tests.support import reviews
from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.drift import PAIRS, as_it_is, history, lines
from tests.support.drift_records import MINUTE, START, hash_of, label, write_baseline
from tests.support.drift_stream import DriftStream
from tests.support.filters import load
from tests.support.stream import Stream

ROOT = Path(__file__).resolve().parents[2]
HAND_WRITTEN = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/how-to/*.md")),
]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in HAND_WRITTEN
}


def commands(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Each command's path and its click command."""

    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        for name in getattr(command, "commands", ()):
            yield from walk(f"{path} {name}".strip(), command.get_command(None, name))
        if not getattr(command, "commands", None):
            yield path, command

    yield from walk("", typer.main.get_command(app))


ALL = [
    (name, path, command)
    for name, app in (
        ("newsieve", cli.app),
        ("newsieve-train", newsieve_train.app),
    )
    for path, command in commands(app)
]


def example(command: Any) -> str:
    found = re.search(r"Example: (.+)", command.help or "")
    assert found, f"no example in {command.name}"
    return found[1].strip()


@pytest.mark.parametrize(("name", "path", "command"), ALL, ids=[f"{n} {p}" for n, p, _ in ALL])
def test_every_command_has_an_example_and_every_option_a_help_text(
    name: str, path: str, command: Any
) -> None:
    """The example is the command's own, and parses."""
    assert example(command).startswith(f"{name} {path}")
    arguments = example(command).split()[len(f"{name} {path}".split()) :]
    command.make_context(path, arguments, resilient_parsing=False)
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.help, f"{path}: {parameter.name}"


@pytest.fixture(scope="module")
def playground(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory, tiny_student: Path
) -> Iterator[Stream]:
    """A running worker, articles in every state, scores in a file; two oracles have labelled,
    somebody has reviewed, and the drift monitor waits for somebody to decide."""
    folder = tmp_path_factory.mktemp("playground")
    (folder / "articles.jsonl").write_bytes(
        b"\n".join(
            value for _, value in raw_records(60) if b"\n" not in value and value[:1] == b"{"
        )
    )
    names = load("uplifting").definition.dimension_names
    scores = [json.dumps(dict.fromkeys(names, level)) for level in range(11)]
    (folder / "scores.jsonl").write_text("\n".join(scores))
    reviews.playground(folder)
    unasked = "http://127.0.0.1:9999/feed"  # which nothing allows to be asked
    (folder / "feeds.txt").write_text(unasked)
    outline = f"<opml><body><outline xmlUrl='{unasked}'/></body></opml>"
    (folder / "feeds.opml").write_text(outline)
    (folder / "labels.jsonl").write_bytes(lines(history(1, (10, as_it_is))))
    student = Path(shutil.copytree(tiny_student, folder / "student"))
    write_baseline(student)
    servers = broker.bootstrap_servers
    with closing(DriftStream(servers, "examples", folder, {"uplifting": student})) as stream:
        stream.produce(raw_records(60))
        worker_ = stream.start_worker("examples")
        stream.give(
            label(f"a{n}", PAIRS[n], START + n * MINUTE, hash_of(student), f"00{1 + n // 10}")
            for n in range(20)
        )
        monitor = stream.start_monitor()
        stream.alerts(4)
        assert monitor.terminate() == 0
        stream.wait_until_committed()
        yield stream
        assert worker_.terminate() == 0


def fenced(language: str, text: str) -> list[str]:
    """Return the code blocks of a language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands_of_pages() -> list[str]:
    blocks = [block for text in TEXTS.values() for block in fenced("sh", text)]
    return [line for block in blocks for line in block.splitlines() if line.startswith("newsieve ")]


ELSEWHERE = (
    "newsieve worker",
    "newsieve oracle",
    "newsieve demo",
    "newsieve ingest http",
    "newsieve serve",
)  # tests/e2e run them as processes
EXAMPLES = sorted(
    {
        line
        for line in [*commands_of_pages(), *(example(c) for n, _, c in ALL if n == "newsieve")]
        if line != "newsieve drift" and not line.startswith(ELSEWHERE)
    }
)


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_works(line: str, playground: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as it stands, but for the topics' prefix and a limit on following."""
    monkeypatch.chdir(playground.folder)
    arguments = line.replace("articles.tier", f"{playground.prefix}.tier").split()[1:]

    done = newsieve(*arguments, env=playground.environment(worker__slot="doctor"))

    bad_lines = arguments[0] == "score" and b"dead_letter" in done.out
    assert done.code == (1 if bad_lines else 0), done.err
    assert done.out
    assert "Traceback" not in done.err


def is_high_score(line: str) -> bool:
    return float(line.split(maxsplit=1)[0]) >= 4


def is_state(line: str) -> bool:
    return line.strip() in get_args(State)


ARTICLES = ("tier.uplifting.connection", is_high_score)
SUBSCRIBERS = {
    "README.md": ARTICLES,
    "docs/how-to/subscribe.md": ARTICLES,
    "docs/how-to/drift.md": ("drift.alerts", is_state),
}
END = "Nothing comes after this."


@pytest.mark.parametrize("name", SUBSCRIBERS)
def test_a_pages_subscriber_reads_what_it_is_for_once(name: str, playground: Stream) -> None:
    """Ten lines of code, as they stand. A fact that is published twice is shown once."""
    topic, is_right = SUBSCRIBERS[name]
    (code,) = fenced("python", TEXTS[name])
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 10
    program = code.replace("localhost:9092", playground.servers)
    program = program.replace('"articles.', f'"{playground.prefix}.')
    program = re.sub(r'"group.id": "\w+"', f'"group.id": "{name}"', program)  # pages share one
    end = f"{END} {name}"
    topic = f"{playground.prefix}.{topic}"
    text, times = publish_the_last_again(playground.servers, topic, end)

    reader = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout is not None
        started = time.monotonic()
        shown = [reader.stdout.readline()]
        assert is_right(shown[0])
        while end not in shown[-1]:
            shown.append(reader.stdout.readline())
        assert time.monotonic() - started < 60
        assert sum(text in line for line in shown) == times
    finally:
        reader.kill()
        reader.wait()
        if reader.stdout is not None:
            reader.stdout.close()


def publish_the_last_again(servers: str, topic: str, end: str) -> tuple[str, int]:
    """The same fact, then another one that says `end`; return its text, and how many facts have it.
    Examples that ran before have published some facts twice already."""
    records: list[StoredRecord] = []
    while not records:
        found = read(Cluster(servers, {}), topic, from_beginning=True, until_end=True)
        records = [item for item in found if END.encode() not in (item.record.value or b"")]
    last = records[-1]
    facts = json.loads(last.record.value)
    about, name = (facts["article"], "title") if "article" in facts else (facts, "headline")
    text = about[name]
    about_it = [item.record for item in records if text.encode() in item.record.value]
    facts_of_it = {header(item.headers, "ce_id") for item in about_it}
    producer = Producer({"bootstrap.servers": servers})
    again, about[name] = last.record.value, end
    other = [(key, value) for key, value in last.record.headers or [] if key != "ce_id"]
    for value, headers in (
        (again, last.record.headers),
        (json.dumps(facts).encode(), [*other, ("ce_id", end.encode())]),
    ):
        producer.produce(topic, value, last.record.key, last.partition[1], headers=headers)
    assert producer.flush(20) == 0
    return text, len(facts_of_it)
