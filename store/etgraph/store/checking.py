"""What `doctor` says of a store, here or on a server: its health, what it holds, and if that is as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from etgraph.store.protocol import Check, Store, TraceInfo

INTEGRITY: Final = "integrity"
"""The name of checks that compare what is stored with its checksums."""


def checks_of(store: Store, *, verify: bool = False) -> list[Check]:
    """All checks of a store; with `verify`, every stored byte is read. Raises what the store raises."""
    return [*store.health(), _contents(store), *(_integrity(store) if verify else ())]


def _contents(store: Store) -> Check:
    """How many traces there are, and which of them are not whole."""
    traces = list({entry.id: entry for entry in store.traces()}.values())
    faults = {
        "with dependencies that lead nowhere": [t for t in traces if t.report.dangling_dependencies],
        "with dependencies on cycles left out": [t for t in traces if t.report.counts.get("cyclicDependencies")],
        "with ranks missing": [t for t in traces if _lacks_ranks(t)],
    }
    told = [f"{len(which)} {what} ({', '.join(t.id[:12] for t in which[:3])}{', …' if len(which) > 3 else ''})"
            for what, which in faults.items() if which]  # fmt: skip
    return Check("traces", True, "; ".join([_counted(len(traces)), *told]))


def _lacks_ranks(trace: TraceInfo) -> bool:
    """Whether the world is larger than what was recorded, or the ranks have gaps."""
    held = {source.rank for source in trace.sources}
    size = trace.world_size if trace.world_size is not None else max(held, default=-1) + 1
    return (len(held) < size and len(trace.sources) > 1) or len(held) < (trace.world_size or 0)


def _integrity(store: Store) -> Iterator[Check]:
    """One line a fault, or one line that says there is none."""
    problems = store.verify()
    for problem in problems:
        yield Check(INTEGRITY, False, f"trace {problem.trace_id[:12]}: {problem}" if problem.trace_id else str(problem))
    if not problems:
        traces = len({entry.id for entry in store.traces()})
        yield Check(INTEGRITY, True, f"{_counted(traces)} read, every file as it was written")


def _counted(traces: int) -> str:
    return f"{traces:,} trace{'' if traces == 1 else 's'}"


__all__ = ["INTEGRITY", "checks_of"]
