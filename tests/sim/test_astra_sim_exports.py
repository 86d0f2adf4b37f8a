"""What `etgraph export --for astra-sim` writes of recorded runs runs in this simulator, files as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.ingest.writers.chakra import write_chakra
from etgraph.sim.astra_sim import read_groups, read_network, read_system, run
from support.astra_cases import SYSTEM, algorithms, times


@pytest.mark.parametrize("name", ["gpt_ddp", "dlrm_alltoall", "gpt_tp2_pp2", "gpt_ddp_5steps"])
@pytest.mark.parametrize("backend", ["unaware", "aware"])
def test_recorded_runs(collection_dir: Path, tmp_path: Path, name: str, backend: Any) -> None:
    write_chakra(read(collection_dir / "recorded" / name), tmp_path / "chakra", workload_for="astra-sim")
    workload = read(tmp_path / "chakra")
    ranks = len(workload.ranks)
    network = {"topology": ["Switch"], "npus_count": [ranks], "bandwidth": [50.0], "latency": [500.0]}
    simulation = run(
        workload, system=read_system(SYSTEM | algorithms("ring")), network=read_network(network), backend=backend
    )
    assert len(times(simulation)) == len(workload)
    assert min(rank.computation_ns for rank in simulation.ranks) > 0
    groups = tmp_path / "chakra" / "comm_groups.json"
    if groups.exists():
        again = run(
            workload, system=read_system(SYSTEM | algorithms("ring")), network=read_network(network), backend=backend,
            comm_groups=read_groups(groups),
        )  # fmt: skip
        assert again.nodes.equals(simulation.nodes)
    # A node starts when all that it depends on has ended.
    d, start = workload.dependencies, simulation.nodes["start_ns"].to_numpy()
    end = start + simulation.nodes["duration_ns"].to_numpy()
    orders = np.isin(d["kind"], (0, 1))
    assert (start[d["dst"][orders]] >= end[d["src"][orders]]).all()
