"""What host calls say of the kernels that they launch, and PyTorch's operators of gloo's that they issue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.ingest.draft import NULL
from etgraph.ingest.reading import _read_json
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter, CommType, NodeType, Trace
from ingest.kineto_oracle import call, cpu, gpu, interval, write

SEND_RECV = "ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(ncclDevComm*)"


def trace_of(folder: Path, *events: Any, **top: Any) -> Trace:
    """The trace of those events."""
    return read(write(folder / "trace.json", *events, **top))


def shaped(*dims: Any, types: list[str]) -> dict[str, Any]:
    """Recorded shapes."""
    return {"Input Dims": list(dims), "Input type": types}


def facts(trace: Trace) -> list[tuple[Any, ...]]:
    """Kind, type, bytes and peer of what communicates."""
    o = trace.operators
    rows = np.flatnonzero((o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL)))
    return [tuple(o.value(c, row) for c in ("kind", "comm_type", "comm_bytes", "peer")) for row in rows.tolist()]


def test_a_kernel_without_arguments_is_what_its_call_is(tmp_path: Path) -> None:
    """The kernel of an all-to-all is named after sends and receives, and knows no size."""
    trace = trace_of(
        tmp_path,
        cpu("c10d::alltoall_base_", 0, 90, **shaped([96], [64], types=["float", "float"])),
        cpu("record_param_comms", 10, 80, **shaped([64], types=["float"])),
        interval("user_annotation", "nccl:all_to_all", 20, 70, **shaped([64], types=["float"])),
        call(30, 40, 7),
        gpu(SEND_RECV, 100, 200, correlation=7),
    )
    assert facts(trace) == [(NodeType.COMM_COLL, CommType.ALL_TO_ALL, 256, None)]


def test_a_kernel_launched_outside_any_call_stays_unknown(tmp_path: Path) -> None:
    """Its call ended before the launch; the next one begins after it."""
    trace = trace_of(
        tmp_path,
        interval("user_annotation", "nccl:all_to_all", 0, 10, **shaped([64], types=["float"])),
        call(11, 12, 7),
        interval("user_annotation", "nccl:all_to_all", 13, 20, **shaped([64], types=["float"])),
        gpu(SEND_RECV, 100, 200, correlation=7),
    )
    assert facts(trace) == [(NodeType.COMM_COLL, None, None, None)]


def test_the_kernels_own_arguments_go_first(tmp_path: Path) -> None:
    own = {"Collective name": "allreduce", "In msg nelems": 8, "Out msg nelems": 8, "dtype": "Float", "Group size": 2}
    trace = trace_of(
        tmp_path,
        interval("user_annotation", "nccl:all_gather", 0, 10, **shaped([64], types=["float"])),
        call(1, 2, 7),
        gpu("ncclDevKernel_AllReduce(x)", 100, 200, correlation=7, **own),
    )
    assert facts(trace) == [(NodeType.COMM_COLL, CommType.ALL_REDUCE, 32, None)]


@pytest.mark.parametrize(("name", "kind", "peer"), [("send", NodeType.COMM_SEND, 3), ("recv", NodeType.COMM_RECV, 1)])
def test_point_to_point_of_nccl(tmp_path: Path, name: str, kind: NodeType, peer: int) -> None:
    said = {"Collective name": name, "In msg nelems": 8, "Out msg nelems": 8, "dtype": "Float", "Group size": 4,
            "Process Group Name": "0", "Process Group Ranks": "[0, 1, 2, 3]", "Src Rank": 1, "Dst Rank": 3,
            "Seq": 12}  # fmt: skip
    events = (cpu("record_param_comms", 0, 10, **said), call(1, 2, 7), gpu(SEND_RECV, 100, 200, correlation=7))
    assert facts(trace_of(tmp_path, *events)) == [(kind, None, 32, peer)]


def test_the_number_within_the_group_comes_with_the_call(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trace.json",
        cpu("record_param_comms", 0, 10, Seq=12, **{"Collective name": "allreduce", "Group size": 2}),
        call(1, 2, 7),
        gpu("ncclDevKernel_AllReduce(x)", 100, 200, correlation=7),
    )
    with AttributeWriter() as attributes:
        draft = _read_json(SourceFile(path, None), attributes)
    assert draft.id("comm_sequence").tolist() == [12, NULL, 12]


def gloo(name: str, at: int, *dims: Any, **more: Any) -> Any:
    """One of gloo's operators on its own thread."""
    return interval("user_annotation", f"gloo:{name}", at, at + 5, 3, **shaped(*dims, types=["float"]), **more)


def test_gloo_works_off_calls_in_order(tmp_path: Path) -> None:
    """Of an all-gather the call knows the whole, gloo's operator one shard."""
    outputs = [shaped([n], [n // 4], types=["float", "float"]) for n in (400, 800)]
    trace = trace_of(
        tmp_path,
        cpu("c10d::_allgather_base_", 0, 2, **outputs[0]),
        cpu("c10d::_allgather_base_", 3, 5, **outputs[1]),
        gloo("all_gather", 10, [100]),
        gloo("all_gather", 20, [200]),
    )
    assert [size for _, _, size, _ in facts(trace)] == [1600, 3200]


@pytest.mark.parametrize(("asked", "done"), [([0], [10, 20]), ([0, 3], [10]), ([0, 25], [10, 20])])
def test_gloo_operators_that_cannot_be_the_calls_are_not_paired(
    tmp_path: Path, asked: list[int], done: list[int]
) -> None:
    """Of another number, or worked off before they were issued."""
    known = shaped([400], [100], types=["float", "float"])
    calls = [cpu("c10d::_allgather_base_", at, at + 2, **known) for at in asked]
    trace = trace_of(tmp_path, *calls, *(gloo("all_gather", at, [100]) for at in done))
    assert {size for _, _, size, _ in facts(trace)} == {None}


def test_the_only_declared_group_is_that_of_all_communication(tmp_path: Path) -> None:
    group = {"pg_name": "0", "pg_size": 4, "ranks": [0, 1, 2, 3]}
    pair = {"pg_name": "1", "pg_size": 2, "ranks": [0, 1]}
    for config, row, size in (([group], 0, 1600), ([group, pair], None, None)):
        trace = trace_of(tmp_path, gloo("all_gather", 10, [100]), distributedInfo={"rank": 0, "pg_config": config})
        assert (trace.operators.value("group", 0), trace.operators.value("comm_bytes", 0)) == (row, size)


@pytest.mark.parametrize(("values", "peer", "tag"), [
    (["", "", "2", "7"], 2, 7), (["", "", "-1", "7"], None, 7), (["", ""], None, None), ([1, 2, 3, 4], None, None),
    ("text", None, None), (["", "", "99999999999", "x"], None, None),
])  # fmt: skip
def test_peer_and_tag_of_gloo(tmp_path: Path, values: Any, peer: int | None, tag: int | None) -> None:
    send = interval("user_annotation", "gloo:send", 5, 9, **shaped([2], types=["float"]))
    trace = trace_of(tmp_path, cpu("c10d::send", 0, 10, **{"Concrete Inputs": values}), send)
    assert (trace.operators.value("peer", 1), trace.operators.value("tag", 1)) == (peer, tag)
