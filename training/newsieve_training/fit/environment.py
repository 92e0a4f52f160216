"""Describes the machine of a fit, since the same seed gives other weights on another machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final, NamedTuple

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
    """The number of CPU threads, and which of how many processes this is, as torchrun says."""

    threads: int | None = None
    rank: int = 0
    world: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this is the process that writes the results."""
        return self.rank == 0


def machine_of(threads: int | None, environment: Mapping[str, str]) -> Machine:
    """Read which process this is from torchrun's variables. Raises WrongUsage."""
    try:
        rank, world = (int(environment.get(n, d)) for n, d in (("RANK", "0"), ("WORLD_SIZE", "1")))
    except ValueError:
        raise WrongUsage("RANK and WORLD_SIZE are torchrun's: they have to be numbers") from None
    return Machine(threads, rank, world)


class Environment(NamedTuple):
    """The device, the processes and the versions of libraries that a fit runs with."""

    device: str
    threads: int
    processes: int
    python: str
    versions: dict[str, str]


def environment_of(machine: Machine) -> Environment:
    """Look up what the fit of this process runs with."""
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return Environment(
        device=_device(),
        threads=torch.get_num_threads(),
        processes=machine.world,
        python=platform.python_version(),
        versions={"newsieve": newsieve.__version__} | versions,
    )


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}"
