"""How a GPU can execute rows: code that torch compiled, CUDA graphs, and both together.

It holds what cannot be run without a GPU, and as little else as possible; which mode is taken is
decided in `execution_choice`.
"""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import torch

from newsieve.inference.execution_choice import ExecutionMode
from newsieve.inference.packed_forward import PackedForward, Row, RowRunner

WARM_UPS: Final = 3  # before work is captured, as torch's documentation asks for
TIMED: Final = 5
OPTIONS: Final[dict[str, Any]] = {
    "emulate_precision_casts": True,  # round where the eager mode does
    "compile_threads": 1,  # in this process: helpers would stay for as long as it runs
}


def gpu_modes(forward: PackedForward) -> list[ExecutionMode]:
    """The execution modes beside the eager one, the most promising first."""
    compiled = compile_runner(forward.run_eagerly)
    return [
        ExecutionMode("compiled, as a CUDA graph", lambda row: capture_graph(compiled, row)),
        ExecutionMode("compiled", lambda _: compiled),
        ExecutionMode("as a CUDA graph", lambda row: capture_graph(forward.run_eagerly, row)),
    ]


def compile_runner(runner: RowRunner, **extra: Any) -> RowRunner:
    """Have torch compile a runner, for each shape when the first row of it comes.

    `extra` goes to torch.compile.
    """
    if "backend" not in extra:
        extra["options"] = OPTIONS
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        extra["isolate_recompiles"] = True  # each student has its own limit of shapes
    compiled: RowRunner = torch.compile(runner, fullgraph=True, dynamic=False, **extra)
    return compiled


def capture_graph(runner: RowRunner, row: Row) -> RowRunner:
    """Capture what a runner does on rows of this one's shape, as a CUDA graph.

    Rows are copied to where the captured row was. The scores lie in one place, too: they are to be
    fetched, on the same stream, before the next row is run.
    """
    static = Row(*(part.clone() for part in row))
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            runner(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Each graph has memory of its own. A shared pool's handle outlives the pool when all its graphs
    # were rejected, and torch fails an assertion when it is used again; and the memory of a shared
    # pool is free only when its last graph is gone, not when the largest is.
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        scores = runner(static)

    def replay(row: Row) -> torch.Tensor:
        for target, part in zip(static, row, strict=True):
            target.copy_(part, non_blocking=True)
        graph.replay()
        return scores

    return replay


def seconds_on(device: torch.device) -> Callable[[RowRunner, Row], float]:
    """Make a stopwatch for runners on the device."""

    def seconds(runner: RowRunner, row: Row) -> float:
        runner(row)
        times = []
        for _ in range(TIMED):
            torch.cuda.synchronize(device)
            begin = time.perf_counter()
            runner(row)
            torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    return seconds
