"""The ways to run rows on a GPU: torch's compiler, CUDA graphs, and two attention kernels.

It holds what cannot be run without a GPU, and as little else as possible; which way is taken is
decided elsewhere.
"""

from __future__ import annotations

import inspect
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from newsieve.inference.packed_forward import PackedForward, Row, RunRow
from newsieve.inference.row_runs import Way

WARM_UPS: Final = 3  # before work is recorded, as torch's documentation asks for
TIMED: Final = 5
OPTIONS: Final[dict[str, Any]] = {
    "emulate_precision_casts": True,  # rounds where the plain code does: scores hardly differ
    "compile_threads": 1,  # in this process: helpers would stay for as long as it runs
}
CACHE_VARIABLE: Final = "TORCHINDUCTOR_CACHE_DIR"


def gpu_ways(forward: PackedForward) -> list[Way]:
    """The ways beside the plain one, the most promising first."""
    compiled = compile_run(forward.run)
    return [
        Way("compiled and recorded", lambda row: record_run(compiled, row)),
        Way("compiled", lambda _: compiled),
        Way("recorded", lambda row: record_run(forward.run, row)),
    ]


def compile_run(run: RunRow, **extra: Any) -> RunRow:
    """Have torch compile a run, for each shape when the first row of it comes.

    `extra` goes to torch.compile.
    """
    if "backend" not in extra:
        extra["options"] = OPTIONS
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        extra["isolate_recompiles"] = True  # each student has its own limit of shapes
    compiled: RunRow = torch.compile(run, fullgraph=True, dynamic=False, **extra)
    return compiled


def record_run(run: RunRow, row: Row) -> RunRow:
    """Record a run on rows of this one's shape, as a CUDA graph.

    Rows are copied to where the recorded row was. The scores lie in one place, too: they are to be
    fetched, on the same stream, before the next row is run.
    """
    held = Row(*(part.clone() for part in row))
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            run(held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, pool=_pool(), capture_error_mode="thread_local"):
        scores = run(held)

    def replay(row: Row) -> torch.Tensor:
        for place, part in zip(held, row, strict=True):
            place.copy_(part, non_blocking=True)
        graph.replay()
        return scores

    return replay


@cache
def _pool() -> Any:
    """The memory of all recordings: they run one after another, and their scores are fetched at
    once."""
    return torch.cuda.graph_pool_handle()


def seconds_on(device: torch.device) -> Callable[[RunRow, Row], float]:
    """Make a stopwatch for runs on the device."""

    def seconds(run: RunRow, row: Row) -> float:
        run(row)
        times = []
        for _ in range(TIMED):
            torch.cuda.synchronize(device)
            begin = time.perf_counter()
            run(row)
            torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    return seconds


def choose_kernel(
    run: RunRow,
    row: Row,
    seconds: Callable[[RunRow, Row], float],
    enable_cudnn: Callable[[bool], None] = torch.backends.cuda.enable_cudnn_sdp,
) -> None:
    """Let torch prefer cuDNN's attention, as it does by itself, only where that is faster.

    On some cards and releases FlashAttention is, by several times. The choice is the process's.
    """
    times = {}
    for is_cudnn in (False, True):
        enable_cudnn(is_cudnn)
        try:
            times[is_cudnn] = seconds(run, row)
        except Exception:  # noqa: BLE001 - a kernel that fails is not chosen
            times[is_cudnn] = float("inf")
    enable_cudnn(times[True] < times[False])


def keep_compiled_code() -> None:
    """Have torch keep what it compiles across restarts, where only this user can write.

    torch's own choice is a folder under /tmp, which is gone with the container. It stays where the
    user has no folder to write to.
    """
    if CACHE_VARIABLE in os.environ:
        return
    with suppress(OSError, RuntimeError):  # the latter where the user has no home
        cache_home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(cache_home, "newsieve", "compiled")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[CACHE_VARIABLE] = str(folder)
