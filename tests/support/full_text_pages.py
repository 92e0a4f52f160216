"""Pages of a newspaper, a feed's articles that lead to them, and what reads these."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import escape
from typing import Any

from newsieve.feeds.full_text import FETCH_SECONDS, FullText
from newsieve.limited_process import LimitedProcesses
from newsieve.outgoing.public_address import AllowedTargets, parse_allowed
from newsieve.outgoing.web_reader import WebReader
from tests.support.feed_server import FeedReply

SUMMARY = "<p>The town gets a night bus. <a href='#'>Read more</a></p>"
PARAGRAPHS = [
    "From March on a night bus connects the harbour with the villages on the other shore. It runs "
    "every hour until four, and costs as much as by day.",
    "The council decided so on Tuesday, by eleven votes to four. Two years ago it had still found "
    "the plan too dear; since then the brewery and the hospital have promised a third of the cost.",
    "“My people come home now without waiting for the first ferry”, says Ilse Brandt, who runs the "
    "laundry of the hospital. For the drivers the company is looking for eight persons.",
]
TEXT = "\n\n".join(PARAGRAPHS)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
TITLE = "Night bus for the harbour"
WALL = "Subscribe to read on. You have read all free articles of this month."
HTML = {"Content-Type": "text/html; charset=utf-8"}


def page(*paragraphs: str, title: str = TITLE) -> str:
    """A page as sites have them: with a menu, a notice about cookies, related news and a foot."""
    text = "".join(f"<p>{escape(each)}</p>" for each in paragraphs or PARAGRAPHS)
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{escape(title)} - The Harbour Courier</title><script>var page = "<p>no text</p>";</script>
</head><body><div id="cookie-banner"><p>We use cookies to give you the best experience.</p>
<button>Accept all</button></div><header><nav><ul><li><a href="/">News</a></li>
<li><a href="/sport">Sport</a></li></ul></nav></header><main><article><h1>{escape(title)}</h1>
<figure><img src="bus.jpg"><figcaption>The bus. Photo: Courier</figcaption></figure>{text}
</article><aside class="related"><h3>Related stories</h3><ul><li><a href="/1">Ten recipes for a
rainy weekend</a></li></ul></aside></main><section id="comments"><h3>2 comments</h3><p>Nobody asked
the people who live there, as usual.</p></section><footer><p>Subscribe to our newsletter and never
miss a story.</p><p>All rights reserved.</p></footer></body></html>"""


@contextmanager
def reading(
    child: LimitedProcesses,
    allowed: AllowedTargets | None = None,
    *,
    summary_characters: int = 1_000,
    least_delay_seconds: float = 0.0,
    fetch_seconds: float = FETCH_SECONDS,
) -> Iterator[FullText]:
    targets = parse_allowed(["127.0.0.1"]) if allowed is None else allowed
    with closing(WebReader(targets)) as web:
        yield FullText(
            web,
            summary_characters=summary_characters,
            least_delay_seconds=least_delay_seconds,
            fetch_seconds=fetch_seconds,
            children=child,
        )


def article(url: str | None, content: str | None = SUMMARY, **fields: Any) -> dict[str, Any]:
    """A raw article as a feed's item becomes one."""
    values = {"id": url or "1", "title": TITLE, "content": content, "url": url, **fields}
    return {name: value for name, value in values.items() if value is not None}


def html(body: str, content_type: str = HTML["Content-Type"], status: int = 200) -> FeedReply:
    return FeedReply(body.encode(), status, {"Content-Type": content_type})
