"""Logging: one line per transaction, `noun.verb_past`, on stderr. JSON off a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Final, Literal, get_args

import structlog

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
Logger = structlog.stdlib.BoundLogger


def configure() -> None:
    """Send structlog and the standard library's logging through one formatter, at level info."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        # Its usual tracebacks show local variables, and there are secrets among them.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    set_level("info")


def set_level(name: Level) -> None:
    """From which of the LEVELS on lines are written.

    Libraries never say less than warnings, whatever is set: what they write of a request may hold
    a secret.
    """
    level = logging.getLevelNamesMapping()[name.upper()]
    logging.getLogger().setLevel(max(level, logging.WARNING))
    logging.getLogger("newsieve").setLevel(level)


def get_logger(name: str) -> Logger:
    logger: Logger = structlog.get_logger(f"newsieve.{name}")
    return logger
