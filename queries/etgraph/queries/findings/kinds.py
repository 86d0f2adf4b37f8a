"""All kinds of findings, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from etgraph.queries.findings.candidate import Kind
from etgraph.queries.findings.exposed_communication import exposed_communication
from etgraph.queries.findings.host_bound import host_bound
from etgraph.queries.findings.imbalance import imbalance
from etgraph.queries.findings.input_starvation import input_starvation
from etgraph.queries.findings.late_rank import late_rank
from etgraph.queries.findings.matrix_units import matrix_units
from etgraph.queries.findings.memory_copies import memory_copies
from etgraph.queries.findings.redundant_collective import redundant_collective
from etgraph.queries.findings.small_kernels import small_kernels
from etgraph.queries.findings.small_messages import small_messages
from etgraph.queries.findings.synchronisation import synchronisation

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "exposed-communication": exposed_communication,
        "small-messages": small_messages,
        "late-rank": late_rank,
        "imbalance": imbalance,
        "host-bound": host_bound,
        "synchronisation": synchronisation,
        "redundant-collective": redundant_collective,
        "small-kernels": small_kernels,
        "matrix-units": matrix_units,
        "input-starvation": input_starvation,
        "memory-copies": memory_copies,
    }
)
"""Each function looks at a measured trace and yields what may hold it back."""
