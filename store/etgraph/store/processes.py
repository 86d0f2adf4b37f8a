"""Processes that are noted by number and moment of beginning, so that another of that number is not taken for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def find(pid: int, began: float, tolerance: float) -> psutil.Process | None:
    """The process of this machine, None where it has ended or another one has its number.

    Two readings of the moment may differ by `tolerance` seconds: it is counted from the machine's own beginning.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        same = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - began) <= tolerance
    except psutil.Error:
        return None
    return process if same else None


def began(pid: int) -> float:
    """When a process of this machine began, in seconds of Unix time. Raises psutil.Error where there is none."""
    import psutil

    return psutil.Process(pid).create_time()
