"""What is set before torch and transformers are imported. It imports neither."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let the garbage collector rest while libraries are imported: it would walk all their objects
    again and again, and free none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_compiled_code() -> None:
    """Have torch keep what it compiles across restarts, where only this user can write.

    torch's own choice is a folder under /tmp, which is gone with the container. It stays where the
    user has no folder to write to. torch chooses when transformers is imported: call it before.
    """
    if CACHE_VARIABLE in os.environ:
        return
    with suppress(OSError, RuntimeError):  # the latter where the user has no home
        cache_home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(cache_home, "newsieve", "compiled")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[CACHE_VARIABLE] = str(folder)
