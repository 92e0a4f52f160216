"""A record as a message for Slack's incoming webhooks, or for what takes their shape. Pure.

What others wrote is text in it: `&`, `<` and `>` are escaped, so that no title can mention a
channel or make a link; control and direction characters are written out; nothing is looked up
(`verbatim`, no unfurling). Only the article's own http(s) address and the runbook's are links.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from newsieve.filters.rendering import rendered_title
from newsieve.printable import one_line, printable

TITLE_CHARACTERS: Final = 300  # escaped at most 1,500; with a link below a section's 3,000
FIELD_CHARACTERS: Final = 100
LINK_CHARACTERS: Final = 1_000  # a longer address is left out
STRONGEST: Final = 3  # dimensions that are shown
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_NOT_IN_A_LINK: Final = frozenset(' <>|"`\\^{}')


def slack_message(value: bytes) -> dict[str, Any]:
    """Return the message for a record's value: a scored article, a drift alert, or another one,
    which is shown by its beginning."""
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        fields = None
    if isinstance(fields, dict):
        if isinstance(fields.get("article"), dict):
            return _article(fields, fields["article"])
        if isinstance(fields.get("headline"), str):
            return _alert(fields)
    beginning = value[: 4 * TITLE_CHARACTERS].decode("utf-8", "replace")
    return _message(_text(beginning, TITLE_CHARACTERS), [])


def _article(fields: Mapping[str, Any], article: Mapping[str, Any]) -> dict[str, Any]:
    title = _text(_title(article.get("title")) or article.get("id"), TITLE_CHARACTERS)
    verdict = _joined(
        " ", fields.get("tier") or fields.get("outcome"), _number(fields.get("score"))
    )
    url = article.get("url")
    details = [
        _joined(" · ", _filter(fields), verdict, *map(article.get, ("source", "language"))),
        _joined(" · ", *_reasons(fields)),
    ]
    summary = f"{verdict} · {title}" if verdict else title
    return _message(summary, details, _link(url, title) or title)


def _title(title: Any) -> Any:
    """Return a title without its markup; what is no text, as it is."""
    return rendered_title(title) if isinstance(title, str) else title


def _reasons(fields: Mapping[str, Any]) -> list[str]:
    """Return what decided: the strongest dimensions, and the names of gates, caps and rules."""
    scores = fields.get("scores")
    numbers = {
        name: score
        for name, score in (scores if isinstance(scores, dict) else {}).items()
        if _number(score) is not None
    }
    strongest = sorted(numbers, key=lambda name: -numbers[name])[:STRONGEST]
    reasons = [", ".join(f"{name} {numbers[name]:.1f}" for name in strongest)]
    for kind in ("gates", "caps", "content_rules", "suspect"):
        names = fields.get(kind)
        if isinstance(names, list) and names:
            reasons.append(f"{kind.replace('_', ' ')}: {', '.join(map(str, names))}")
    return reasons


def _alert(fields: Mapping[str, Any]) -> dict[str, Any]:
    state = _joined(", ", fields.get("state"), fields.get("severity"))
    again = " (repeated)" if fields.get("repeated") is True else ""
    headline = f"{state}{again}: {_text(fields['headline'], TITLE_CHARACTERS)}"
    action = fields.get("action")
    details = [_joined(" · ", _filter(fields), fields.get("scope"), fields.get("cause"))]
    if isinstance(action, dict):
        advice = _text(action.get("text"), TITLE_CHARACTERS)
        runbook = _link(action.get("runbook"), "runbook")
        details.append(f"{advice} {runbook}".strip() if runbook else advice)
    return _message(headline, details)


def _message(summary: str, details: list[str], headline: str | None = None) -> dict[str, Any]:
    """Return the message: `summary` is for notifications and for what shows no blocks."""
    section = {"type": "section", "text": _markup(headline or summary)}
    context = [{"type": "context", "elements": [_markup(line)]} for line in details if line]
    return {
        "text": summary,
        "blocks": [section, *context],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _markup(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text or "-", "verbatim": True}


def _filter(fields: Mapping[str, Any]) -> str:
    name, version = fields.get("filter"), fields.get("filter_version")
    return "/".join(str(part) for part in (name, version) if part)


def _joined(between: str, *parts: Any) -> str:
    """Return the parts that say something, each as safe text."""
    return between.join(_text(part, FIELD_CHARACTERS) for part in parts if part)


def _number(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.2f}" if is_number else None


def _text(value: Any, characters: int) -> str:
    """Return what others wrote as Slack's text: one line, bounded, escaped."""
    return one_line(str(value if value is not None else ""), characters).translate(_ESCAPES)


def _link(url: Any, label: str) -> str | None:
    """Return a link with a label that is escaped already, or None where the address is not http(s)
    or has characters that could end it."""
    if not isinstance(url, str) or printable(url) != url or _NOT_IN_A_LINK.intersection(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    address = url.translate(_ESCAPES)
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    return f"<{address}|{label}>" if is_web and len(address) <= LINK_CHARACTERS else None
