"""Columns from the tokens of nodes: numbers, dependencies, and the attributes that columns hold."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.ingest.chakra.attributes import ATTRIBUTES, KINDS, OTHERS
from etgraph.ingest.chakra.fields import KIND, NUMBERS, Kind, code_of, number_of
from etgraph.ingest.chakra.limits import LATEST_MICROS, LONGEST_MICROS
from etgraph.ingest.chakra.wire import Tokens
from etgraph.ingest.draft import NULL
from etgraph.model.columns import Array

_SINGLE: Final = {"id": "id", "type": "type", "start": "start_time_micros", "duration": "duration_micros"}
_DEPENDENCIES: Final = {"ctrl": code_of("Node", "ctrl_deps"), "data": code_of("Node", "data_deps")}
_ATTRIBUTE: Final = number_of("AttributeProto")
_NAME, _DOC = (code_of("AttributeProto", name) for name in ("name", "doc_string"))
_FIRST_VALUE: Final = code_of("AttributeProto", "double_val")
_LISTS: Final = {
    "others": (OTHERS, code_of("AttributeProto", "uint64_list")),
    "kinds": (KINDS, code_of("AttributeProto", "int32_list")),
}


def owners(tokens: Tokens) -> Array:
    """The message that each token belongs to."""
    return np.repeat(np.arange(len(tokens.first) - 1, dtype=np.int32), np.diff(tokens.first))


def spread(values: Array, at: Array, count: int, null: int) -> Array:
    """A column of that many rows with values at some; of several for one row the last counts."""
    column = np.full(count, null, dtype=np.int64)
    column[at] = values
    return column


def numbers(tokens: Tokens, owner: Array, count: int) -> tuple[dict[str, Array], int]:
    """The fields of nodes that are numbers, times in ns; how many values no column can hold, which are null.

    `ctrl` and `data` are the numbers of dependencies, `ctrl_ids` and `data_ids` the ids that they name, node by node.
    """
    code, value = tokens.code, tokens.value
    columns = {}
    for name, field in _SINGLE.items():
        rows = np.flatnonzero(code == code_of("Node", field))
        columns[name] = spread(value[rows], owner[rows], count, 0)
    beside = 0
    for name, most in (("start", LATEST_MICROS), ("duration", LONGEST_MICROS)):
        micros = columns[name]
        held = (micros >= 0) & (micros <= most)
        columns[name] = np.where(held, micros * 1000, NULL)
        beside += int(count - held.sum())
    odd_type = columns["type"] == -(2**31)
    beside += int(odd_type.sum())
    columns["type"] = np.where(odd_type, 0, columns["type"]).astype(np.int32)
    columns["id"] = columns["id"].view(np.uint64)
    for name, own in _DEPENDENCIES.items():
        rows = np.flatnonzero(code == own)
        columns[name] = np.bincount(owner[rows], minlength=count).astype(np.int32)
        columns[f"{name}_ids"] = value[rows].view(np.uint64)
    return columns, beside


def attribute_values(tokens: Tokens) -> dict[str, Array]:
    """For each attribute that columns hold, by its raw column, the tokens of the values that fit it; none: left out.

    An attribute is a name, perhaps a description, and then a value.
    """
    code = tokens.code
    names = np.flatnonzero(code == _NAME)
    if not len(names):
        return {}
    codes, strings = dictionary(tokens, names)
    known = {text: number for number, text in enumerate(strings)}
    # Behind the last token, where an attribute has no value, the last one stands in: it is no value either.
    last = len(code) - 1
    at = np.minimum(names + 1, last)
    at = np.minimum(at + (code[at] == _DOC), last)
    valued = np.flatnonzero((code[at] // NUMBERS == _ATTRIBUTE) & (code[at] >= _FIRST_VALUE))
    at, codes = at[valued], codes[valued]
    field, value = code[at], tokens.value[at]
    kind = KIND[field]
    found = {}
    for attribute in ATTRIBUTES:
        if (number := known.get(attribute.attribute.encode())) is not None:
            rows = np.flatnonzero(codes == number)
            fits = kind[rows] == int(Kind.STRING) if attribute.text else attribute.fits(kind[rows], value[rows])
            if fits.any():
                found[attribute.name] = at[rows[fits]]
    for name, (wanted, listed) in _LISTS.items():
        if (number := known.get(wanted.encode())) is not None:
            found[name] = at[(codes == number) & (field == listed)]
    return found


def list_values(tokens: Tokens, at: Array | None, owner: Array, count: int) -> tuple[Array, Array]:
    """The values of a list attribute node by node, and how many each node has."""
    lengths = np.zeros(count, dtype=np.int64)
    if at is None or not len(at):
        return np.zeros(0, dtype=np.int64), lengths
    length = tokens.skip[at] - at - 1
    ends = np.cumsum(length)
    np.add.at(lengths, owner[at], length)
    return tokens.value[np.arange(int(length.sum())) + np.repeat(at + 1 - (ends - length), length)], lengths


def dictionary(tokens: Tokens, rows: Array) -> tuple[Array, list[bytes]]:
    """Codes of the texts of some tokens, which ascend, and the distinct texts."""
    import pyarrow as pa

    if not len(rows):
        return np.zeros(0, dtype=np.int32), []
    places = np.empty(2 * len(rows), dtype=np.int32)
    places[::2], places[1::2] = tokens.start[rows], tokens.end[rows]
    buffers = [None, pa.py_buffer(places), pa.py_buffer(tokens.data)]
    # Between two texts lies what is no text: every other element of an array over the same bytes.
    spans = pa.Array.from_buffers(pa.binary(), len(places) - 1, buffers)
    encoded = spans.take(pa.array(np.arange(0, len(places) - 1, 2))).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
