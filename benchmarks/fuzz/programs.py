"""Made-up runs of a few operators a rank: what both files of a rank say of one program, in several dialects.

All ranks run the same steps, so that collectives and messages have partners; times differ.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]
Rank: TypeAlias = tuple[Document, Document]
"""A PyTorch execution trace and a Kineto trace of one rank."""

STEPS = ("compute", "copy", "all_reduce", "gloo", "stream_wait", "wait", "backward", "message", "graph", "memory",
         "python", "shapes", "handed_over")  # fmt: skip
_OF_2021 = {"kernel": "Kernel", "gpu_memcpy": "Memcpy"}
_TENSOR = "Tensor(float)"


def run(rng: random.Random) -> list[Rank]:
    """The ranks of one run."""
    ranks = rng.choice((1, 1, 2, 2, 3))
    steps = [(rng.choice(STEPS), rng.randrange(1 << 30)) for _ in range(rng.randrange(1, 7))]
    iterations = rng.choice((0, 1, 1, 2))
    dialect = rng.randrange(1 << 30)
    return [_Program(rank, ranks, random.Random(dialect)).document(steps, iterations) for rank in range(ranks)]


class _Program:
    """One rank while it runs: a clock, the events so far, and the nodes so far."""

    def __init__(self, rank: int, ranks: int, dialect: random.Random) -> None:
        self._rank, self._ranks = rank, ranks
        self._rng = random.Random(rank)
        self._clock = 1_000.0 + rank * dialect.choice((0, 1, 300))
        self._free: dict[int, float] = {}
        self._events: list[Document] = []
        self._nodes: list[Document] = []
        self._parents = {1: 2, 2: 3}
        self._old = dialect.randrange(4) == 0
        self._annotated = dialect.randrange(4) == 0
        self._shared_ids = dialect.randrange(3) > 0
        self._year_2021 = dialect.randrange(8) == 0
        self._info = dialect.choice(("none", "plain", "groups", "groups as text"))
        self._thread = dialect.choice((100, 7))
        self._correlation = 50
        self._sequence = 0
        self._add_node("[pytorch|profiler|execution_trace|process]", 1, 0, 0, scope=7)
        for thread in (1, 2):
            self._add_node("[pytorch|profiler|execution_trace|thread]", thread + 1, 1, thread, scope=7)
        self._groups()

    def document(self, steps: list[tuple[str, int]], iterations: int) -> Rank:
        """Both files after all steps."""
        for number in range(max(iterations, 1)):
            begin = self._clock
            for kind, seed in steps:
                self._rng.seed(seed)
                getattr(self, f"_{kind}")()
                self._clock += self._rank
            if iterations:
                self._event("user_annotation", f"ProfilerStep#{number + 3}", 1, begin, self._clock)
                self._clock += 1
        return self._host(), self._device()

    def _host(self) -> Document:
        top = {"schema": "1.0.1"} if self._old else {"schema": "1.1.1-chakra.0.0.4", "time": "2026-01-02 03:04:05"}
        return {**top, "pid": 90 + self._rank, "nodes": self._nodes}

    def _device(self) -> Document:
        ranks = list(range(self._ranks))
        info: Document = {"backend": "nccl", "rank": self._rank, "world_size": self._ranks}
        groups = [{"pg_name": "0", "pg_desc": "default_pg", "pg_size": self._ranks, "ranks": ranks}]
        if self._info.startswith("groups"):
            info |= {"pg_count": 1, "pg_config": groups if self._info == "groups" else repr(groups)}
        known = {} if self._info == "none" else {"distributedInfo": info}
        labels = {"ph": "M", "name": "process_labels", "pid": 90 + self._rank, "tid": 0, "args": {"labels": "CPU"}}
        return {"schemaVersion": 1, **known, "baseTimeNanoseconds": 0, "traceEvents": [labels, *self._events]}

    def _groups(self) -> None:
        members = [{"pg_name": "0", "pg_desc": "default_pg", "ranks": list(range(self._ranks)),
                    "group_size": self._ranks, "group_count": 1}]  # fmt: skip
        self._add_node("## process_group:init ##", 4, 2, 1, scope=7, values=[json.dumps(members)], types=["String"])

    # What one thing leaves in each file

    def _event(
        self, category: str, name: str, thread: int, start: float, end: float, arguments: Document | None = None
    ) -> Document:
        event = {"ph": "X", "cat": category, "name": name, "pid": 90 + self._rank, "tid": thread, "ts": start,
                 "dur": round(end - start, 3), "args": arguments or {}}  # fmt: skip
        self._events.append(event)
        return event

    def _add_node(
        self, name: str, id: int, parent: int, thread: int, *, rf_id: int = 0, scope: int = 0, sequence: int = -1,
        values: list[Any] | None = None, shapes: list[Any] | None = None, types: list[str] | None = None,
        outputs: list[Any] | None = None,
    ) -> None:  # fmt: skip
        ids = {"rf_id": rf_id, "fw_parent": 0, "seq_id": sequence, "scope": scope, "tid": thread, "fw_tid": 0}
        given, results = values or [], outputs or []
        shapes, types = shapes or [[] for _ in given], types or [_TENSOR for _ in given]
        node: Document = {"id": id, "name": name}
        if self._old:
            node |= {"parent": parent, **ids, "inputs": given, "input_shapes": shapes, "input_types": types,
                     "outputs": results, "output_shapes": [[] for _ in results]}  # fmt: skip
        else:
            attributes = [{"name": k, "type": "int64", "value": v} for k, v in ids.items()]
            taken = {"values": given, "shapes": shapes, "types": types}
            left = {"values": results, "shapes": [[] for _ in results], "types": [_TENSOR] * len(results)}
            node |= {"ctrl_deps": parent, "attrs": attributes, "inputs": taken, "outputs": left}
        self._nodes.append(node)

    def _call(
        self, name: str, inside: Callable[[], object] | None = None, *, thread: int = 1, scope: int = 0,
        sequence: int | None = None, dims: list[Any] | None = None, reads: int | None = None, writes: int | None = None,
        values: list[Any] | None = None, arguments: Document | None = None,
    ) -> None:  # fmt: skip
        """A host operator, with what happens inside it."""
        number, start, parent = len(self._nodes) + 1, self._clock, self._parents[thread]
        tensors = [[[s, s, 0, 6, 4, "cuda:0"]] if s is not None else [] for s in (reads, writes)]
        self._add_node(
            name, number, parent, thread, rf_id=number, scope=scope, sequence=-1 if sequence is None else sequence,
            values=tensors[0] if values is None else values, shapes=dims, outputs=tensors[1],
        )  # fmt: skip
        self._parents[thread] = number
        self._clock += 1 + self._rng.randrange(3)
        if inside is not None:
            inside()
        self._clock += 1
        self._parents[thread] = parent
        if self._annotated:
            self._nodes[number - 1] |= self._waits(number, start)
        ids = {"External id": number} | ({"Record function id": number} if self._shared_ids else {})
        more = {"Sequence number": sequence} if sequence is not None else {}
        if dims is not None:
            more |= {"Input Dims": dims, "Input type": ["float"] * len(dims)}
        category = "user_annotation" if scope == 7 else "Operator" if self._year_2021 else "cpu_op"
        self._event(category, name, self._thread * thread, start, self._clock, ids | more | (arguments or {}))

    def _waits(self, number: int, start: float) -> Document:
        """Times of a node and what it waits for, as Chakra's linker adds them."""
        earlier = [None, *range(max(5, number - 6), number)]
        synchronised = [id for id in self._rng.sample(earlier, min(2, len(earlier))) if id is not None]
        return {"ts": start, "inclusive_dur": self._clock - start, "exclusive_dur": 1, "ph": "X",
                "inter_thread_dep": self._rng.choice(earlier), "sync_dep": synchronised}  # fmt: skip

    def _runtime(self, name: str, duration: float = 2, *, thread: int = 1) -> int:
        """A call of the runtime; its correlation."""
        self._correlation += 1
        end = self._clock + duration
        category = "Runtime" if self._year_2021 else "cuda_runtime"
        self._event(category, name, self._thread * thread, self._clock, end, {"correlation": self._correlation})
        self._clock = end
        return self._correlation

    def _kernel(
        self, name: str, stream: int, correlation: int, duration: float, arguments: Document | None = None,
        category: str = "kernel",
    ) -> None:  # fmt: skip
        start = max(self._clock - 1, self._free.get(stream, 0.0)) + self._rng.choice((0, 0.5, 4))
        self._free[stream] = start + duration
        known = {"External id": correlation, "device": 0, "stream": stream, "correlation": correlation}
        known |= {"grid": [4, 1, 1], "block": [128, 1, 1], "warps per SM": 0.4} | (arguments or {})
        event = self._event(
            _OF_2021[category] if self._year_2021 else category, name, stream, start, start + duration, known
        )
        event["pid"] = 0
        flow = {"pid": event["pid"], "id": correlation, "cat": "ac2g", "name": "ac2g"}
        self._events += [
            {"ph": "s", "ts": self._clock, "tid": 1, **flow},
            {"ph": "f", "ts": start, "tid": stream, **flow},
        ]

    # Steps

    def _launch(self, name: str, stream: int = 7, duration: float = 9, arguments: Document | None = None) -> None:
        self._kernel(name, stream, self._runtime("cudaLaunchKernel"), duration, arguments)

    def _compute(self) -> None:
        storage = self._rng.randrange(20, 23)
        self._call("aten::mm", lambda: self._launch("gemm"), dims=[[2, 3], [3, 4]], reads=storage, writes=storage + 1)

    def _shapes(self) -> None:
        name, dims = self._rng.choice((
            ("aten::convolution", [[2, 3, 8, 8], [4, 3, 3, 3], [4]]), ("aten::bmm", [[2, 2, 3], [2, 3, 5]]),
            ("aten::embedding", [[9, 4], [5]]), ("aten::layer_norm", [[2, 8], [], [8], [8]]),
            ("aten::_scaled_dot_product_flash_attention", [[1, 2, 4, 8]] * 3), ("aten::sum", [[5, 5]]),
            ("aten::add_", [[7], [7], []]), ("aten::addmm", [[4], [2, 3], [3, 4]]),
        ))  # fmt: skip
        self._call(name, lambda: self._launch("work"), dims=dims)

    def _copy(self) -> None:
        def inside() -> None:
            name = self._rng.choice(("cudaMemcpyAsync", "cudaMemcpy", "hipMemcpyWithStream"))
            correlation = self._runtime(name, 6)
            self._kernel("Memcpy HtoD (Pageable -> Device)", 7, correlation, 3, {"bytes": 4096}, "gpu_memcpy")

        self._call("aten::copy_", inside)

    def _collective(self, name: str) -> Document:
        members = str(list(range(self._ranks)))
        self._sequence += 1
        return {"Collective name": name, "In msg nelems": 1024, "Out msg nelems": 1024, "dtype": "Float",
                "Group size": self._ranks, "Process Group Name": "0", "Process Group Ranks": members,
                "Process Group Description": "default_pg", "Seq": self._sequence}  # fmt: skip

    def _all_reduce(self) -> None:
        known = self._collective("allreduce")
        name = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"

        def inside() -> None:
            self._record_and_wait(7, 20)
            self._launch(name, 20, 15, known)

        def recorded() -> None:
            values = [
                [[30, 30, 0, 1024, 4, "cuda:0"]],
                self._sequence,
                ["0", "default_pg"],
                0,
                "allreduce",
                [],
                [],
                0,
                1,
                2,
            ]
            self._call("record_param_comms", inside, values=values, arguments=known)

        self._call("c10d::allreduce_", recorded, reads=30, writes=30)

    def _gloo(self) -> None:
        begin = self._clock
        self._call("c10d::allreduce_", lambda: self._call("record_param_comms", None), dims=[[[64]]])
        self._event("user_annotation", "gloo:all_reduce", 7777, begin + 1, self._clock + 20, {"Input Dims": [[64]]})
        self._call("gloo:all_reduce", thread=2, scope=7, dims=[[64]])

    def _message(self) -> None:
        peer = self._rank ^ 1 if (self._rank ^ 1) < self._ranks else 0
        kind = "send" if self._rank < peer else "recv"
        known = self._collective(kind) | {"Src Rank": min(self._rank, peer), "Dst Rank": max(self._rank, peer)}

        def inside() -> None:
            self._launch("ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)", 20, 6, known)

        values = [[[30, 30, 0, 64, 4, "cpu"]], "<Object>", peer, 0]
        texts = ["", "", str(peer), "0"]
        self._call(f"c10d::{kind}", inside, values=values, arguments={"Concrete Inputs": texts})

    def _record_and_wait(self, recorded: int, waiting: int) -> None:
        record = self._runtime("cudaEventRecord", 1)
        wait = self._runtime("cudaStreamWaitEvent", 1)
        self._synchronised("Stream Wait Event", waiting, wait, wait_on_stream=recorded, record=record)

    def _synchronised(
        self, kind: str, stream: int, correlation: int, *, wait_on_stream: int = -1, record: int = -1
    ) -> None:
        known = {"cuda_sync_kind": kind, "stream": stream, "correlation": correlation, "device": 0,
                 "wait_on_stream": wait_on_stream, "wait_on_cuda_event_record_corr_id": record}  # fmt: skip
        self._event("cuda_sync", kind, stream, self._clock - 1, self._clock, known)

    def _stream_wait(self) -> None:
        self._record_and_wait(7, 9)
        self._launch("add", 9, 3)

    def _wait(self) -> None:
        name, kind = self._rng.choice((
            ("cudaDeviceSynchronize", "Context Sync"), ("cudaStreamSynchronize", "Stream Sync"),
            ("cudaEventSynchronize", "Event Sync"), ("hipDeviceSynchronize", ""),
        ))  # fmt: skip
        until = max(self._free.values(), default=0.0)
        correlation = self._runtime(name, max(until - self._clock, 0) + 2)
        if kind:
            self._synchronised(kind, 7, correlation)

    def _backward(self) -> None:
        self._sequence += 1
        name = "autograd::engine::evaluate_function: MmBackward0"
        self._call("aten::mm", lambda: self._launch("gemm"), sequence=self._sequence, dims=[[2, 3], [3, 4]])
        self._call(
            name, lambda: self._launch("gemm"), thread=2, sequence=self._sequence, arguments={"Fwd thread id": 1}
        )

    def _graph(self) -> None:
        correlation = self._runtime(self._rng.choice(("cudaGraphLaunch", "hipGraphLaunch")))
        for stream in (7, 7, 9):
            self._kernel("in a graph", stream, correlation, 2)

    def _memory(self) -> None:
        known = {"ph": "i", "s": "t", "cat": "cpu_instant_event", "name": "[memory]", "pid": 90 + self._rank, "tid": 1}
        arguments = {"Bytes": self._rng.choice((512, -512)), "Addr": 9, "Device Id": 0, "Device Type": 1}
        self._events.append({**known, "ts": self._clock, "args": arguments})

    def _python(self) -> None:
        begin = self._clock
        self._compute()
        arguments = {"Python parent id": None, "Python id": 1, "Python module id": 0}
        self._event("python_function", "nn.Module: Linear_0", self._thread, begin, self._clock, arguments)
        self._event("gpu_user_annotation", "ProfilerStep#3", 7, begin, self._clock)

    def _handed_over(self) -> None:
        self._call("aten::add", thread=2)
        self._call("aten::mul", thread=1)
        self._launch("mul")
