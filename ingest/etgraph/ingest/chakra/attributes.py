"""Attributes of Chakra nodes that columns hold: what they are called in files, and how they are written.

The first ones are the standard tools' names. Those that begin with `etgraph.` are ours: they keep what the standard has
no word for, so that a trace of another format that was written as Chakra is read back as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.ingest.chakra.fields import Kind
from etgraph.ingest.chakra.limits import EARLIEST_NS, LONGEST_MICROS
from etgraph.model.columns import Array

DOCUMENT: Final = "etgraph"
"""Attribute of the metadata that holds, as JSON text, what a trace of another format says beside its operators."""

_INT32, _INT64 = 2**31, 2**63


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: name of its raw column and in the file, field of `AttributeProto` that it is written to, range."""

    name: str
    attribute: str
    field: str = "int64_val"
    low: int = 1 - _INT64
    high: int = _INT64 - 1

    @property
    def text(self) -> bool:
        """Whether the value is a text, of which the column holds codes."""
        return self.field == "string_val"

    @property
    def dtype(self) -> str:
        """Type of the raw column."""
        return "i4" if self.text or self.high < _INT32 else "i8"

    @property
    def null(self) -> int:
        """What stands for a node without the attribute."""
        return -1 if self.text else -_INT32 if self.high < _INT32 else -_INT64

    def fits(self, kind: Array, value: Array) -> Array:
        """Whether values of these kinds can stand in the column; they may be of any type of whole numbers.

        A column of floating-point numbers holds their bits, and takes no other kind.
        """
        if self.field == "float_val":
            return np.asarray(kind == int(Kind.FLOAT))
        unsigned = (kind == int(Kind.UINT64)) | (kind == int(Kind.FIXED64))
        whole = ((kind >= int(Kind.BOOL)) & (kind <= int(Kind.SFIXED64))) & (kind != int(Kind.FLOAT))
        fits: Array = whole & (value >= self.low) & (value <= self.high) & ~(unsigned & (value < 0))
        return fits


def _small(name: str, attribute: str, field: str = "int32_val", low: int = 1 - _INT32) -> Attribute:
    return Attribute(name, attribute, field, low, _INT32 - 1)


ATTRIBUTES: Final = (
    _small("cpu", "is_cpu_op", "bool_val", 0),
    Attribute("thread", "tid"),
    Attribute("stream", "stream"),
    _small("comm_type", "comm_type", "int64_val"),
    Attribute("comm_bytes", "comm_size", low=0),
    Attribute("group", "pg_name", "string_val"),
    _small("sender", "comm_src"),
    _small("receiver", "comm_dst"),
    _small("tag", "comm_tag"),
    Attribute("flops", "num_ops", low=0),
    Attribute("bytes", "tensor_size", "uint64_val", low=0),
    Attribute("exact_start", "start_ns", low=-EARLIEST_NS, high=EARLIEST_NS),
    Attribute("exact_duration", "duration_ns", low=0, high=LONGEST_MICROS * 1000),
    _small("category", "etgraph.category", low=0),
    _small("lane", "etgraph.lane", low=0),
    Attribute("parent", "etgraph.parent", "uint64_val", low=0),
    _small("iteration", "etgraph.iteration", low=0),
    Attribute("link", "etgraph.link", "int32_val", 0, 127),
    Attribute("waves", "etgraph.waves", "float_val", 0, 2 * _INT32 - 1),
    Attribute("scope", "etgraph.scope", "string_val"),
    Attribute("source", "etgraph.source", "string_val"),
)
BY_NAME: Final = {a.name: a for a in ATTRIBUTES}
OTHERS: Final = "etgraph.other_deps"
"""List attribute: ids that a node depends on in a way that no order of nodes can say, such as a call that blocks."""
KINDS: Final = "etgraph.dependencies"
"""List attribute: for each control, data and other dependency of a node, in this order, its row in the document's
list of kinds."""
LISTS: Final = {"others": "u8", "kinds": "i4"}
"""Raw columns of the list attributes, and the types of their values."""
