"""What a host call of another file says, handed to the kernel it launched; then only the kernel meets the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from etgraph.ingest.communication.kernels import hand_down
from etgraph.ingest.communication.matching import match
from etgraph.ingest.draft import NULL, Draft
from etgraph.model import CommType, NodeType, process_group_tables
from support.build import build

CALLS = """
    rank 0 | thread 1 | c10d::allreduce_     0..90
    rank 0 | thread 1 | record_param_comms  10..80
    rank 0 | thread 1 | cudaLaunchKernel    20..30  -> ncclDevKernel_SendRecv
    rank 0 | stream 7 | ncclDevKernel_SendRecv  100..200
"""
CALL = "record_param_comms"
KERNEL = "ncclDevKernel_SendRecv"


def said(text: str, *, of: str = CALL, times: bool = True, **facts: Any) -> Draft:
    """The draft of the text, whose call says these facts; the kernel only that it communicates."""
    trace = build(text)
    o = trace.operators
    row = next(r for r in range(len(o)) if o.value("name", r) == of)
    kernels = [r for r in range(len(o)) if o.value("name", r) == KERNEL]
    facts = {"kind": int(NodeType.COMM_COLL), **facts}
    number = facts.pop("number", NULL)
    data: dict[str, Any] = {}
    for name in ("kind", "comm_type", "comm_bytes", "group", "peer", "tag"):
        data[name] = o[name].copy()
        data[name][row] = facts.get(name, data[name][row])
    data["kind"][kernels] = int(NodeType.COMM_COLL)
    if not times:
        data |= {"start_ns": np.full(len(o), NULL), "duration_ns": np.full(len(o), NULL)}
    groups = process_group_tables([("0", None, None, 1, [0])])
    trace = replace(trace, operators=o.replace(data), process_groups=groups[0], group_members=groups[1])
    sequence = np.full(len(o), NULL)
    sequence[row] = number
    return Draft(trace, {"comm_sequence": sequence})


def facts_of(draft: Draft, name: str) -> tuple[Any, ...]:
    """Kind, type, bytes, group, peer and number of the operator of that name."""
    o = draft.trace.operators
    row = next(r for r in range(len(o)) if o.value("name", r) == name)
    columns = ("kind", "comm_type", "comm_bytes", "group", "peer")
    return *(o.value(c, row) for c in columns), int(draft.id("comm_sequence")[row])


def test_the_kernel_is_what_its_call_is() -> None:
    draft = hand_down(said(CALLS, comm_type=int(CommType.ALL_TO_ALL), comm_bytes=64, group=0, number=5))
    assert facts_of(draft, KERNEL) == (NodeType.COMM_COLL, CommType.ALL_TO_ALL, 64, 0, None, 5)
    assert facts_of(draft, CALL)[:5] == (NodeType.COMP, None, None, None, None)
    trace = match(draft).trace
    assert trace.operators["collective"].tolist() == [-1, -1, -1, 0]


def test_a_send_is_none_of_the_collectives() -> None:
    draft = hand_down(said(CALLS, kind=int(NodeType.COMM_SEND), peer=3, comm_bytes=64))
    assert facts_of(draft, KERNEL)[:5] == (NodeType.COMM_SEND, None, 64, None, 3)


def test_a_call_without_a_kernel_is_counted() -> None:
    """When it was issued says nothing of when it met the others."""
    draft = hand_down(said("rank 0 | thread 1 | record_param_comms  10..80", comm_type=0, group=0))
    assert facts_of(draft, CALL)[:2] == (NodeType.COMP, None)
    assert draft.trace.metadata.report.counts == {"callsWithoutKernel": 1}


def test_without_times_the_call_is_all_there_is() -> None:
    draft = hand_down(said("rank 0 | thread 1 | record_param_comms  10..80", times=False, comm_type=0, group=0))
    assert facts_of(draft, CALL)[:2] == (NodeType.COMM_COLL, CommType.ALL_REDUCE)
    assert len(match(draft).trace.collectives) == 1


def test_what_a_kernel_knows_itself_stays() -> None:
    draft = said(CALLS, comm_type=int(CommType.ALL_TO_ALL), comm_bytes=64)
    own = draft.trace.operators["comm_bytes"].copy()
    own[3] = 128
    assert facts_of(hand_down(draft.with_operators({"comm_bytes": own})), KERNEL)[2] == 128
