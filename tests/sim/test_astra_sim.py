"""What ASTRA-sim's workload layer does with nodes, and what it refuses or leaves hanging, told by name."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.errors import InputError, UsageError
from etgraph.sim.astra_sim import (
    EndedEarly,
    EventAtZero,
    FaultyNode,
    NeverEnds,
    NotAWorkload,
    SimulationError,
    StatisticsAbort,
    read_arguments,
    read_groups,
    read_memory,
    read_network,
    read_system,
    run,
    simulate,
)
from etgraph.sim.astra_sim import running as running_module
from etgraph.sim.astra_sim.engine import state
from support.astra_cases import NETWORK, SYSTEM, algorithms, times, trace_of
from support.build import build

SWITCH = {"topology": ["Switch"], "npus_count": [2], "bandwidth": [50.0], "latency": [500.0]}
POOL = {"memory-type": "MEMORY_POOL", "remote-mem-latency": 100, "remote-mem-bw": 2}
COMP: dict[str, Any] = {"id": 0, "type": "COMP", "duration_micros": 1}
ALL_REDUCE = {"id": 0, "type": "COLL", "comm_type": 0, "comm_size": 1 << 16}
SEND = {"id": 0, "type": "SEND", "comm_dst": 1, "comm_size": 64, "comm_tag": 7}
RECV = {"id": 0, "type": "RECV", "comm_src": 0, "comm_size": 64, "comm_tag": 7}


class Case:
    """Runs of nodes on two NPUs behind a switch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *ranks: list[dict[str, Any]], network: Any = None, memory: Any = None, groups: Any = None,
                 arguments: Any = None, backend: Any = "unaware", **system: Any) -> dict[Any, Any]:  # fmt: skip
        """Times by rank and id; system keys have underscores."""
        return times(self.simulation(*ranks, network=network, memory=memory, groups=groups, arguments=arguments,
                                     backend=backend, **system))  # fmt: skip

    def simulation(self, *ranks: list[dict[str, Any]], network: Any = None, memory: Any = None, groups: Any = None,
                   arguments: Any = None, backend: Any = "unaware", **system: Any) -> Any:  # fmt: skip
        for old in self.folder.glob("*.et"):
            old.unlink()
        keys = {name.replace("_", "-"): value for name, value in system.items()}
        return run(
            trace_of(self.folder, ranks), system=read_system(SYSTEM | keys), network=read_network(network or SWITCH),
            memory=read_memory(memory) if memory else None, comm_groups=read_groups(groups) if groups else None,
            arguments=read_arguments(arguments or {}), backend=backend,
        )  # fmt: skip


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


# Nodes


def test_ready_nodes_are_issued_by_id_as_their_resource_is_free(case: Case) -> None:
    nodes = [
        {"id": 9, "type": "COMP", "duration_micros": 1},
        {"id": 3, "type": "COMP", "duration_micros": 2},
        {"id": 4, "type": "COMP", "duration_micros": 5, "cpu": True},
        {"id": 5, "type": "COMP", "deps": [3], "duration_micros": 0},
        {"id": 7, "type": "COMP", "ctrl_deps": [3], "deps": [9]},
    ]
    found = case(nodes, [COMP])
    assert found[0, 3] == (0, 2000)
    assert found[0, 4] == (0, 5000)
    assert found[0, 5] == (2000, 2001)
    assert found[0, 9] == (2001, 3001)
    assert found[0, 7] == (3001, 3002)


def test_invalid_nodes_end_at_once_and_what_follows_waits_for_the_next_completion(case: Case) -> None:
    nodes = [{"id": 1, "type": "INVALID"}, {"id": 2, "type": "COMP", "deps": [1], "duration_micros": 1},
             {"id": 3, "type": "COMP", "cpu": True, "duration_micros": 3}]  # fmt: skip
    assert case(nodes, [COMP])[0, 2] == (3000, 4000)
    with pytest.raises(NeverEnds, match="1 nodes never end") as error:
        case(nodes[:2], [COMP])
    assert error.value.nodes == ((0, 2),)
    assert error.value.finish_ns == {0: None, 1: 1000}


def test_a_roofline_is_bound_by_memory_or_by_the_peak(case: Case) -> None:
    nodes = [
        {"id": 1, "type": "COMP", "num_ops": 1000, "tensor_size": 16_000_000},
        {"id": 2, "type": "COMP", "num_ops": 9 * 10**9, "tensor_size": 1000, "deps": [1]},
        {"id": 3, "type": "COMP", "num_ops": 9 * 10**9, "tensor_size": 1000, "deps": [2], "cpu": True},
    ]
    found = case(nodes, [COMP | {"cpu": True}], roofline_enabled=1)
    assert (found[0, 1], found[0, 2], found[0, 3]) == ((0, 10000), (10000, 20000), (20000, 20001))


