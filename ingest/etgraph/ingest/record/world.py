"""Which rank this process is, of how many."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etgraph.model.errors import UsageError

LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, and what torch.distributed itself reads
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # SLURM_NTASKS is set in a batch script too, which is one process
)
"""Variables by which launchers tell a process its rank and the number of ranks. The first pair that is whole counts."""


@dataclass(frozen=True, slots=True)
class World:
    """A rank, the number of ranks, and where both were found."""

    rank: int
    size: int
    source: str


def find_world(
    distributed: Any, rank: int | None, world_size: int | None, environment: Mapping[str, str] = os.environ
) -> World:
    """Rank and world size: from `torch.distributed` once it is initialised, from the arguments, from a launcher's
    variables; else this is the only process.

    `distributed` is the module `torch.distributed`. Raises UsageError for arguments that contradict it, for one of the
    two alone and for numbers that are no rank and size.
    """
    if (rank is None) != (world_size is None):
        raise UsageError("rank and world_size belong together: found one of them, expected both or none")
    given = None if rank is None or world_size is None else _checked(rank, world_size, "the arguments")
    if initialised(distributed):
        world = World(distributed.get_rank(), distributed.get_world_size(), "torch.distributed")
        if given is not None and (given.rank, given.size) != (world.rank, world.size):
            raise UsageError(
                f"found rank {given.rank} of {given.size} in the arguments, expected rank {world.rank} of "
                f"{world.size}, as torch.distributed says",
                hint="leave rank and world_size out",
            )
        return world
    return given or _launched(environment) or World(0, 1, "default")


def initialised(distributed: Any) -> bool:
    """Whether this process is in a process group."""
    return bool(distributed.is_available() and distributed.is_initialized())


def _launched(environment: Mapping[str, str]) -> World | None:
    for names in LAUNCHERS:
        if all(environment.get(name) for name in names):
            numbers = [environment[name] for name in names]
            if not all(number.isdecimal() for number in numbers):
                found = ", ".join(f"{name}={number}" for name, number in zip(names, numbers))
                raise UsageError(f"found {found} in the environment, expected two numbers")
            return _checked(int(numbers[0]), int(numbers[1]), " and ".join(names))
    return None


def _checked(rank: int, size: int, source: str) -> World:
    if not 0 <= rank < size:
        raise UsageError(f"found rank {rank} of {size} in {source}, expected a rank from 0 to the world size less one")
    return World(rank, size, source)
