"""Communication: what the names of kernels and annotations, and the arguments, say of type and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etgraph.ingest import read
from etgraph.ingest.communication import (
    collective_type,
    communication_annotation,
    communication_kernel,
    message_bytes,
    node_type,
)
from etgraph.model import CommType, NodeType, Trace
from ingest.kineto_oracle import cpu, gpu, interval, note, write

MB = 1 << 20


def trace_of(folder: Path, *events: Any, **top: Any) -> Trace:
    """The trace of those events."""
    return read(write(folder / "trace.json", *events, **top))


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("ncclKernel_AllReduce_RING_LL_Sum_float(ncclDevComm*, unsigned long, ncclWork*)", CommType.ALL_REDUCE),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)", CommType.ALL_REDUCE),
        ("ncclKernel_AllGather_RING_LL_Sum_int8_t(ncclWorkElem)", CommType.ALL_GATHER),
        ("ncclDevKernel_ReduceScatter_Sum_f32_RING_SIMPLE(ncclDevComm*)", CommType.REDUCE_SCATTER),
        ("ncclDevKernel_Reduce_Sum_f32_RING_LL(ncclDevComm*)", CommType.REDUCE),
        ("ncclKernel_Broadcast_RING_LL_Sum_int8_t(ncclDevComm*)", CommType.BROADCAST),
        ("ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)", None),
        ("mscclKernel_Sum_half_Simple_AllToAll", CommType.ALL_TO_ALL),
        ("gloo:all_reduce", CommType.ALL_REDUCE),
        ("gloo:reduce_scatter", CommType.REDUCE_SCATTER),
        ("gloo:all_to_all", CommType.ALL_TO_ALL),
        ("gloo:gather", CommType.GATHER),
        ("gloo:scatter", CommType.SCATTER),
        ("gloo:barrier", CommType.BARRIER),
        ("nccl:_all_gather_base", CommType.ALL_GATHER),
        ("nccl:_reduce_scatter_base", CommType.REDUCE_SCATTER),
        ("all_to_allv", CommType.ALL_TO_ALL),
        ("allreduce_coalesced", CommType.ALL_REDUCE),
        ("wait", None),
        ("", None),
    ],
)
def test_types_by_name(name: str, type: CommType | None) -> None:
    assert collective_type(name) is type


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gloo:send", NodeType.COMM_SEND),
        ("gloo:recv", NodeType.COMM_RECV),
        ("send", NodeType.COMM_SEND),
        ("recvAnySource", NodeType.COMM_RECV),
        ("ncclDevKernel_SendRecv(ncclDevComm*)", NodeType.COMM_COLL),
        ("gloo:all_reduce", NodeType.COMM_COLL),
        ("ncclDevKernel_Generic_4(ncclDevKernelArgsStorage<4096ul>)", NodeType.COMM_COLL),
    ],
)
def test_kinds_by_name(name: str, kind: NodeType) -> None:
    assert node_type(name) is kind


@pytest.mark.parametrize(
    ("name", "communicates"),
    [
        ("ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)", True),
        ("ncclDevKernel_SendRecv(ncclDevComm*, unsigned long, ncclWork*)", True),
        ("void ncclKernel_AllReduce(ncclDevComm*)", True),
        ("rcclGenericKernel<1, false>(ncclDevKernelArgs)", True),
        ("mscclKernel_Sum_half_Simple_AllToAll", True),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>", False),
        ("void at::native::vectorized_gather_kernel<16, long>", False),
        ("void at::native::_scatter_gather_elementwise_kernel", False),
        ("triton_red_fused_all_reduce_nccl_0", False),
    ],
)
def test_kernels_of_communication_libraries(name: str, communicates: bool) -> None:
    """Kernels that merely reduce, gather or scatter within a device are computation."""
    assert communication_kernel(name) is communicates


def test_annotations_that_are_the_communication_themselves() -> None:
    """gloo and MPI run on the host; NCCL's annotation is around a launch, its kernel communicates."""
    assert communication_annotation("gloo:all_reduce")
    assert communication_annotation("mpi:send")
    assert not communication_annotation("nccl:all_reduce")
    assert not communication_annotation("my gloo: step")


@pytest.mark.parametrize(
    ("type", "elements", "dtype", "size"),
    [
        (CommType.ALL_REDUCE, (MB, MB), "Float", 4 * MB),
        (CommType.ALL_GATHER, (MB, 8 * MB), "BFloat16", 16 * MB),  # the gathered size
        (CommType.REDUCE_SCATTER, (8 * MB, MB), "Half", 16 * MB),  # the full input
        (CommType.ALL_TO_ALL, (MB, MB), "Long", 8 * MB),
        (CommType.GATHER, (MB, 8 * MB), "Byte", 8 * MB),
        (CommType.BROADCAST, (3, 3), "Bool", 3),
        (CommType.BROADCAST, (3, 3), "Float8_e4m3fn", 3),
        (CommType.BROADCAST, (3, 3), "c10::BFloat16", 6),
        (CommType.BROADCAST, (3, 3), "ComplexDouble", 48),
        (CommType.ALL_REDUCE, (0, 0), "Float", 0),
        (CommType.ALL_REDUCE, (-1, -1), "Float", None),  # not recorded
        (CommType.ALL_REDUCE, (MB, MB), "QInt4", None),
        (CommType.ALL_REDUCE, (MB, MB), "", None),
        (CommType.BARRIER, (1, 1), "Byte", None),
        (None, (MB, MB), "Float", None),
    ],
)
def test_size_of_the_whole_message(
    type: CommType | None, elements: tuple[int, int], dtype: str, size: int | None
) -> None:
    assert message_bytes(type, *elements, dtype) == size