@pytest.mark.parametrize(("ops", "size"), [(0, 64), (5, 0)])
def test_a_roofline_without_operations_never_ends(case: Case, ops: int, size: int) -> None:
    nodes = [{"id": 1, "type": "COMP", "num_ops": ops, "tensor_size": size}, COMP | {"id": 2, "deps": [1], "cpu": True}]
    with pytest.raises(NeverEnds) as error:
        case(nodes, [COMP | {"cpu": True}], roofline_enabled=1)
    assert error.value.nodes == (((0, 1), (0, 2)) if ops == 0 else ((0, 2),))


def test_replay_only_replays_everything_by_its_duration(case: Case) -> None:
    lonely = [SEND | {"duration_micros": 4}, {"id": 1, "type": "COLL", "duration_micros": 2}]
    assert case(lonely, [COMP], replay_only=1) == {(0, 0): (0, 4000), (0, 1): (4000, 6000), (1, 0): (0, 1000)}


def test_a_broadcast_lets_its_duration_pass(case: Case) -> None:
    broadcast = {"id": 0, "type": "COLL", "comm_type": 5, "comm_size": 64}
    assert case([broadcast], [COMP])[0, 0] == (0, 1)


# Messages and memory


def test_a_message_in_both_protocols(case: Case) -> None:
    taken = int(1000 + 64 / (50 * 2**30 / 1e9))
    assert case([SEND], [RECV]) == {(0, 0): (0, taken), (1, 0): (0, taken)}
    announced = int(1000 + 8192 / (50 * 2**30 / 1e9))
    assert case([SEND], [RECV], arguments={"rendezvous-protocol": "true"})[1, 0] == (0, announced + taken)


def test_a_receive_that_comes_late_ends_at_once(case: Case) -> None:
    found = case([SEND], [COMP | {"id": 1, "duration_micros": 9}, RECV | {"deps": [1]}])
    assert (found[0, 0], found[1, 0]) == ((0, 1001), (9000, 9000))


def test_messages_of_a_key_meet_in_order_and_links_queue_when_congested(case: Case) -> None:
    sends = [SEND | {"id": i, "comm_size": 1 << 20} for i in range(2)]
    receives = [RECV | {"id": i, "comm_size": 1 << 20} for i in range(2)]
    onto = int((1 << 20) / (50 * 2**30 / 1e9))
    first = case(sends, receives, backend="aware")
    assert first[1, 0] == (0, 2 * (500 + onto))
    assert first[0, 1] == (first[1, 0][1], 2 * first[1, 0][1])


def test_a_pool_of_remote_memory_serves_one_after_another(case: Case) -> None:
    nodes = [{"id": 0, "type": "MEM_LOAD", "tensor_size": 201}]
    assert case(nodes, nodes, memory=POOL) == {(0, 0): (0, 200), (1, 0): (0, 400)}
    apart = POOL | {"memory-type": "PER_NPU_MEMORY_EXPANSION"}
    assert case(nodes, nodes, memory=apart) == {(0, 0): (0, 200), (1, 0): (0, 200)}
    nodes_of_one = POOL | {"memory-type": "PER_NODE_MEMORY_EXPANSION", "num-nodes": 2, "num-npus-per-node": 1}
    assert case(nodes, nodes, memory=nodes_of_one) == {(0, 0): (0, 200), (1, 0): (0, 200)}


# Groups


def test_a_group_of_some_ranks_has_an_endpoint_delay_of_its_own(case: Case) -> None:
    nodes = [ALL_REDUCE | {"pg_name": "3"}]
    others = [COMP]
    network = {**NETWORK, "npus_count": [3]}
    groups = {"3": [1, 0]}
    found = [
        case(nodes, nodes, others, network=network, groups=groups, endpoint_delay=delay)[0, 0] for delay in (10, 99)
    ]
    assert found[0] == found[1]
    with pytest.raises(FaultyNode, match="rank 2 node 0: found pg_name '3', of which its rank is no member"):
        case(nodes, nodes, nodes, network=network, groups=groups)


# What is refused


