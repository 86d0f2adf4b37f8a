"""JSON documents that are bent with regard to their structure, and their texts, with regard to JSON or to nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, TypeAlias

from benchmarks.fuzz.messages import damaged

Document: TypeAlias = Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e400, -1e308, 5e-324, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30,
    "", "x", "5", "-1", "NaN", "Infinity", "\ud800", "é", "\0", "a" * 5000, "////", [], [1], [[]], [[[]]], {}, {"a": 1},
)  # fmt: skip
_WORDS: dict[str, tuple[Any, ...]] = {
    "ph": ("X", "i", "M", "s", "f", "B", "E", "t", "C", ""),
    "cat": ("cpu_op", "user_annotation", "cuda_runtime", "cuda_driver", "kernel", "gpu_memcpy", "gpu_memset",
            "cuda_sync", "python_function", "gpu_user_annotation", "Trace", "Runtime", "Kernel", "Operator", "overhead",
            "hpu_op", "mtia_ccp_events", "ac2g", "fwdbwd", "cpu_instant_event", "x"),
    "name": ("ProfilerStep#1", "ProfilerStep#99999999999999999999", "[memory]", "cudaLaunchKernel", "cudaGraphLaunch",
             "cudaStreamWaitEvent", "cudaEventRecord", "cudaDeviceSynchronize", "cudaMemcpy", "record_param_comms",
             "c10d::send", "c10d::allreduce_", "nccl:all_reduce", "gloo:all_reduce", "ncclDevKernel_AllGather_RING_LL",
             "ncclKernel_SendRecv", "process_name", "process_labels", "thread_name", "## forward ##", "aten::mm",
             "## process_group:init ##", "[pytorch|profiler|execution_trace|process]", "aten::convolution", "rf_id",
             "[pytorch|profiler|execution_trace|thread]", "tid", "seq_id", "scope", "op_schema", "aten::copy_"),
    "schema": ("1.0.1", "1.0.2-chakra.0.0.4", "1.0.3", "1.1.0", "9.9.9", "x"),
    "Collective name": ("allreduce", "all_to_allv", "send", "recv", "barrier", "allgather", "x"),
    "dtype": ("Float", "Half", "BFloat16", "Float8_e4m3fn", "x"),
    "Process Group Ranks": ("[0, 1]", "[0, 1, ...]", "[1, 0]", "[0, 0]", "[-1]", "[", [0, 1], ""),
    "pg_config": ("[{'pg_name': '0', 'ranks': [0, 1]}]", "__import__('os')", "[" * 500, [], [{}]),
    "cuda_sync_kind": ("Stream Wait Event", "Event Sync", "Context Sync", "Stream Sync", "x"),
    "Input Dims": ([[2, 3], [3, 4]], [[2**40, 2**40]], [[-1]], [[[]]], [[0]], "[[2]]", [[1] * 70]),
    "Input type": (["float", "float"], ["c10::Half"], [], "x"),
    "pid": (0, 1, -1, "Spans", 2**40), "tid": (0, 1, -1, 7, "stream 7", "1", 1.5),
}  # fmt: skip
"""Values that mean something under a key."""
_KEYS = ("id", "ts", "dur", "args", "name", "ph", "nodes", "traceEvents", "ctrl_deps", "attrs", "parent", "inputs",
         "values", "schema", "External id", "correlation", "stream", "Id", "ctrlDeps", "attr", "int32Val", "sync_dep",
         "inter_thread_dep", "inclusive_dur", "x", "", "distributedInfo")  # fmt: skip
_ENCODINGS = ("utf-16", "utf-32", "utf-8-sig", "latin-1")
_NOT_JSON = (b"NaN", b"-Infinity", b"01", b"1.", b".5", b"+1", b"1e999999", b"0x1", b"'a'", b"tru", b"nul", b'"\\x"',
             b'"\\ud83d"', b'"a\nb"', b"1" * 400, b"9" * 19, b"-0", b"/**/1", b'"\xff"', b'"\xed\xa0\x80"')  # fmt: skip


def bent(document: Document, rng: random.Random) -> Document:
    """A document with one to four things about it changed. What stays is shared with the document, not copied."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        # Values of one place turn up in another, so that ids occur twice and references lead elsewhere.
        document = _changed(document, rng, "", _anything(document, rng))
    return document


