"""`newsieve worker` that prints how long each step of its start took, one JSON line a step."""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

STEPS = {  # what the worker calls one after the other
    "newsieve.cli.worker.require_topics": "topics checked",
    "newsieve.cli.worker.acquire_slot": "slot acquired",
    "newsieve.inference.student.highest_id": "tokenizer tried in a process of its own",
    "newsieve.inference.student.require_hashes": "base model hashed",
    "newsieve.inference.student.load_backbone": "base model loaded",
    "newsieve.inference.adapter.merge": "adapter merged",
    "newsieve.inference.student.choose_forward": "forward pass made: cast and packed",
    "newsieve.inference.student.check_canaries": "canaries scored",
    "newsieve.cli.worker.make_worker": "loop assembled",
}


def main() -> None:
    """Import the large libraries one by one, and then run the worker."""
    gc.disable()  # as the worker does while it loads
    for name, modules in (
        ("imports: newsieve", ["newsieve.cli.worker"]),
        ("imports: torch", ["torch"]),
        ("imports: transformers", ["transformers.modeling_utils"]),
        ("imports: newsieve's engine", ["newsieve.inference.student"]),
    ):
        _timed(name, lambda modules=modules: [importlib.import_module(item) for item in modules])()
    for path, name in STEPS.items():
        module_name, _, function = path.rpartition(".")
        module = importlib.import_module(module_name)
        setattr(module, function, _timed(name, getattr(module, function)))
    sys.argv = ["newsieve", "worker"]
    importlib.import_module("newsieve.__main__").main()


def _timed(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any, **keywords: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = step(*arguments, **keywords)
        took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        sys.stdout.write(json.dumps({"step": name, **took}) + "\n")
        sys.stdout.flush()
        return result

    return run


if __name__ == "__main__":
    main()
