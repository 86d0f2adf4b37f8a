"""How a simulation is kept beside its trace: a table of predicted times that says which simulation it is.

The table has a row for each operator of the trace, in the trace's order. A store that holds graphs keeps it as a node
with a relationship to each operator, and one to the hardware that was simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from etgraph.model import table_facts

if TYPE_CHECKING:
    import pyarrow as pa

KIND: Final = "simulation"
"""The kind of artefacts that are simulations; their key is the simulation's id."""
TIMES: Final = ("start_ns", "duration_ns", "duration_low_ns", "duration_high_ns")
"""Columns that hold what is predicted; null: nothing is."""
OF_OPERATOR: Final = ("rank", "index", "node_id")
"""Columns that say of which operator a row is."""
HARDWARE: Final = "hardware"
"""The fact that says on which hardware: `name` of the profile, its `content`, `device`, `vendor`, `ranks`."""

_FACTS: Final = b"etgraph.simulation"


def with_facts(nodes: pa.Table, facts: Mapping[str, Any]) -> pa.Table:
    """The predicted times with what they are the times of: names in camelCase, values as JSON has them."""
    return table_facts.with_facts(nodes, _FACTS, facts)


def facts_of(schema: pa.Schema) -> dict[str, Any]:
    """What a table says of its simulation; nothing for one that `with_facts` did not make."""
    return table_facts.facts_of(schema, _FACTS)
