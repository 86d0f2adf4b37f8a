"""Which memory operators read and write: storages among their arguments and results, and what the schema says of them.

A tensor is [id, storage, offset, elements, bytes an element, device]. An operator reads the storages of its arguments.
It writes those that its schema marks (`Tensor(a!)`), those of arguments that a collective names as its output, those of
a collective itself, and those of results that are not among its arguments: a result that is one is only a view.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from etgraph.ingest.draft import NULL, Growing, int64s
from etgraph.ingest.pytorch_et.nodes import Node
from etgraph.model.columns import Array

_TENSOR = re.compile(rb'\[\s*\d+\s*,\s*(\d{1,19})\s*,\s*-?\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*"[^"]*"\s*\]')
_COLLECTIVE = re.compile(r"^(?:nccl|gloo|mpi|ucc):(?!.*send)")
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ACCESSES = {"position": "i4", "storage": "i8", "writes": "?"}


class Accesses:
    """Collects, node by node, the storages that are read and written; storage 0 is that of no tensor."""

    def __init__(self) -> None:
        self._found = Growing(_ACCESSES)
        self._first = 0

    def add(self, nodes: Sequence[Node], schemas: Sequence[Any]) -> None:
        """Take the next nodes of the file, each with the schema of its operator (a text, or nothing of use)."""
        storages: list[bytes] = []
        writes: list[bool] = []
        counts = np.zeros(len(nodes), dtype=np.int64)
        for at, node in enumerate(nodes):
            read = dict.fromkeys(_TENSOR.findall(node.text("inputs")))
            made = _TENSOR.findall(node.text("outputs"))
            if not read and not made:
                continue
            schema = schemas[at]
            changed = written(node.name, schema if isinstance(schema, str) else "")
            into = dict.fromkeys(read if changed is None else _storages_of(node, changed))
            into |= dict.fromkeys(storage for storage in made if storage not in read)
            storages += read
            storages += into
            writes += [False] * len(read)
            writes += [True] * len(into)
            counts[at] = len(read) + len(into)
        position = np.repeat(self._first + np.arange(len(nodes)), counts)
        self._first += len(nodes)
        storage = int64s(list(map(int, storages)))
        kept = (storage != NULL) & (storage != 0)
        self._found.add(position=position[kept], storage=storage[kept], writes=np.array(writes, dtype=bool)[kept])

    def join(self) -> dict[str, Array]:
        """Position of the node in the file, storage, and whether it is written, of all accesses."""
        return self._found.join()


@lru_cache(maxsize=1 << 12)
def written(name: str, schema: str) -> tuple[int, ...] | None:
    """Numbers of the arguments whose memory an operator changes; None: of all of them.

    >>> written("aten::copy_", "aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)")
    (0,)
    >>> written("c10d::alltoall_base_", "c10d::alltoall_base_(Tensor output, Tensor input) -> Work")
    (0,)
    >>> written("gloo:all_reduce", "")
    """
    if _COLLECTIVE.match(name):
        return None
    arguments = _arguments(schema)
    collective = name.startswith("c10d::")
    return tuple(
        number
        for number, argument in enumerate(arguments)
        if "!" in argument.partition(" ")[0] or (collective and argument.rpartition(" ")[2].startswith("output"))
    )


def _arguments(schema: str) -> list[str]:
    """The arguments in a schema's text, the `*` that only sets names apart left out."""
    inside = schema.partition("(")[2]
    depth, first, found = 0, 0, []
    for at, letter in enumerate(inside):
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0 or (letter == "," and not depth):
            found.append(inside[first:at].strip())
            first = at + 1
        if depth < 0:
            break
    return [argument for argument in found if argument not in ("", "*")]


def _storages_of(node: Node, numbers: Sequence[int]) -> list[bytes]:
    """Storages of some of the arguments of a node."""
    if not numbers:
        return []
    try:
        listed = node.inputs if isinstance(node.inputs, list) else _decode_list(node.text("inputs"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [s for number in numbers if number < len(listed) for s in _TENSOR.findall(bytes(listed[number]))]
