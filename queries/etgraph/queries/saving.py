"""A critical path as a table to keep beside its trace, under a key that says what it is the path of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etgraph.model import path_tables
from etgraph.queries.critical_path import CriticalPath
from etgraph.queries.result import Result
from etgraph.queries.slack import Slack
from etgraph.queries.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa


def artefact_of(
    path: Result,
    *,
    rank: int | None = None,
    iteration: int | Sequence[int] | None = None,
    window: Window = "annotation",
) -> tuple[str, str, pa.Table]:
    """Kind, key and table of a path, for `Store.put_artefact`; the choices are those that it was asked with.

    The table is `path.segments`. Asked with the same choices again, a path takes the place of the one before. Raises
    TypeError for an answer that is no path.
    """
    steps = [iteration] if isinstance(iteration, int) else sorted(iteration or ())
    choice = f"rank={'all' if rank is None else rank},iteration={','.join(map(str, steps)) or 'all'}"
    facts: dict[str, Any] = {"rank": rank, "iteration": steps[0] if len(steps) == 1 else None, "iterations": steps}
    if isinstance(path, Slack):
        table = path_tables.with_facts(path.segments, {**facts, "lengthNs": path.length_ns})
        return path_tables.MODEL, choice, table
    if not isinstance(path, CriticalPath):
        raise TypeError(f"expected a critical path, found {type(path).__name__}")
    facts |= {
        "window": window, "startNs": path.start_ns, "endNs": path.end_ns, "windowNs": path.window_ns,
        "lengthNs": path.length_ns,
    }  # fmt: skip
    facts["rank"] = path.by_rank[0].rank if len(path.by_rank) == 1 else rank
    return path_tables.MEASURED, f"{choice},window={window}", path_tables.with_facts(path.segments, facts)
