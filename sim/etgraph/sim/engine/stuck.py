"""What keeps a simulation from ending: operators that wait for each other, named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import EtgraphError
from etgraph.model.graph import topological_order
from etgraph.sim.engine.program import Program
from etgraph.sim.engine.run import Timeline

SHOWN = 8
"""Operators that the message lists; the error has all."""


class Deadlock(EtgraphError):
    """A simulation cannot go on. `operators` are (rank, index) of those that never end, `ranks` their ranks."""

    code = "DEADLOCK"
    http_status = 422

    def __init__(self, message: str, operators: Sequence[tuple[int, int]], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.operators = tuple(operators)
        self.ranks = tuple(sorted({rank for rank, _ in operators}))


def check_ended(trace: Trace, program: Program, timeline: Timeline) -> None:
    """Raise Deadlock where an operator of the trace never ended: with those that wait for each other, first of all."""
    if timeline.happened.all():
        return
    o = trace.operators
    stuck = np.flatnonzero(~timeline.happened[1 : 2 * len(trace) : 2])
    around = _circle(program, timeline)
    named = list(dict.fromkeys((around[around < 2 * len(trace)] // 2).tolist())) or stuck.tolist()
    shown = "; ".join(trace.describe(row) for row in named[:SHOWN])
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    ranks = np.unique(o["rank"][stuck])
    reached = int(timeline.ns[timeline.happened].max(initial=0))
    raise Deadlock(
        f"the simulation stops at {reached:,} ns: {len(stuck):,} operators on {len(ranks)} ranks never end, "
        f"since these wait for each other: {shown}{more}",
        list(zip(o["rank"][stuck].tolist(), o["index"][stuck].tolist())),
        hint="look at the order of collectives and messages on these ranks",
    )


def _circle(program: Program, timeline: Timeline) -> Array:
    """Events on one cycle: of edges alone, or of edges and the order in which servers serve."""
    sources, targets = program.sources, program.targets
    open_edges = ~timeline.happened[sources] & ~timeline.happened[targets]
    s = program.services
    ends, starts = 2 * s.operator + 1, 2 * s.operator
    # Who holds a server has started and not ended; who waits for it has not started.
    holds = timeline.happened[starts] & ~timeline.happened[ends]
    holder = np.full(int(s.server.max(initial=-1)) + 1, -1, dtype=np.int64)
    holder[s.server[holds]] = ends[holds]
    waits = ~timeline.happened[starts]
    waits[waits] = holder[s.server[waits]] >= 0
    edge_from = np.concatenate([sources[open_edges], holder[s.server[waits]]])
    edge_to = np.concatenate([targets[open_edges], starts[waits]])
    _, cycle = topological_order(program.events, edge_from, edge_to)
    return cycle