def _anything(value: Document, rng: random.Random) -> Document:
    """A value somewhere within."""
    while isinstance(value, (dict, list)) and value and rng.randrange(8):
        value = rng.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def _changed(value: Document, rng: random.Random, key: str, other: Document) -> Document:
    if isinstance(value, dict) and value and rng.randrange(6):
        chosen = rng.choice(list(value))
        return {k: _changed(v, rng, k, other) if k == chosen else v for k, v in value.items()}
    if isinstance(value, list) and value and rng.randrange(12):
        at = rng.randrange(len(value))
        return [*value[:at], _changed(value[at], rng, key, other), *value[at + 1 :]]
    if isinstance(value, dict) and value:
        return _changed_object(value, rng, other)
    if isinstance(value, list) and value:
        return _changed_list(value, rng, other)
    which = rng.randrange(10)
    if which < 3 and key in _WORDS:
        return rng.choice(_WORDS[key])
    if which < 7 and isinstance(value, (int, float)) and not isinstance(value, bool):
        return rng.choice(
            (value + 1, value - 1, -value, value * 1000, value / 3, str(value), 0, value + 2**32, value * 2)
        )
    return other if which < 8 else rng.choice(ODD_VALUES)


def _changed_object(value: dict[str, Any], rng: random.Random, other: Document) -> Document:
    which, key = rng.randrange(6), rng.choice(list(value))
    if which < 2:
        return {k: v for k, v in value.items() if k != key}
    if which == 2:
        return {(rng.choice(_KEYS) if k == key else k): v for k, v in value.items()}
    if which == 3:
        return value | {rng.choice(_KEYS): other}
    if which == 4 and isinstance(other, dict):
        return value | other
    return other if rng.randrange(2) else rng.choice(ODD_VALUES)


def _changed_list(value: list[Any], rng: random.Random, other: Document) -> Document:
    which, at = rng.randrange(9), rng.randrange(len(value))
    if which < 2:
        return [*value[:at], *value[at + 1 :]]
    if which < 4:
        return [*value, value[at]]
    if which == 4:
        return value * rng.choice((2, 2, 3))
    if which == 5:
        return [*value[:at], other, *value[at:]]
    if which == 6:
        return rng.sample(value, len(value))
    if which == 7:
        return value[:at]
    return rng.choice(ODD_VALUES)


def text(parts: Sequence[Document], rng: random.Random) -> bytes:
    """The text of some JSON values one after another, changed or not."""
    spaces = rng.choice((None, None, 1)) if len(parts) == 1 else None
    lines = (json.dumps(part, ensure_ascii=rng.random() < 0.5, indent=spaces) for part in parts)
    data = rng.choice(("\n", "", " ")).join(lines).encode(errors="surrogatepass")
    which = rng.randrange(20)
    if which < 2:
        return damaged(data, rng)
    if which == 2:
        return data[: rng.randrange(len(data) + 1)]
    if which == 3:
        return _with_another_value(data, rng.choice(_NOT_JSON), rng)
    if which == 4:
        return _with_another_value(data, _deep(rng), rng)
    if which == 5:
        return _twice(data, rng)
    if which == 6:
        chosen = data.decode(errors="replace").encode(rng.choice(_ENCODINGS), errors="replace")
        return chosen if rng.randrange(4) else data + rng.choice((b"\0", b" ", b"\n{}", b"]", b"\xff", data))
    return data


def _deep(rng: random.Random) -> bytes:
    """A value with many others around it."""
    depth = rng.choice((20, 100, 500, 1000, 1100, 5000, 20_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"args":', b"}]")))
    return opening * depth + b"1" + closing * (depth if rng.randrange(4) else depth - 1)


def _with_another_value(data: bytes, value: bytes, rng: random.Random) -> bytes:
    """The text with another value after one of its colons."""
    parts = data.split(b":")
    if len(parts) < 2:
        return value
    at = rng.randrange(1, len(parts))
    for end in b",}]":
        kept = parts[at].find(end)
        if kept >= 0:
            parts[at] = value + parts[at][kept:]
            break
    return b":".join(parts)


def _twice(data: bytes, rng: random.Random) -> bytes:
    """The text with a key that an object has twice."""
    at = data.find(b"{", rng.randrange(len(data) + 1))
    key = json.dumps(rng.choice(_KEYS)).encode()
    return (
        data
        if at < 0
        else data[: at + 1] + key + b":" + rng.choice((b"1", b'"x"', b"[]", b"null")) + b"," + data[at + 1 :]
    )
