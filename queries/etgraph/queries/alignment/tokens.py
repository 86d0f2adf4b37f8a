"""Tokens: numbers that are equal where two operators are alike, in either trace; from names, dims and scopes."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np

from etgraph.model import Category, NodeType, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.families import family_of
from etgraph.model.tensors import Input, Tensor, Unknown, inputs_of
from etgraph.model.twins import essential, without_vendor

_STEP: Final = re.compile(r"(?<=ProfilerStep#)\d+")


class Class(enum.IntEnum):
    """What sort of operator one is: only operators of one class can be the same."""

    HOST = 0
    RECORD = 1
    CALL = 2
    KERNEL = 3
    COPY = 4
    SET = 5
    HOST_COMMUNICATION = 6
    DEVICE_COMMUNICATION = 7


_CLASSES: Final = {
    Category.METADATA: Class.RECORD, Category.CPU_OP: Class.HOST, Category.RUNTIME: Class.CALL,
    Category.DRIVER: Class.CALL, Category.ANNOTATION: Class.RECORD, Category.KERNEL: Class.KERNEL,
    Category.MEMCPY: Class.COPY, Category.MEMSET: Class.SET, Category.DEVICE: Class.KERNEL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of every operator its class, and numbers that say how alike two are, from all that is known of it to little.

    `exact`: class, name, dims, dtypes and scope; `shaped`: class, name and dims; `named`: class and the part of the
    name that versions and vendors share; `dims`: dims alone, 0 where there are none; `family`: the family of a kernel.
    """

    kind: Array
    exact: Array
    shaped: Array
    named: Array
    dims: Array
    family: Array


def tokens_of(trace: Trace) -> Tokens:
    """The tokens of all operators of a trace. The same operator has the same tokens in every trace."""
    o = trace.operators
    kind = _classes(trace)
    names = o.texts("name").to_pylist()
    device, call = (kind >= Class.KERNEL) & (kind <= Class.SET), kind == Class.CALL
    full = hashes(names, without_vendor)[o["name"]]
    short = np.where(
        device,
        hashes(names, lambda name: essential(name, kernel=True))[o["name"]],
        np.where(
            call,
            hashes(names, lambda name: essential(name, call=True))[o["name"]],
            hashes(names, essential)[o["name"]],
        ),
    )
    message = np.where(o["kind"] == int(NodeType.COMM_COLL), o["comm_type"], o["kind"] + 1000)
    communication = (kind == Class.HOST_COMMUNICATION) | (kind == Class.DEVICE_COMMUNICATION)
    short = np.where(communication & (message >= 0), mixed(message.astype(np.int64)), short)
    texts = o.texts("shapes").to_pylist()
    typed, dims = _coded(o["shapes"], hashes(texts, _typed)), _coded(o["shapes"], hashes(texts, _dims))
    scope = _coded(o["scope"], hashes(o.texts("scope").to_pylist(), lambda text: _STEP.sub("", text)))
    return Tokens(
        kind=kind,
        exact=mixed(full, typed, scope, kind),
        shaped=mixed(np.where(device | communication, short, full), dims, kind),
        named=mixed(short, kind),
        dims=dims,
        family=hashes(names, family_of)[o["name"]],
    )


def _classes(trace: Trace) -> Array:
    category = trace.operators["category"]
    table = np.full(max(int(category.max(initial=0)), *_CLASSES) + 1, int(Class.RECORD))
    for one, of in _CLASSES.items():
        table[int(one)] = int(of)
    kind = table[category]
    told = communicates(trace, np.arange(len(category)))
    kind[told & (kind < Class.KERNEL)] = Class.HOST_COMMUNICATION
    kind[told & (kind >= Class.KERNEL)] = Class.DEVICE_COMMUNICATION
    return kind


def _typed(text: str) -> str:
    """Dims and element types of the tensors that go in."""
    return _of_tensors(text, lambda tensor: f"{tensor.dims}{tensor.dtype}")


def _dims(text: str) -> str:
    """Dims of the tensors that go in; empty where there are none."""
    return _of_tensors(text, lambda tensor: str(tensor.dims))


def _of_tensors(text: str, told: Callable[[Tensor], str]) -> str:
    def of(found: Input) -> str:
        if isinstance(found, Tensor):
            return told(found)
        return "" if found is None else f"[{' '.join(map(told, found))}]"

    try:
        return " ".join(filter(None, map(of, inputs_of(text))))
    except Unknown:
        return text


def hashes(texts: list[str], form: Callable[[str], str]) -> Array:
    """A number for the form of each text, the same in every process; 0 for an empty one. One more, 0, for null."""
    found = [_hash(form(text)) for text in texts]
    return np.array([*found, 0], dtype=np.uint64).view(np.int64)


def _hash(text: str) -> int:
    if not text:
        return 0
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _coded(codes: Array, values: Array) -> Array:
    """The values of codes, of which −1 takes the last value."""
    found: Array = values[codes]
    return found


def mixed(*columns: Array) -> Array:
    """One number for each row of some columns of integers; different rows have, but for chance, different numbers."""
    code = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        code = (code ^ column.astype(np.int64).view(np.uint64)) * _ODD
        code ^= code >> np.uint64(29)
        code *= _OTHER_ODD
        code ^= code >> np.uint64(32)
        code += _STEP_BY
    return code.view(np.int64)


_ODD: Final = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)
_OTHER_ODD: Final = np.array([0xBF58476D1CE4E5B9], dtype=np.uint64)
_STEP_BY: Final = np.array([0x94D049BB133111EB], dtype=np.uint64)