@pytest.mark.parametrize(
    ("node", "system", "found"),
    [
        ({"type": "COMP", "num_ops": 3}, {"roofline_enabled": 1}, "no tensor_size"),
        ({"type": "COMP", "tensor_size": 3}, {"roofline_enabled": 1}, "no num_ops"),
        ({"type": "MEM_LOAD", "tensor_size": 3}, {}, "NO_MEMORY_EXPANSION"),
        ({"type": "COLL", "comm_size": 3}, {}, "no comm_type"),
        ({"type": "COLL", "comm_type": 0}, {}, "no comm_size"),
        ({"type": "COLL", "comm_type": 9, "comm_size": 3}, {}, "comm_type BARRIER"),
        ({**ALL_REDUCE, "cpu": True}, {}, "a collective of a CPU operator"),
        ({**ALL_REDUCE, "pg_name": "5"}, {}, "pg_name '5'"),
        ({**ALL_REDUCE, "pg_name": "tensor"}, {}, "pg_name 'tensor'"),
        ({**ALL_REDUCE}, {"preferred_dataset_splits": None}, "no preferred-dataset-splits"),
        ({**ALL_REDUCE}, algorithms("ring", "ring"), "2 algorithms in all-reduce-implementation"),
        ({**ALL_REDUCE}, algorithms(), "no all-reduce-implementation"),
        ({**ALL_REDUCE, "involved_dim": []}, {}, "involved_dim with 0 values"),
        ({**ALL_REDUCE, "comm_type": 6}, algorithms("halvingDoubling"), "halvingDoubling for an all-to-all"),
        ({**ALL_REDUCE, "comm_type": 2, "comm_size": 3}, {}, "an all-gather of 3 bytes"),
        ({**SEND, "comm_dst": 0}, {}, "a message to itself"),
        ({**SEND, "comm_dst": 2}, {}, "comm_dst 2"),
        ({**SEND, "comm_src": 1}, {}, "comm_src 1"),
        ({**SEND, "comm_size": 0}, {}, "a message of 0 bytes"),
        ({"type": "SEND", "comm_dst": 1, "comm_size": 3}, {}, "no comm_tag"),
        ({"type": "SEND", "comm_size": 3, "comm_tag": 1}, {}, "comm_dst is missing"),
        ({**RECV, "comm_src": 1, "comm_dst": 1}, {}, "comm_dst 1"),
        ({**SEND, "cpu": True}, {}, "a message of a CPU operator"),
        ({"type": "METADATA"}, {}, "node type METADATA"),
    ],
)  # fmt: skip
def test_what_cannot_be_executed_is_named(case: Case, node: dict[str, Any], system: dict[str, Any], found: str) -> None:
    system = {name.replace("-", "_"): value for name, value in system.items()}
    if system.get("preferred_dataset_splits", 1) is None:
        del system["preferred_dataset_splits"]
        given = {name: value for name, value in SYSTEM.items() if name != "preferred-dataset-splits"}
        with pytest.raises(FaultyNode, match=found):
            run(
                trace_of(case.folder, [[{"id": 4, **node}], [COMP]]),
                system=read_system(given),
                network=read_network(SWITCH),
            )
        return
    with pytest.raises(FaultyNode) as error:
        case([node | {"id": 4}, COMP | {"id": 5, "cpu": True}], [COMP | {"cpu": True}], **system)
    assert str(error.value).startswith(f"rank 0 node 4: found {found}")
    assert (error.value.rank, error.value.node) == (0, 4)


def test_what_is_never_issued_does_no_harm(case: Case) -> None:
    with pytest.raises(NeverEnds) as error:
        case([RECV | {"comm_src": 1}, SEND | {"id": 1, "comm_dst": 0, "deps": [0]}], [COMP])
    assert error.value.nodes == ((0, 0), (0, 1))
    assert error.value.reasons == {(0, 0): "no message of 64 bytes with tag 7 comes from rank 1"}


@pytest.mark.parametrize(
    ("node", "given"),
    [
        (ALL_REDUCE, {"endpoint_delay": 0}),
        ({"id": 0, "type": "COMP", "num_ops": 1, "tensor_size": 1}, {"roofline_enabled": 1}),
        (SEND | {"comm_size": 1}, {"backend": "aware"}),
    ],
)
def test_nothing_may_happen_at_time_0(case: Case, node: dict[str, Any], given: dict[str, Any]) -> None:
    with pytest.raises(EventAtZero, match="rank 0 node 0: found an event at time 0"):
        case([node], [COMP | {"cpu": True}], **given)


