"""Random traces over the whole schema: every column, null or any value of its type, every table, valid references."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import strategies as st

from etgraph.model import TABLES, AttributeWriter, Columns, DependencyKind, Metadata, Source, Trace
from etgraph.model.schema import Column, Table
from model.tables import columns_of

TEXTS = st.sampled_from(["", "mm", "größe", 'a"b\\', "two\nlines", "\x00", "😀", "null", "1"]) | st.text(max_size=5)
FLOATS = st.floats(allow_nan=False)
SIZES = {"operators": 9, "lanes": 3, "process_groups": 2, "collectives": 2, "iterations": 3}
DOCUMENTS = st.sampled_from([b"{}", b'{"a":1}', '{"ü":"😀\\u0000"}'.encode(), b'{"big":18446744073709551616}'])


def _values(column: Column, lengths: dict[str, int]) -> st.SearchStrategy[Any]:
    bits = {"int8": 7, "int32": 31, "int64": 63}
    if column.type in bits:
        limit = 2 ** bits[column.type] - 1
        return st.sampled_from([0, limit, -limit]) | st.integers(-limit, limit)
    if column.type == "enum":
        assert column.values is not None
        return st.sampled_from(column.values) | st.integers(90, 99)
    if column.type == "row":
        return st.integers(0, lengths[column.refers] - 1) if lengths.get(column.refers) else st.none()
    return {
        "bool": st.booleans(), "uint64": st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1),
        "float32": st.floats(allow_nan=False, width=32), "float64": FLOATS, "text": TEXTS,
    }[column.type]  # fmt: skip


@st.composite
def _table(draw: st.DrawFn, table: Table, lengths: dict[str, int], count: int, **given: list[Any]) -> Columns:
    filled = [c for c in table.columns if not c.nullable or (c.name not in given and draw(st.booleans()))]
    rows = []
    for at in range(count):
        row = {name: values[at] for name, values in given.items()}
        for column in filled:
            if column.name not in given:
                values = _values(column, lengths)
                row[column.name] = draw(st.none() | values if column.nullable else values)
        rows.append(row)
    return columns_of(rows, table)


@st.composite
def any_traces(draw: st.DrawFn) -> Trace:
    """A trace whose values mean nothing, and whose references lead somewhere."""
    lengths = {name: draw(st.integers(0, most)) for name, most in SIZES.items()}
    lengths["attributes"] = 0
    ranks = st.integers(0, 3)
    rank = sorted(draw(ranks) for _ in range(lengths["operators"]))
    index = [rank[:at].count(r) for at, r in enumerate(rank)]
    documents = draw(st.lists(DOCUMENTS, max_size=4))
    takers = [at if at < len(documents) else None for at in range(lengths["operators"])]
    documents = documents[: lengths["operators"]]
    parent = [draw(st.none() | st.sampled_from([i for i, r in enumerate(rank) if r == own])) for own in rank]
    tables: dict[str, Columns] = {}
    for name, table in TABLES.items():
        if name in ("dependencies", "group_members"):
            continue
        count = lengths.get(name, 0) if name in SIZES else draw(st.integers(0, 2))
        given: dict[str, list[Any]] = {}
        if any(c.name == "rank" for c in table.columns):
            given["rank"] = [draw(ranks) for _ in range(count)]
        if name == "operators":
            given = {"rank": rank, "index": index, "parent": parent, "attrs": takers}
        elif any(c.name == "attrs" for c in table.columns):
            given["attrs"] = [None] * count
        tables[name] = draw(_table(table, lengths, count, **given))
    tables["dependencies"] = draw(_dependencies(lengths["operators"]))
    tables["group_members"] = draw(_members(lengths["process_groups"]))
    with AttributeWriter() as writer:
        writer.extend(documents)
    identity = hashlib.sha256(draw(st.binary(min_size=4, max_size=8))).hexdigest()
    return Trace(
        **tables, attributes=writer.attributes, metadata=draw(_metadata()), trace_id=identity,
        revision=draw(st.integers(1, 5)),
    )  # fmt: skip


@st.composite
def _dependencies(draw: st.DrawFn, operators: int) -> Columns:
    kinds = [kind for kind in DependencyKind if kind != DependencyKind.COLLECTIVE]
    one = st.fixed_dictionaries(
        {
            "src": st.integers(0, operators - 1), "dst": st.integers(0, operators - 1), "kind": st.sampled_from(kinds),
            "inferred": st.booleans(), "method": TEXTS, "confidence": st.floats(0, 1, width=32),
        }
    )  # fmt: skip
    return columns_of(draw(st.lists(one, max_size=12)) if operators else [], TABLES["dependencies"])


@st.composite
def _members(draw: st.DrawFn, groups: int) -> Columns:
    rows = [{"group": g, "rank": r} for g in range(groups) for r in draw(st.lists(st.integers(0, 9), max_size=3))]
    return columns_of(rows, TABLES["group_members"])


@st.composite
def _metadata(draw: st.DrawFn) -> Metadata:
    document = st.dictionaries(TEXTS, st.none() | st.integers(-(2**70), 2**70) | FLOATS | TEXTS, max_size=2)
    source = st.builds(
        Source, TEXTS | st.just("odd\udcff"), st.sampled_from(["kineto", "chakra"]), st.integers(0, 9),
        st.integers(0, 2**40), st.just("0" * 64), document=document,
    )  # fmt: skip
    return Metadata(
        sources=tuple(draw(st.lists(source, max_size=2))),
        world_size=draw(st.none() | st.integers(1, 99)),
        device_model=draw(st.none() | TEXTS),
        zero_ns=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        clock_offsets_ns=draw(st.dictionaries(st.integers(0, 9), st.integers(-(2**62), 2**62), max_size=2)),
    )
