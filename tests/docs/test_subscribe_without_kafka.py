"""The requests of docs/how-to/subscribe-without-kafka.md get the answers that the page promises."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import TOKEN, Served, fill, make_served

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "subscribe-without-kafka.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("curl ")
]
ADDRESS = "http://localhost:8080"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, {"SERVE__READ_TOKEN": TOKEN})
    fill(served)
    yield served
    served.close()


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[-1])
def test_a_command_of_the_page_is_answered(served: Served, words: list[str]) -> None:
    """With a token, where the server wants one. Streams answer, and go on."""
    (address,) = (word for word in words if word.startswith(ADDRESS))
    headers = {"authorization": f"Bearer {TOKEN}"}
    options: dict[str, object] = {"headers": headers}
    if "-H" in words:
        name, _, value = words[words.index("-H") + 1].replace("TOKEN", TOKEN).partition(": ")
        headers[name] = value
    if "-u" in words:
        user, _, password = words[words.index("-u") + 1].replace("TOKEN", TOKEN).partition(":")
        options = {"auth": (user, password)}
    path = address.removeprefix(ADDRESS)

    answer = served.ask("HEAD" if "stream" in path else "GET", path, **options)

    assert answer.status_code == 200, answer.text


def test_the_page_names_every_feed_that_it_means(served: Served) -> None:
    """The addresses of its table are answered, with the media type of their format."""
    addresses = re.findall(r"\| `(/feeds/[^`]+)` \|", PAGE)
    assert len(addresses) == 4
    for address in addresses:
        assert served.ask("GET", address, auth=("reader", TOKEN)).status_code == 200


def test_what_the_page_says_of_numbers_is_so() -> None:
    """Entries, characters, days and seconds."""
    from newsieve.web import access, feed_entries, feeds, sse

    assert f"`limit` ({feeds.USUAL_ENTRIES}, at most {feeds.MOST_ENTRIES})" in PAGE
    assert f"first {feed_entries.EXCERPT_CHARACTERS} characters" in PAGE
    assert f"a cookie for {access.SESSION_SECONDS // 86_400} days" in PAGE
    assert f"every {sse.HEARTBEAT_SECONDS:g} s" in PAGE
