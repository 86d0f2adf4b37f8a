"""What of this machine a process may use: processors and memory, with the limits of its control groups (Linux).

A container's limit is that of a control group, often one further out than the process's own: all of them bind. Formats:
cgroup-v2.rst of the Linux kernel for `cpu.max` and `memory.max`, sched-bwc.rst and cgroup-v1/memory.rst for the older.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
_CGROUPS: Final = "sys/fs/cgroup"


def processors(root: Path = ROOT) -> int:
    """How many processors this process may keep busy, at least one; a part of one counts as one."""
    if hasattr(os, "process_cpu_count"):
        count: int = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    shares = [share for folder in _groups(root, "cpu") if (share := _processors_of(folder)) is not None]
    return max(min([count, *map(math.ceil, shares)]), 1)


def free_memory(root: Path = ROOT) -> int:
    """How many bytes this process may still take before memory is short."""
    import psutil

    left = [room for folder in _groups(root, "memory") if (room := _room_of(folder)) is not None]
    return max(min([int(psutil.virtual_memory().available), *left]), 0)


def _processors_of(folder: Path) -> float | None:
    """Processors that a group may use on average; None where it has no limit."""
    values = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    numbers = [int(value) for value in values if value.isdigit()]
    return numbers[0] / numbers[1] if len(numbers) == 2 and all(numbers) else None


def _room_of(folder: Path) -> int | None:
    """Bytes that a group may take beyond what it holds; None where it has no limit. Cached files can be given up."""
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        numbers = [int(value) for value in _words(folder / limit) + _words(folder / used) if value.isdigit()]
        if len(numbers) == 2:
            counted = _words(folder / "memory.stat")
            cached = next((int(n) for name, n in zip(counted[::2], counted[1::2]) if name == "inactive_file"), 0)
            return numbers[0] - numbers[1] + cached
    return None


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in, from its own outwards."""
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0":
            base = root / _CGROUPS
        elif controller in controllers.split(","):
            base = root / _CGROUPS / controller
        else:
            continue
        # Inside a container the path may be that outside of it, which is not there.
        own = base / path.strip("/")
        yield from (own, *own.parents)


def _words(file: Path) -> list[str]:
    return [word for line in _lines(file) for word in line.split()]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
