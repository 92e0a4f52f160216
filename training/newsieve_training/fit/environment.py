"""On what a run is made: the same seed on another machine gives slightly different weights."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import torch

import newsieve
from newsieve.errors import WrongUsage

LIBRARIES: Final = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "accelerate",
    "numpy",
    "scikit-learn",
)


@dataclass(frozen=True)
class Machine:
    """CPU threads, and which of how many processes this is. torchrun sets RANK and WORLD_SIZE."""

    threads: int | None = None
    rank: int = 0
    world: int = 1

    @property
    def is_leader(self) -> bool:
        """The process that writes."""
        return self.rank == 0


def machine_of(threads: int | None, environment: Mapping[str, str]) -> Machine:
    """Raises WrongUsage."""
    try:
        rank, world = (int(environment.get(n, d)) for n, d in (("RANK", "0"), ("WORLD_SIZE", "1")))
    except ValueError:
        raise WrongUsage("RANK and WORLD_SIZE are torchrun's: they have to be numbers") from None
    return Machine(threads, rank, world)


def machine_facts(machine: Machine) -> dict[str, Any]:
    """Device, threads, processes, library versions."""
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {
        "device": _device(),
        "threads": torch.get_num_threads(),
        "processes": machine.world,
        "python": platform.python_version(),
        "versions": {"newsieve": newsieve.__version__} | versions,
    }


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}"
