"""Logging: one line per transaction, `noun.verb_past`, on stderr, as JSON unless that is a
terminal.

Nothing that others wrote can drive a terminal; JSON escapes by itself what could.
"""

from __future__ import annotations

import io
import logging
import sys
from types import TracebackType
from typing import Any, Final, Literal, TextIO, get_args

import structlog

from newsieve.printable import printable, printable_lines

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
Logger = structlog.stdlib.BoundLogger


def configure() -> None:
    """Send structlog and the standard library's logging through one formatter, at level info."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        [_escape, structlog.dev.ConsoleRenderer(exception_formatter=_traceback)]
        if sys.stderr.isatty()
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    set_level("info")


def _escape(_logger: Any, _method: str, event: structlog.typing.EventDict) -> dict[str, Any]:
    """The value, by repr() where it is no text, which escapes it."""
    return {
        printable(key): printable(value) if isinstance(value, str) else value
        for key, value in event.items()
    }


_Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def _traceback(out: TextIO, raised: _Raised) -> None:
    """The traceback without local variables: there are secrets among them."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, raised)
    out.write(printable_lines(plain.getvalue()))


def set_level(name: Level) -> None:
    """Set from which of the LEVELS on lines are written.

    Libraries never say less than warnings, whatever is set: what they write of a request may hold a
    secret.
    """
    level = logging.getLevelNamesMapping()[name.upper()]
    logging.getLogger().setLevel(max(level, logging.WARNING))
    logging.getLogger("newsieve").setLevel(level)


def get_logger(name: str) -> Logger:
    logger: Logger = structlog.get_logger(f"newsieve.{name}")
    return logger