def test_sizes_that_a_phase_cannot_divide(case: Case) -> None:
    five = {**NETWORK, "topology": ["Switch"], "npus_count": [5]}
    collective = [ALL_REDUCE | {"comm_size": 20}]
    with pytest.raises(FaultyNode, match="a message of 0 bytes"):
        case(*[collective] * 5, network=five, **under(algorithms("halvingDoubling")))
    with pytest.raises(FaultyNode, match="doubleBinaryTree over 5 NPUs, expected a power of two"):
        case(*[collective] * 5, network=five, **under(algorithms("doubleBinaryTree")))
    with pytest.raises(FaultyNode, match="in rendezvous, expected less than 2 GiB"):
        case([SEND | {"comm_size": 1 << 31}], [RECV], arguments={"rendezvous-protocol": True})


def under(values: dict[str, Any]) -> dict[str, Any]:
    """Keys with underscores."""
    return {name.replace("-", "_"): value for name, value in values.items()}


def test_ranks_that_do_not_meet_never_end(case: Case) -> None:
    gather = ALL_REDUCE | {"comm_type": 2}
    with pytest.raises(NeverEnds, match="2 nodes never end, 2 of which have started") as error:
        case([ALL_REDUCE], [gather | {"comm_size": 3000}])
    assert error.value.nodes == ((0, 0), (1, 0))
    assert error.value.simulation.nodes["duration_ns"].to_pylist() == [None, None]
    alone = [ALL_REDUCE | {"pg_name": "1"}]
    with pytest.raises(NeverEnds, match="rank 1 posts no receive of 64 bytes with tag 7"):
        case([SEND], [COMP], arguments={"rendezvous-protocol": True})
    with pytest.raises(NeverEnds, match="its group has one member"):
        case(alone, [COMP], groups={"1": [0]})
    with pytest.raises(NeverEnds, match="no dimension is involved"):
        case(*[[ALL_REDUCE | {"involved_dim": [False]}]] * 2)
    with pytest.raises(NeverEnds, match="it has no bytes"):
        case(*[[gather | {"comm_size": 0}]] * 2)


def test_statistics_that_abort(case: Case) -> None:
    with pytest.raises(StatisticsAbort, match="rank 0: found a send or receive as its last node") as error:
        case([COMP | {"cpu": True}, SEND | {"id": 1, "deps": [0]}], [RECV])
    assert error.value.finish_ns == {0: 2001, 1: 2001}
    assert times(error.value.simulation)[0, 1] == (1000, 2001)


def test_traces_that_are_no_workloads(case: Case) -> None:
    with pytest.raises(NotAWorkload, match=r"found a network of 2 NPUs, but no nodes of rank 1"):
        case([COMP])
    with pytest.raises(FaultyNode, match="rank 0 node 0: found data_deps that no node has: 7"):
        case([COMP | {"deps": [7]}, COMP | {"id": 1}], [COMP])
    with pytest.raises(FaultyNode, match="ctrl_deps that are on a cycle"):
        case([COMP | {"ctrl_deps": [1]}, COMP | {"id": 1, "ctrl_deps": [0]}], [COMP])
    recorded = build("rank 0 | thread 1 | a 0..10\nrank 0 | thread 1 | b 20..30\nrank 1 | thread 1 | a 0..10")
    with pytest.raises(NotAWorkload, match="dependencies of kind THREAD") as error:
        run(recorded, system=read_system(SYSTEM), network=read_network(SWITCH))
    assert "--for astra-sim" in str(error.value.hint)


def test_ranks_beyond_the_network_are_left_out(case: Case) -> None:
    simulation = case.simulation([COMP], [COMP], [COMP])
    assert simulation.nodes["start_ns"].to_pylist() == [0, 0, None]
    assert simulation.trust.warnings == ("the network has 2 NPUs: 1 ranks of the trace, from 2 on, are left out",)


@pytest.mark.parametrize(
    ("network", "found"),
    [({**NETWORK, "npus_count": [2]}, "a Ring of 2 NPUs"),
     ({"topology": ["Ring"] * 2, "npus_count": [3, 3], "bandwidth": [1, 1], "latency": [1, 1]}, "2 dimensions")],
)  # fmt: skip
def test_networks_that_cannot_be_congested(case: Case, network: dict[str, Any], found: str) -> None:
    with pytest.raises(SimulationError, match=found):
        case(*[[COMP]] * 9, network=network, backend="aware")


