"""Chakra messages over the whole schema, as hypothesis makes them up."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, IOInfo, Node


def _plain(number: float) -> float:
    """The usual not-a-number instead of the others, which no text tells apart."""
    return math.nan if number != number else number


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
U64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**53 + 1, 2**63, 2**64 - 1])


def whole(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, 0, high])


KINDS: dict[str, st.SearchStrategy[Any]] = {
    "double": st.floats().map(_plain), "float": st.floats(width=32).map(_plain), "bool": st.booleans(), "string": TEXT,
    "bytes": st.binary(max_size=5),
    **{f"{prefix}{bits}": whole(bits, signed="u" not in prefix and prefix != "fixed")
       for prefix in ("int", "uint", "sint", "fixed", "sfixed") for bits in (32, 64)},
}  # fmt: skip


@st.composite
def attributes(draw: st.DrawFn) -> Any:
    attribute = AttributeProto(name=draw(TEXT), doc_string=draw(TEXT))
    kind = draw(st.sampled_from([*KINDS, None]))
    if kind is None:
        return attribute
    if draw(st.booleans()):
        setattr(attribute, f"{kind}_val", draw(KINDS[kind]))
    else:
        values = getattr(attribute, f"{kind}_list")
        values.SetInParent()
        values.values.extend(draw(st.lists(KINDS[kind], max_size=3)))
    return attribute


IO = st.none() | st.builds(IOInfo, values=TEXT, shapes=TEXT, types=TEXT)
METADATA = st.builds(GlobalMetadata, version=TEXT, attr=st.lists(attributes(), max_size=3))
NODES = st.just(Node()) | st.builds(
    Node, id=U64, name=TEXT, type=st.integers(0, 7) | whole(32, signed=True), ctrl_deps=st.lists(U64, max_size=3),
    data_deps=st.lists(U64, max_size=3), start_time_micros=U64, duration_micros=U64, inputs=IO, outputs=IO,
    attr=st.lists(attributes(), max_size=4),
)  # fmt: skip
