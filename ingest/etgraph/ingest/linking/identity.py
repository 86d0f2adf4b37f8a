"""What a host and a device file are of each other: one process and iteration, or not; and pairs that are no run at all.

Never judged by how much of them can be linked: the files of two ranks of one program agree in nearly every operator.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.model import LaneKind, Source
from etgraph.model.columns import Array
from etgraph.model.errors import InputError

SAME_PROCESS_DAYS = 7
"""Two files of one process are recorded within so many days; a process id comes back later."""
OTHER_PROCESS_DAYS = 2
"""Two files of different processes can still be of one program; further apart than this they are not taken for it."""
AGREEING = 0.95
"""Share of sequence numbers that must agree for two files to be of one iteration."""
EXPECTED = "host and device file of one rank of one run"


class Identity(enum.StrEnum):
    """What a host and a device file are of each other."""

    SAME = "same process and iteration"
    OTHER_ITERATION = "other iteration"
    OTHER_PROCESS = "other process"
    UNKNOWN = "unknown"


def same_process(host: Draft, device: Draft) -> bool | None:
    """Whether both were recorded by one process; None where one does not say.

    Raises InputError naming both files and what contradicts where they cannot be of one rank of one run.
    """
    ours, theirs = host.trace.metadata, device.trace.metadata
    host_source, device_source = ours.sources[0], theirs.sources[0]
    reasons: list[str] = []
    known = "default" not in (host_source.rank_from, device_source.rank_from)
    if known and host_source.rank != device_source.rank:
        reasons.append(f"ranks {host_source.rank} and {device_source.rank}")
    if ours.world_size and theirs.world_size and ours.world_size != theirs.world_size:
        reasons.append(f"world sizes {ours.world_size} and {theirs.world_size}")
    process, processes = str(host_source.document.get("pid", "")), _processes(device)
    same = process in processes if process and processes else None
    apart = _days_apart(host_source, theirs.start_time)
    if apart is not None and apart > (OTHER_PROCESS_DAYS if same is False else SAME_PROCESS_DAYS):
        reasons.append(f"recorded {apart:.0f} days apart")
    if not reasons:
        return same
    if same is False:
        reasons.insert(0, f"process {process} and {', '.join(sorted(processes))}")
    raise refusal(host, device, ", ".join(reasons))


def refusal(host: Draft, device: Draft, found: str) -> InputError:
    """An error that names both files."""
    names = " and ".join(draft.trace.metadata.sources[0].name for draft in (host, device))
    hint = "give each file by itself, or use read_each / --each to make one trace of each file"
    return InputError(names, found=found, expected=EXPECTED, hint=hint)


def _processes(device: Draft) -> set[str]:
    """Process ids of the threads."""
    lanes = device.trace.lanes
    threads = np.flatnonzero(lanes["kind"] == int(LaneKind.THREAD))
    found = {str(lanes.value("process", row)) for row in threads.tolist()}
    return {process for process in found if process.isdecimal()}


def _days_apart(host: Source, started: str | None) -> float | None:
    """Days between two recordings, zones set aside: the host's file gives local time without saying of where."""
    text = host.document.get("time")
    if started is None or not isinstance(text, str):
        return None
    try:
        local = datetime.fromisoformat(text).replace(tzinfo=None)
        universal = datetime.fromisoformat(started[:19])
    except ValueError:
        return None
    return max(abs(local - universal) - timedelta(hours=14), timedelta()) / timedelta(days=1)


def identify(
    process: bool | None,
    host_sequence: Array,
    device_sequence: Array,
    host_steps: list[str],
    device_steps: list[str],
    *,
    shared_ids: bool = False,
) -> tuple[Identity, int | None]:
    """The identity of a pair from linked operators, and by how much their sequence numbers differ as a rule.

    `host_sequence` and `device_sequence` are those of the same operators, `host_steps` and `device_steps` the names of
    the same steps, such as `ProfilerStep#7`. Sequence numbers count autograd's operations of a process: equal ones are
    one iteration's. Where there are none, shared ids of calls tell, or numbered steps.
    """
    both = (host_sequence != NULL) & (device_sequence != NULL)
    difference: int | None = None
    iteration: bool | None = None
    if both.any():
        values, counts = np.unique(device_sequence[both] - host_sequence[both], return_counts=True)
        difference = int(values[np.argmax(counts)])
        iteration = difference == 0 and bool(counts.max() >= AGREEING * both.sum())
    elif shared_ids:
        iteration = True
    elif host_steps:
        iteration = host_steps == device_steps
    if process is None:
        return Identity.UNKNOWN, difference
    if not process:
        return Identity.OTHER_PROCESS, difference
    if iteration is None:
        return Identity.UNKNOWN, difference
    return Identity.SAME if iteration else Identity.OTHER_ITERATION, difference
