"""ASTRA-sim's models: nodes and messages a second, and memory; the program itself does 9 to 85 thousand nodes/s."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, Final

import numpy as np

from etgraph.model import TABLES, Category, Columns, CommType, Metadata, NodeType, Trace
from etgraph.sim.astra_sim import Arguments, RemoteMemory, read_network, read_system, run
from etgraph.sim.astra_sim.assemble import machine_of
from etgraph.sim.astra_sim.nodes import workload
from etgraph.sim.astra_sim.plans import Planner
from etgraph.sim.astra_sim.running import go

SYSTEM: Final = {
    "scheduling-policy": "LIFO", "endpoint-delay": 10, "active-chunks-per-dimension": 2,
    "preferred-dataset-splits": 4, "collective-optimization": "localBWAware", "local-mem-bw": 1600,
    "peak-perf": 900, "roofline-enabled": 0,
}  # fmt: skip
CASES: Final = (
    # algorithm, NPUs by dimension, topology, backend, layers, kernels a layer
    ("ring", (64,), "Switch", "unaware", 20, 1000),
    ("ring", (64,), "Switch", "unaware", 200, 100),
    ("ring", (8,), "Ring", "unaware", 2000, 1),
    ("ring", (8,), "Ring", "aware", 2000, 1),
    ("direct", (8,), "Switch", "unaware", 2000, 1),
    ("ring", (8, 8), "Ring", "unaware", 400, 1),
    ("ring", (8, 4, 8), "Switch", "unaware", 100, 1),
    ("ring", (1024,), "Ring", "unaware", 1, 1),
    ("direct", (256,), "Switch", "unaware", 4, 1),
    ("halvingDoubling", (1024,), "Switch", "unaware", 50, 1),
    ("doubleBinaryTree", (1024,), "FullyConnected", "aware", 50, 1),
)


def step_of(ranks: int, layers: int, kernels: int = 1, size: int = 4 << 20) -> Trace:
    """Layers of kernels in a chain, each followed by an all-reduce that the next layer does not await."""
    table = TABLES["operators"]
    count = (kernels + 1) * layers
    index = np.tile(np.arange(count), ranks)
    communicates = index % (kernels + 1) == kernels
    data: dict[str, Any] = {
        "rank": np.repeat(np.arange(ranks), count), "index": index, "node_id": index.astype(np.uint64),
        "name": communicates.astype(np.int32),
        "kind": np.where(communicates, int(NodeType.COMM_COLL), int(NodeType.COMP)),
        "category": np.full(len(index), int(Category.KERNEL)), "duration_ns": np.where(communicates, 0, 100_000),
        "comm_type": np.where(communicates, int(CommType.ALL_REDUCE), table.column("comm_type").null),
        "comm_bytes": np.where(communicates, size, table.column("comm_bytes").null),
    }  # fmt: skip
    nodes = np.arange(len(index))
    after_gradients = (index % (kernels + 1) == 0) & (index > 0)
    src = np.where(after_gradients, nodes - 2, nodes - 1)[index > 0]
    dst = nodes[index > 0]
    ends = {"src": src, "dst": dst, "kind": np.ones(len(src)), "inferred": np.zeros(len(src), dtype=bool),
            "method": np.zeros(len(src)), "confidence": np.ones(len(src))}  # fmt: skip
    dependencies = Columns(TABLES["dependencies"], ends, {"method": ["drawn"]})
    metadata = Metadata(world_size=ranks)
    return Trace(Columns(table, data, {"name": ["layer", "gradients"]}), dependencies, metadata=metadata)


def measure(algorithm: str, npus: tuple[int, ...], topology: str, backend: Any, layers: int, kernels: int = 1) -> None:
    """Run one case and print what it took."""
    dims = len(npus)
    names = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")
    system = read_system(SYSTEM | {f"{name}-implementation": [algorithm] * dims for name in names})
    network = read_network({"topology": [topology] * dims, "npus_count": list(npus), "bandwidth": [50.0] * dims,
                            "latency": [500.0] * dims})  # fmt: skip
    trace = step_of(network.npus, layers, kernels)
    begin = time.perf_counter()
    work = workload(trace, system, network, RemoteMemory(), {}, Planner(system, network, Arguments()))
    machine = machine_of(work, system, network, RemoteMemory(), Arguments(), aware=backend == "aware")
    made = time.perf_counter()
    machine = go(machine, work, compiled=True)
    took = time.perf_counter() - made
    messages, nodes = int(machine.clock[0].sent), len(trace)
    begin_whole = time.perf_counter()
    run(trace, system=system, network=network, backend=backend)
    whole = time.perf_counter() - begin_whole
    size = sum(getattr(machine, name).nbytes for name in machine._fields) / 2**20
    print(
        f"{algorithm:17} {' x '.join(map(str, npus)):10} {topology:15} {backend:8} {nodes:9,} nodes"
        f" {messages:10,} messages {made - begin:6.2f} s prepared {took:6.2f} s run"
        f" {nodes / took:11,.0f} nodes/s {messages / took:11,.0f} messages/s {size:7.1f} MiB;"
        f" the whole answer {whole:6.2f} s"
    )


def main() -> None:
    """Run all cases."""
    measure("ring", (2,), "Switch", "unaware", 1)
    for case in CASES:
        measure(*case)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / (1 << 20 if sys.platform != 'darwin' else 1 << 30):.2f} GiB")
