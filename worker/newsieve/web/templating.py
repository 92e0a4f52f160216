"""Templates of pages: package data under `templates/`, filled in by jinja2.

Whatever a template is given is text: it is escaped, and characters that nobody would see are shown,
unless it is markup that a template itself has made. Knows no page.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from newsieve.printable import printable, printable_lines
from newsieve.web.shown import shown_date

COMMAND: Final = re.compile(r"`([^`]+)`")


@cache
def environment() -> Environment:
    """Return the environment of all templates."""
    environment = Environment(
        loader=PackageLoader("newsieve.web"),
        autoescape=True,
        finalize=_seen,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": _prose,
        "link": _link,
        "percent": _percent,
        "words": _words,
        "lines": _lines,
        "date": shown_date,
    }
    return environment


def _seen(value: Any) -> Any:
    """Return text with its invisible characters shown, and markup and numbers as they are."""
    return printable(value) if type(value) is str else value


def _prose(text: str) -> Markup:
    """Return sentences with the commands that stand between backticks as code."""
    return Markup(COMMAND.sub(r"<code>\1</code>", str(escape(printable(text)))))  # noqa: S704 - escaped


def _words(name: str) -> str:
    """Return a name of the filter's file as words."""
    return name.replace("_", " ")


def _lines(text: str) -> Markup:
    """Return a text with its lines and tabs as they are."""
    plain = text.replace("\r\n", "\n").replace("\t", "    ")
    return escape(printable_lines(plain))


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _link(address: str) -> Markup | str:
    """Return a link to an address on the web, and any other address as text."""
    if not address.startswith(("https://", "http://")):
        return address
    return Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>').format(
        printable(address)
    )