# Files


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("system", "{", "found Expecting property name"),
        ("system", "[]", r"found \[\], expected an object"),
        ("system", '{\n "endpoint-delay": "x"}', "line 2, endpoint-delay: found 'x', expected a whole number from 0"),
        ("system", '{"local-mem-bw": 0}', "line 1, local-mem-bw: found 0, expected a number above 0"),
        ("system", '{"all-reduce-implementation": ["rings"]}', "found 'rings', expected ring, direct"),
        ("system", '{"all-reduce-implementation": ["direct0"]}', "found 'direct0'"),
        ("system", '{"collective-optimization": "fast"}', "found 'fast', expected baseline or localBWAware"),
        ("system", '{"scheduling-policy": "SJF"}', "expected LIFO, FIFO or EXPLICIT"),
        ("system", '{"model-shared-bus": 1}', "the bus inside an NPU is not simulated"),
        ("system", '{"all-reduce-implementation-chakra": ["x"]}', "an algorithm of its own"),
        ("network", "topology: [Ring", "line 1: found expected"),
        ("network", "topology: [Mesh]", "line 1, topology: found 'Mesh', expected Ring, FullyConnected, Switch"),
        ("network", "topology: [Ring]\nnpus_count: [1]", "line 2, npus_count: found .1., expected whole numbers"),
        ("network", "topology: [Ring]\nnpus_count: [4]\nbandwidth: [0]", "line 3, bandwidth"),
        ("network", "topology: [Ring]\nnpus_count: [4]\nbandwidth: [1]", "latency: found nothing"),
        ("memory", '{"memory-type": "CXL"}', "line 1, memory-type: found 'CXL'"),
        ("memory", '{"memory-type": "MEMORY_POOL", "remote-mem-latency": 1}', "remote-mem-bw: found nothing"),
        ("groups", '{"0": [0]}', "a number above 0 as the group's name"),
        ("groups", '{"1": [0, 0]}', "a list of ranks from 0, each once"),
    ],
)  # fmt: skip
def test_files_that_are_not_as_they_should_be(tmp_path: Path, name: str, text: str, message: str) -> None:
    read = {"system": read_system, "network": read_network, "memory": read_memory, "groups": read_groups}[name]
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read(file)
    assert str(error.value).startswith(str(file))


def test_files_and_arguments_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_system(tmp_path / "nothing.json")
    with pytest.raises(UsageError, match="argument comm-scale: not known"):
        read_arguments({"comm-scale": 2})
    for name, value in (("num-queues-per-dim", 0), ("injection-scale", "fast"), ("--rendezvous-protocol", "maybe")):
        with pytest.raises(UsageError, match=f"argument {name}: found"):
            read_arguments({name: value})


# The engine


def mixed(folder: Path, layers: int = 3) -> Trace:
    """Layers of computation and collectives, and messages around a ring of four."""
    ranks = []
    for rank in range(4):
        rows: list[dict[str, Any]] = []
        for layer in range(layers):
            at = 10 * layer
            rows.append(COMP | {"id": at, "deps": [at - 9] if layer else [], "duration_micros": 1 + (rank + layer) % 3})
            kind = (0, 2, 6, 7)[layer % 4]
            rows.append(ALL_REDUCE | {"id": at + 1, "deps": [at], "comm_type": kind, "comm_size": 70_000})
            rows.append(SEND | {"id": at + 2, "deps": [at], "comm_dst": (rank + 1) % 4, "comm_size": 5000})
            rows.append(RECV | {"id": at + 3, "deps": [at], "comm_src": (rank - 1) % 4, "comm_size": 5000})
        ranks.append([*rows, COMP | {"id": 10_000, "deps": [row["id"] for row in rows]}])
    return trace_of(folder, ranks)


@pytest.mark.parametrize("backend", ["unaware", "aware"])
@pytest.mark.parametrize("algorithm", ["ring", "direct2"])
@pytest.mark.parametrize("rendezvous", [False, True])
def test_plain_and_compiled_modes_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Any, algorithm: str, rendezvous: bool
) -> None:
    trace = mixed(tmp_path)
    found = []
    for compiled in (True, False, True):
        monkeypatch.setattr(running_module, "_much", lambda work, compiled=compiled, **given: compiled)
        simulation = run(
            trace, system=read_system(SYSTEM | algorithms(algorithm)), network=read_network(NETWORK), backend=backend,
            arguments=read_arguments({"rendezvous-protocol": rendezvous, "num-queues-per-dim": 2}),
        )  # fmt: skip
        found.append(simulation)
    assert found[0].nodes.equals(found[1].nodes)
    assert found[0].ranks == found[1].ranks == found[2].ranks


