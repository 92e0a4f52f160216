"""Logs what Kafka clients say: each thing once in a while, and without secrets.

It does not know which events are worth a metric.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any, Final

from newsieve.kafka.secret_options import SecretMask

SAME_NEWS_SECONDS: Final = 10.0
_NUMBERS: Final = re.compile(r"\d+")

_log = logging.getLogger("newsieve.kafka")


class RepeatedLogFilter(logging.Filter):
    """Drops a line that was logged seconds ago: while a broker is away librdkafka says the same
    hundreds of times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "Coordinator load in progress: retrying" in text:  # a new cluster's first second
            return False
        kind = _NUMBERS.sub("", text)
        now = time.monotonic()
        self._said_at = {k: at for k, at in self._said_at.items() if now - at < SAME_NEWS_SECONDS}
        is_new = kind not in self._said_at
        if is_new:
            self._said_at[kind] = now
        return is_new


_log.addFilter(RepeatedLogFilter())


class MaskingLog(logging.LoggerAdapter[logging.Logger]):
    """A client's logger that hides the secrets of its configuration, which librdkafka may quote."""

    def __init__(self, mask: SecretMask) -> None:
        super().__init__(_log, {})
        self._mask = mask

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        texts = (self._mask(arg) if isinstance(arg, str) else arg for arg in args)
        super().log(level, msg, *texts, **kwargs)
