"""ASTRA-sim's own figures: every finish and every node, to the nanosecond."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.sim.astra_sim import (
    NeverEnds,
    read_arguments,
    read_groups,
    read_memory,
    read_network,
    read_system,
    run,
    simulate,
)
from support.astra_cases import times, trace_of

_BACKEND = len("congestion_")
Times = dict[tuple[int, int], tuple[int, int | None]]


@pytest.fixture(params=[True, False], ids=["folded", "every NPU"])
def fold(request: pytest.FixtureRequest) -> bool:
    """Whether one NPU may stand for all."""
    return bool(request.param)


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etgraph.sim.astra_sim.running.COMPILE_FROM", 0)


def outcome(trace: Trace, **given: Any) -> tuple[list[int | None], Times, set[tuple[int, int]]]:
    """When each rank finished, the times of its nodes, and the nodes that never ended."""
    try:
        simulation = run(trace, **given)
    except NeverEnds as error:
        finish = [error.finish_ns[rank] for rank in sorted(error.finish_ns)]
        return finish, times(error.simulation), set(error.nodes)
    return [rank.end_ns for rank in simulation.ranks], times(simulation), set()


def by_node(listed: Mapping[str, Any], ranks: int) -> Times:
    """The reference's node times, of all ranks together or of each."""
    rows = listed.get("all_ranks")
    each = [rows if rows else listed[str(rank)] for rank in range(ranks)]
    return {(rank, n["id"]): (n["start"], n["end"]) for rank, nodes in enumerate(each) for n in nodes}


def test_all_cases_in_one_dimension(reference_dir: Path, fold: bool) -> None:
    figures = json.loads((reference_dir / "astra_sim.json").read_text("utf-8"))
    assert len(figures["cases"]) == 307
    traces: dict[str, Trace] = {}
    seen = set()
    wrong = []
    for case in figures["cases"]:
        inputs = tuple(case[name] for name in ("workload", "system", "network", "backend"))
        # The figures do not name arguments: of two runs of the same the second one was in rendezvous.
        arguments = read_arguments({"rendezvous-protocol": inputs in seen})
        seen.add(inputs)
        if case["workload"] not in traces:
            traces[case["workload"]] = read(reference_dir / case["workload"])
        finish, nodes, never = outcome(
            traces[case["workload"]],
            system=read_system(figures["systems"][case["system"]]),
            network=read_network(figures["networks"][case["network"]]),
            backend=case["backend"][_BACKEND:],
            arguments=arguments,
            fold=fold,
        )
        expected = by_node(case["node_times"], len(finish)) if "node_times" in case else nodes
        if (finish, nodes, never) != (case["finish_ns"], expected, set()):
            wrong.append((inputs, finish, case["finish_ns"]))
    assert wrong == []


def test_all_cases_with_several_dimensions_groups_messages_and_memory(
    reference_dir: Path, tmp_path: Path, fold: bool
) -> None:
    cases = json.loads((reference_dir / "astra_sim_extra.json").read_text("utf-8"))["cases"]
    assert len(cases) == 200
    wrong = []
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        ranks = len(case["finish_ns"])
        nodes = case["nodes"]
        nodes = [nodes["all_ranks"]] * ranks if isinstance(nodes, dict) else nodes
        found = outcome(
            trace_of(folder, nodes),
            system=read_system(case["system"]),
            network=read_network(case["network"]),
            memory=read_memory(case["remote_memory"]) if case["remote_memory"] else None,
            comm_groups=read_groups(case["comm_group"]) if case["comm_group"] else None,
            backend=case["backend"][_BACKEND:],
            arguments=read_arguments(dict(argument.split("=") for argument in case["args"])),
            fold=fold,
        )
        expected, never = found[1], set[tuple[int, int]]()
        if case["node_times"]:
            expected = {
                (rank, n): (start, end) for rank, rows in enumerate(case["node_times"]) for n, start, end in rows
            }
            ended = {key for key, (_, end) in expected.items() if end is not None}
            never = {(rank, n["id"]) for rank, rows in enumerate(nodes) for n in rows} - ended
        if found != (case["finish_ns"], expected, never):
            wrong.append((case["case"], found[0], case["finish_ns"]))
    assert wrong == []


def test_files_as_they_are(reference_dir: Path, tmp_path: Path) -> None:
    import yaml

    figures = json.loads((reference_dir / "astra_sim.json").read_text("utf-8"))
    case = next(case for case in figures["cases"] if case["workload"] == "astra_sim/tp_step_4npus")
    system, network, memory = (tmp_path / name for name in ("system.json", "network.yml", "memory.json"))
    system.write_text(json.dumps(figures["systems"][case["system"]], indent=1))
    network.write_text(yaml.safe_dump(figures["networks"][case["network"]]))
    memory.write_text('{"memory-type": "NO_MEMORY_EXPANSION"}')
    simulation = simulate(
        read(reference_dir / case["workload"]), astra_system=system, astra_network=network, astra_memory=memory,
        astra_backend=case["backend"][_BACKEND:], astra_arg={"num-queues-per-dim": "1", "injection-scale": "1"},
    )  # fmt: skip
    assert [rank.end_ns for rank in simulation.ranks] == case["finish_ns"]
    assert simulation.makespan_ns == max(case["finish_ns"])
    assert simulation.simulator == f"astra-sim {case['backend'][_BACKEND:]}"