LAYERS = st.lists(
    st.tuples(
        st.sampled_from(["COMP", "COLL", "SEND", "MEM_LOAD", "INVALID"]), st.integers(0, 3), st.integers(1, 90_000),
        st.booleans(), st.sampled_from(["", "1"]),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=25)
@given(LAYERS, st.lists(st.integers(0, 5), min_size=3, max_size=3), st.randoms(use_true_random=False))
def test_forms_of_a_run_agree_and_the_order_in_a_file_is_no_matter(
    layers: list[Any], durations: list[int], random: Any
) -> None:
    ranks: list[list[dict[str, Any]]] = []
    for rank in range(3):
        rows: list[dict[str, Any]] = []
        for layer, (kind, choice, size, waits, group) in enumerate(layers):
            row = {"id": 2 * layer, "type": kind, "deps": [2 * layer - 2] if layer and waits else [],
                   "duration_micros": durations[rank]}  # fmt: skip
            if kind == "COLL":
                row |= {"comm_type": (0, 2, 6, 7)[choice], "comm_size": max(size, 4), "pg_name": group}
            elif kind == "MEM_LOAD":
                row |= {"tensor_size": size}
            elif kind == "SEND":
                row |= {"comm_dst": (rank + 1) % 3, "comm_size": size, "comm_tag": layer}
                rows.append({"id": 2 * layer + 1, "type": "RECV", "comm_src": (rank + 2) % 3, "comm_size": size,
                             "comm_tag": layer})  # fmt: skip
            rows.append(row)
        ranks.append(rows)
    shuffled = [random.sample(rows, len(rows)) for rows in ranks]
    found = []
    for rows, compiled in ((ranks, True), (ranks, False), (shuffled, True)):
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(running_module, "_much", lambda work, compiled=compiled, **given: compiled)
            try:
                simulation = run(
                    trace_of(Path(folder), rows), system=read_system(SYSTEM), memory=read_memory(POOL),
                    network=read_network(SWITCH | {"npus_count": [3]}), comm_groups={1: (2, 0, 1)},
                    arguments={"num-queues-per-dim": 2},
                )  # fmt: skip
            except EndedEarly as error:
                simulation = error.simulation
            found.append(times(simulation))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("compiled", [False, True])
def test_pools_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    sends = [[SEND | {"id": i, "comm_tag": i, "deps": [i - 1] if i else []} for i in range(300)], [COMP]]
    monkeypatch.setattr(running_module, "_much", lambda work, **given: compiled)
    monkeypatch.setattr("etgraph.sim.astra_sim.assemble._SMALLEST_POOL", 1)
    trace = trace_of(tmp_path, sends)
    simulation = run(trace, system=read_system(SYSTEM), network=read_network(SWITCH))
    assert times(simulation)[0, 299] == (299 * 1001, 300 * 1001)


def test_fields_of_records_are_no_attributes_of_numpy() -> None:
    records = [value for value in vars(state).values() if isinstance(value, np.dtype) and value.names]
    taken = [name for record in records for name in record.names or () if hasattr(np.recarray, name)]
    assert len(records) > 15
    assert taken == []


def test_times_of_a_rank_count_what_overlaps_once(case: Case) -> None:
    nodes = [COMP | {"duration_micros": 4}, COMP | {"id": 1, "cpu": True, "duration_micros": 6}, SEND | {"id": 2}]
    simulation = case.simulation([*nodes, COMP | {"id": 3, "deps": [0, 1, 2]}], [RECV])
    first, second = simulation.ranks
    assert (first.end_ns, first.computation_ns, first.communication_ns) == (7000, 7000, 1001)
    assert (second.end_ns, second.computation_ns, second.communication_ns) == (1001, 0, 1001)
    assert simulation.makespan_ns == 7000
    assert simulation.nodes["source"].to_pylist()[2] == "network"


def test_simulate_takes_paths(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, [[ALL_REDUCE | {"pg_name": "1"}], [ALL_REDUCE | {"pg_name": "1"}]])
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    (tmp_path / "network.yml").write_text(json.dumps(SWITCH))
    (tmp_path / "groups.json").write_text('{"1": [0, 1]}')
    files = {"astra_system": tmp_path / "system.json", "astra_network": tmp_path / "network.yml"}
    simulation = simulate(trace, **files, comm_groups=tmp_path / "groups.json", astra_arg={"num-queues-per-dim": "2"})
    assert simulation.parameters["numQueuesPerDim"] == 2
    with pytest.raises(FaultyNode, match="pg_name '1'"):
        simulate(trace, **files)
