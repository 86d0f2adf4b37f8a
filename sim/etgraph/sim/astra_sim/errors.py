"""What makes ASTRA-sim abort, or end without a word, told by name."""

from __future__ import annotations

from collections.abc import Mapping

from etgraph.model.errors import EtgraphError, MissingData
from etgraph.sim.simulation import Simulation


class NotAWorkload(MissingData):
    """The trace is none that ASTRA-sim executes: ranks are missing, or its dependencies are of other kinds."""

    code = "NOT_A_WORKLOAD"


class SimulationError(EtgraphError):
    """ASTRA-sim would abort. The message names rank and node, what was found and what was expected."""

    code = "SIMULATION"
    http_status = 422


class FaultyNode(SimulationError):
    """A node that ASTRA-sim cannot execute."""

    code = "FAULTY_NODE"

    def __init__(self, rank: int, node: int, *, found: str, expected: str, hint: str | None = None) -> None:
        super().__init__(f"rank {rank} node {node}: found {found}, expected {expected}", hint=hint)
        self.rank = rank
        self.node = node
        self.found = found
        self.expected = expected


class EventAtZero(FaultyNode):
    """Something would happen at time 0, at which ASTRA-sim starts and lets nothing happen."""

    code = "EVENT_AT_ZERO"


class EndedEarly(SimulationError):
    """The simulation ended, but ASTRA-sim does not get to the end. What is known stands in the error.

    `simulation` holds the times of all that started; `finish_ns` says by rank when it finished, None where it never
    did.
    """

    def __init__(
        self, message: str, simulation: Simulation, finish_ns: Mapping[int, int | None], *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.simulation = simulation
        self.finish_ns = dict(finish_ns)


class NeverEnds(EndedEarly):
    """Nodes that never end, or never start, where ASTRA-sim ends without a word; `nodes` has (rank, node id) of all.

    `reasons` says of nodes that started and did not end what they wait for.
    """

    code = "NEVER_ENDS"

    def __init__(
        self,
        message: str,
        simulation: Simulation,
        finish_ns: Mapping[int, int | None],
        nodes: tuple[tuple[int, int], ...],
        reasons: Mapping[tuple[int, int], str],
    ) -> None:
        super().__init__(message, simulation, finish_ns, hint="`nodes` and `reasons` of the error list all of them")
        self.nodes = nodes
        self.reasons = dict(reasons)


class StatisticsAbort(EndedEarly):
    """ASTRA-sim aborts in the statistics of a rank with CPU or memory nodes whose last node is a send or a receive."""

    code = "STATISTICS_ABORT"
