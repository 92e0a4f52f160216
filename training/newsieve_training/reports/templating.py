"""Fills in the Markdown reports: package data under `templates/`, filled in by jinja2.

What a template prints is escaped unless it is Markdown already, since titles, names and reasons are
written by others; it becomes one line, without spaces around it. Knows no report.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from newsieve_training.reports.document import Block, as_markdown, escape_markdown
from newsieve_training.reports.formatting import counts, number, percent, span


class _Markdown(str):
    """A text that is Markdown already, and is printed as it is."""

    __slots__ = ()


def _blocks(blocks: Iterable[Block]) -> _Markdown:
    """Write blocks that other reports show, too."""
    return _Markdown(as_markdown(list(blocks)).rstrip("\n"))


def _printed(value: object) -> str:
    return value if isinstance(value, _Markdown) else escape_markdown(str(value))


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("newsieve_training.reports"),
    autoescape=False,  # noqa: S701 - Markdown, not HTML: `finalize` escapes both
    finalize=_printed,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters.update(
    blocks=_blocks, counts=counts, number=number, percent=percent, span=span
)
_ENVIRONMENT.globals["rule"] = lambda columns: _Markdown(" --- |" * columns)


def render(template: str, **values: Any) -> str:
    """Return the template of this name, filled in with these values."""
    return _ENVIRONMENT.get_template(f"{template}.md").render(values)
