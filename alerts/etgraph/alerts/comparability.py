"""Whether runs can be compared by a rule at all: the same workload, on the same hardware, over the same ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from etgraph.alerts.runs import Run
from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.queries.comparison.differences import facts

HARDWARE: Final = (
    "device model", "devices of the host", "units of the device", "memory of the device, bytes", "warp size",
)  # fmt: skip
TOPOLOGY: Final = ("world size", "ranks recorded", "process groups")


def incomparable(runs: Sequence[Run], baseline: Sequence[Run]) -> tuple[str, ...]:
    """In what runs differ from those of a baseline such that a regression says nothing; none where they do not.

    Each is a sentence: what, the run's and the baseline's. What one side does not tell is no difference.
    """
    found: list[str] = []
    first = _fingerprint(baseline[0])
    for run in (*baseline[1:], *runs):
        own = _fingerprint(run)
        found += [
            f"{what}: {own[what]} in {run.name}, {first[what]} in {baseline[0].name}"
            for what in first
            if what in own and own[what] != first[what]
        ]
    own_ranks = [run.trace.ranks for run in runs]
    if found and len(runs) > 1 and len({rank for ranks in own_ranks for rank in ranks}) == sum(map(len, own_ranks)):
        found.append("no two of the runs have a rank in common: files of one run are one reference, their folder")
    return tuple(dict.fromkeys(found))


def on_both_sides(runs: Sequence[Run], baseline: Sequence[Run]) -> tuple[str, ...]:
    """Which runs are a baseline themselves, so that there is nothing to compare; none where all are other runs."""
    return tuple(
        f"{run.name} is on both sides" + (f", as {base.name}" if base.name != run.name else "")
        for run in runs
        for base in baseline
        if _same(run.trace, base.trace) and _steps(run) & _steps(base)
    )


def different(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs of one side, each once: what is named twice, or is the copy of another, is no second run.

    Raises UsageError for some steps of a run beside others of it: steps of one run are not independent of each other.
    """
    found: list[Run] = []
    for run in runs:
        same = [one for one in found if _same(run.trace, one.trace)]
        if any(_steps(one) == _steps(run) for one in same):
            continue
        if same:
            raise UsageError(
                f"{same[0].name} and {run.name} are steps of one run, expected different runs",
                hint="name them as one, as in 'REF#0,2,4': steps of one run do not tell how far runs differ",
            )
        found.append(run)
    return tuple(found)


def _same(run: Trace, base: Trace) -> bool:
    return run is base or (run.trace_id == base.trace_id and run.operators.equals(base.operators))


def _steps(run: Run) -> set[int | None]:
    return set(run.steps())


def _fingerprint(run: Run) -> dict[str, str]:
    told = facts(run.trace)
    found: dict[str, str] = {what: told[what] for what in (*HARDWARE, *TOPOLOGY) if what in told}
    if run.info is not None and run.info.workload:
        found["workload"] = run.info.workload
    return found


__all__ = ["HARDWARE", "TOPOLOGY", "different", "incomparable", "on_both_sides"]
