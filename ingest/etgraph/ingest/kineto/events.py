"""Kineto's events as they stand in the file: the fields that are read, and the words for what they are."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from etgraph.ingest.draft import NULL
from etgraph.model import Category, Span

_NOTHING = msgspec.Raw(b"")


class Event(msgspec.Struct, gc=False):
    """One event of the trace; times stay digits, arguments stay text."""

    ph: str = ""
    cat: str = ""
    name: str = ""
    pid: int | str | None = None
    tid: int | float | str | None = None
    ts: msgspec.Raw = _NOTHING
    dur: msgspec.Raw = _NOTHING
    args: msgspec.Raw = _NOTHING
    id: int | str | None = None


class Arguments(msgspec.Struct, gc=False):
    """The arguments that become columns, in the spelling of both dialects."""

    correlation: int = NULL
    external: int = msgspec.field(default=NULL, name="External id")
    external_2021: int = msgspec.field(default=NULL, name="external id")
    order: int = msgspec.field(default=NULL, name="Ev Idx")
    order_2022: int = msgspec.field(default=NULL, name="Profiler Event Index")
    record_function: int = msgspec.field(default=NULL, name="Record function id")
    sequence: int = msgspec.field(default=NULL, name="Sequence number")
    dims: msgspec.Raw = msgspec.field(default=_NOTHING, name="Input Dims")
    types: msgspec.Raw = msgspec.field(default=_NOTHING, name="Input type")
    call_stack: str = msgspec.field(default="", name="Call stack")
    modules: str = msgspec.field(default="", name="Module Hierarchy")
    device: int | str | None = None
    collective: str = msgspec.field(default="", name="Collective name")
    elements_in: int = msgspec.field(default=-1, name="In msg nelems")
    elements_out: int = msgspec.field(default=-1, name="Out msg nelems")
    dtype: str = ""
    group: str = msgspec.field(default="", name="Process Group Name")
    group_description: str = msgspec.field(default="", name="Process Group Description")
    group_ranks: msgspec.Raw = msgspec.field(default=_NOTHING, name="Process Group Ranks")
    group_size: int = msgspec.field(default=-1, name="Group size")
    warps: float = msgspec.field(default=0.0, name="warps per SM")
    occupancy: float = msgspec.field(default=0.0, name="est. achieved occupancy %")
    group_start: msgspec.Raw = msgspec.field(default=_NOTHING, name="Global rank start")
    group_stride: msgspec.Raw = msgspec.field(default=_NOTHING, name="Global rank stride")
    group_sequence: msgspec.Raw = msgspec.field(default=_NOTHING, name="Seq")
    sender: msgspec.Raw = msgspec.field(default=_NOTHING, name="Src Rank")
    receiver: msgspec.Raw = msgspec.field(default=_NOTHING, name="Dst Rank")
    values: msgspec.Raw = msgspec.field(default=_NOTHING, name="Concrete Inputs")


_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class MemoryArguments(msgspec.Struct, gc=False):
    """The arguments of a `[memory]` event."""

    bytes: _Int64 = msgspec.field(name="Bytes")
    address: int | None = msgspec.field(default=None, name="Addr")
    allocated: int = msgspec.field(default=NULL, name="Total Allocated")
    reserved: int = msgspec.field(default=NULL, name="Total Reserved")
    device_type: _Int32 = msgspec.field(default=-(2**31), name="Device Type")
    device: _Int32 = msgspec.field(default=-(2**31), name="Device Id")


class WaitArguments(msgspec.Struct, gc=False):
    """The arguments of a record of CUPTI that says what a synchronising call waits for; -1 where it does not know.

    Older versions leave out the call that recorded the event.
    """

    correlation: int = NULL
    device: int = -1
    stream: int = -1
    source: int = msgspec.field(default=-1, name="wait_on_stream")
    record: int = msgspec.field(default=NULL, name="wait_on_cuda_event_record_corr_id")


_OPERATORS = {
    "cpu_op": Category.CPU_OP, "Operator": Category.CPU_OP, "Runtime": Category.RUNTIME,
    "kernel": Category.KERNEL, "Kernel": Category.KERNEL, "concurrent_kernel": Category.KERNEL,
    "gpu_memcpy": Category.MEMCPY, "Memcpy": Category.MEMCPY,
    "gpu_memset": Category.MEMSET, "Memset": Category.MEMSET,
}  # fmt: skip
_SPANS = {
    "user_annotation": Span.USER, "gpu_user_annotation": Span.DEVICE_USER, "python_function": Span.PYTHON,
    "overhead": Span.OVERHEAD, "cuda_sync": Span.SYNCHRONIZATION, "Trace": Span.TRACE,
}  # fmt: skip
DEVICE = frozenset({Category.KERNEL, Category.MEMCPY, Category.MEMSET, Category.DEVICE})
"""Categories of operators that run on a device."""
ANNOTATION_2021 = re.compile(r"^(?:ProfilerStep#|Optimizer\.|enumerate\(DataLoader\)|DistributedDataParallel\.|## )")
"""Names of annotations that the dialect of 2021 files under operators."""


def meaning(category: str) -> Category | Span:
    """What an event's category says it is: a category of operators, or a kind of interval that is none."""
    if category in _OPERATORS:
        return _OPERATORS[category]
    if category in _SPANS:
        return _SPANS[category]
    if category.endswith("_runtime") or category == "hpu_op":
        return Category.RUNTIME
    if category.endswith("_driver"):
        return Category.DRIVER
    return Category.DEVICE if category.endswith("_ccp_events") else Span.OTHER