def message(collective: str, elements_in: int, elements_out: int, **more: Any) -> dict[str, Any]:
    """The arguments that PyTorch records of a collective."""
    return {"Collective name": collective, "In msg nelems": elements_in, "Out msg nelems": elements_out,
            "dtype": "Float", "Group size": 8, "Process Group Name": "3", **more}  # fmt: skip


def test_a_kernel_with_recorded_arguments(tmp_path: Path) -> None:
    """The recorded name decides what `SendRecv` is; only the kernel communicates, not the operators above it."""
    kernel = "ncclDevKernel_SendRecv(ncclDevComm*)"
    ranks = {"Process Group Ranks": "[0, 2]", "Process Group Description": "pipeline"}
    trace = trace_of(
        tmp_path,
        cpu("record_param_comms", 0, 1, **message("all_to_allv", 64, 64, **ranks)),
        gpu(kernel, 2, 3, **message("all_to_allv", 64, 64, **ranks)),
        gpu(kernel, 4, 5, **message("send", 16, 0, **ranks)),
        gpu(kernel, 6, 7, **message("recv", 0, 8, **ranks)),
        gpu(kernel, 8, 9),
        gpu("ncclDevKernel_AllGather_RING_LL(ncclDevComm*)", 10, 11, **message("allgather", 64, 512, **ranks)),
        gpu("elementwise_kernel", 12, 13),
    )
    o = trace.operators
    found = [tuple(o.value(c, row) for c in ("kind", "comm_type", "comm_bytes", "group")) for row in range(len(o))]
    assert found == [
        (NodeType.COMP, None, None, None),
        (NodeType.COMM_COLL, CommType.ALL_TO_ALL, 256, 0),
        (NodeType.COMM_SEND, None, 64, 0),
        (NodeType.COMM_RECV, None, 32, 0),
        (NodeType.COMM_COLL, None, None, None),
        (NodeType.COMM_COLL, CommType.ALL_GATHER, 2048, 0),
        (NodeType.COMP, None, None, None),
    ]
    assert trace.process_groups.row(0) == {"name": "3", "description": "pipeline", "backend": None, "size": 8}
    assert trace.group_members["rank"].tolist() == [0, 2]


def test_elided_ranks_of_a_group_are_not_known(tmp_path: Path) -> None:
    ranks = {"Process Group Ranks": "[0, 1, ..., 63]"}
    trace = trace_of(tmp_path, gpu("ncclKernel_AllReduce", 0, 1, **message("allreduce", 1, 1, **ranks)))
    assert trace.process_groups.value("size", 0) == 8
    assert len(trace.group_members) == 0


@pytest.mark.parametrize(
    "config",
    [
        [{"pg_name": "0", "pg_desc": "default_pg", "backend_config": "cuda:nccl", "pg_size": 2, "ranks": [0, 1]}],
        "[{'pg_name': '0', 'pg_desc': 'default_pg', 'backend_config': 'cuda:nccl', 'pg_size': 2, 'ranks': [0, 1]}]",
    ],
    ids=["list", "Python's notation"],
)
def test_groups_that_the_file_declares(tmp_path: Path, config: Any) -> None:
    trace = trace_of(tmp_path, cpu("a", 0, 1), distributedInfo={"rank": 1, "world_size": 2, "pg_config": config})
    assert trace.process_groups.row(0) == {"name": "0", "description": "default_pg", "backend": "cuda:nccl", "size": 2}
    assert trace.group_members["rank"].tolist() == [0, 1]


@pytest.mark.parametrize("config", ["[{'pg_name': ", "__import__('os')", 5, None, [7], [{"pg_name": 1, "ranks": 5}]])
def test_groups_that_cannot_be_read_do_no_harm(tmp_path: Path, config: Any) -> None:
    trace = trace_of(tmp_path, cpu("a", 0, 1), distributedInfo={"rank": 0, "pg_config": config})
    assert len(trace.group_members) == 0


def test_gloo_and_nccl_in_one_trace(tmp_path: Path) -> None:
    twin = interval("gpu_user_annotation", "nccl:all_reduce", 9, 12, 7, 0)
    launch, kernel = note("nccl:all_reduce", 6, 8), gpu("ncclKernel_AllReduce", 9, 12)
    trace = trace_of(tmp_path, note("gloo:send", 0, 5), launch, kernel, twin)
    kinds = [trace.operators.value("kind", row) for row in range(len(trace))]
    assert kinds == [NodeType.COMM_SEND, NodeType.COMM_COLL]
    assert len(trace.annotations) == 2


def test_copies(tmp_path: Path) -> None:
    """From the host is a load of device memory, all others are stores."""
    names = {"Memcpy HtoD (Pageable -> Device)": NodeType.MEM_LOAD, "CopyHostToDevice": NodeType.MEM_LOAD,
             "Memcpy DtoH (Device -> Pinned)": NodeType.MEM_STORE, "Memcpy DtoD (Device -> Device)": NodeType.MEM_STORE,
             "Memset (Device)": NodeType.MEM_STORE}  # fmt: skip
    events = [interval("gpu_memset" if "set" in n else "gpu_memcpy", n, i, i + 1, 7, 0) for i, n in enumerate(names)]
    trace = trace_of(tmp_path, *events)
    assert [trace.operators.value("kind", row) for row in range(len(trace))] == list(names.values())
