"""`newsieve` with a device that breaks when it is told to, or with a deliberate defect.

    python -m tests.faults.breakable --device FILE worker
    python -m tests.faults.breakable --sabotage NAME worker

FILE says what is wrong with the device now: FAILS, for good, SHORT of memory, or HANGS, which the
watchdog then takes note of sooner. Nothing in the product knows of this.
"""

from __future__ import annotations

import argparse
import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from functools import partialmethod
from itertools import groupby
from pathlib import Path
from typing import Any

FAILS = "fails"
SHORT = "short"
HANGS = "hangs"
STEP_SECONDS = 5  # for the watchdog
SHORT_ROWS = 4  # more do not fit
POISON_WORD = " plant"  # one token of the tiny students
POISON_RUN = 8  # of them in a row, which no fair text has
KILLING_RUN = 2 * POISON_RUN
PADDING = 0
POISON = POISON_WORD * POISON_RUN
KILLER = POISON_WORD * KILLING_RUN


def break_the_device(file: Path) -> None:
    """Let the file rule the model's forward pass, let poison make it fail, and let a killer end
    the process, as native code can or a memory limit."""
    import torch

    from newsieve.inference.model import StudentModel
    from newsieve.stream.watchdog import Watchdog

    minding = partialmethod(Watchdog.__init__, step_seconds=STEP_SECONDS)
    Watchdog.__init__ = minding  # type: ignore[assignment,method-assign]
    forward = StudentModel.forward
    has_failed = False

    def breaking(self: StudentModel, input_ids: Any, attention_mask: Any) -> Any:
        nonlocal has_failed
        state = file.read_text() if file.exists() else ""
        if state == FAILS:
            has_failed = True
            file.unlink()  # the next process finds a device that works
        while state == HANGS:
            time.sleep(1)
        if has_failed:
            raise RuntimeError("device-side assert triggered")
        if state == SHORT and len(input_ids) > SHORT_ROWS:
            raise torch.OutOfMemoryError("no memory left")
        longest = max(_longest_run(row) for row in input_ids.tolist())
        if longest >= KILLING_RUN - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if longest >= POISON_RUN - 1:
            raise ValueError("index out of range in self")
        return forward(self, input_ids, attention_mask)

    StudentModel.forward = breaking  # type: ignore[method-assign]


def _longest_run(ids: Sequence[int]) -> int:
    return max((sum(1 for _ in run) for token, run in groupby(ids) if token != PADDING), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--device", type=Path)
    parser.add_argument("--sabotage")
    parser.add_argument("--script", help="to run instead of newsieve")
    options, rest = parser.parse_known_args()
    if options.device is not None:
        break_the_device(options.device)
    if options.sabotage is not None:
        from tests.faults.sabotage import DEFECTS

        DEFECTS[options.sabotage].apply()
    sys.argv[1:] = rest
    if options.script is not None:
        runpy.run_path(options.script, run_name="__main__")
        return
    import newsieve.cli

    newsieve.cli.main()


if __name__ == "__main__":
    main()
