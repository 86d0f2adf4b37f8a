"""Sizes of messages: as nccl-tests counts them, which columns hold, and as Chakra records them.

They differ for gathers only, of which Chakra records what one rank gives.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.schema import CommType, NodeType
from etgraph.model.trace import Trace

WORLD: Final = ("", "0")
"""Names of the process group of all ranks."""
GATHERED: Final = (int(CommType.ALL_GATHER), int(CommType.GATHER))
"""Types whose recorded size is that of one rank."""
UNKNOWN_BYTES: Final = -(2**63)
"""What stands for a size that is not known."""


def gathers(trace: Trace) -> Array:
    """Rows of the collectives whose recorded size is that of one rank."""
    o = trace.operators
    gathered = np.isin(o["comm_type"], GATHERED)
    return np.flatnonzero(gathered & (o["kind"] == int(NodeType.COMM_COLL)) & ~o.is_null("comm_bytes"))


def group_sizes(trace: Trace) -> Array:
    """Number of ranks of each operator's group, 0 where it is not known. No group means all ranks."""
    groups = trace.process_groups
    members = np.bincount(trace.group_members["group"], minlength=len(groups))
    size = np.where(groups.is_null("size"), 0, groups["size"])
    world = trace.metadata.world_size or 0
    names = groups.texts("name").to_pylist()
    everyone = np.array([names[code] in WORLD for code in groups["name"].tolist()], dtype=bool)
    known = np.where(size > 0, size, np.where(members > 0, members, np.where(everyone, world, 0)))
    return np.append(known, world)[trace.operators["group"]]


def recorded_bytes(trace: Trace) -> Array:
    """The size of each operator's message as Chakra records it, `UNKNOWN_BYTES` where it is not known."""
    sizes: Array = trace.operators["comm_bytes"].copy()
    rows = gathers(trace)
    ranks = group_sizes(trace)[rows].astype(np.int64)
    sizes[rows] = np.where(ranks > 0, sizes[rows] // np.maximum(ranks, 1), UNKNOWN_BYTES)
    return sizes
