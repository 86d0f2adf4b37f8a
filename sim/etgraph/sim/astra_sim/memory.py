"""ASTRA-sim's remote-memory file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from etgraph.sim.astra_sim.documents import Readable, read_json

Kind = Literal["NO_MEMORY_EXPANSION", "PER_NPU_MEMORY_EXPANSION", "PER_NODE_MEMORY_EXPANSION", "MEMORY_POOL"]
_KINDS: Final = get_args(Kind)


@dataclass(frozen=True, slots=True)
class RemoteMemory:
    """Remote memory: who shares a queue to it, latency in ns and bandwidth in bytes a ns, both whole numbers."""

    kind: Kind = "NO_MEMORY_EXPANSION"
    latency_ns: int = 0
    bandwidth: int = 1
    nodes: int = 1
    npus_per_node: int = 1
    file: str = "remote memory"


def read_memory(source: Readable) -> RemoteMemory:
    """The memory that a JSON file describes, or an object like it. Raises InputError that names file, line and key."""
    document = read_json(source, "ASTRA-sim's remote memory")
    kind = document.get("memory-type", lambda v: v if v in _KINDS else None, ", ".join(_KINDS))
    if kind == "NO_MEMORY_EXPANSION":
        return RemoteMemory(kind, file=document.file)
    per_node = kind == "PER_NODE_MEMORY_EXPANSION"
    return RemoteMemory(
        kind,
        document.whole("remote-mem-latency"),
        document.whole("remote-mem-bw", least=1),
        document.whole("num-nodes", least=1) if per_node else 1,
        document.whole("num-npus-per-node", least=1) if per_node else 1,
        document.file,
    )
