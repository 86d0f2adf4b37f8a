"""Numbers without gaps: combinations of values in order, beside NumPy's own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.numbering import distinct, renumbered

VALUES = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), 2**62, 10**15]))


@given(st.integers(1, 4), st.data())
def test_combinations_are_numbered_in_order(width: int, data: st.DataObject) -> None:
    """Beside a sort of whole rows, which is far slower."""
    rows = data.draw(st.lists(st.tuples(*[VALUES] * width), max_size=20))
    columns = [np.array([row[at] for row in rows], dtype=np.int64) for at in range(width)]
    code, count = distinct(*columns)
    ordered = sorted(set(rows))
    assert code.tolist() == [ordered.index(row) for row in rows]
    assert count == len(ordered)


@given(st.lists(st.integers(0, 10**6), max_size=20), st.sampled_from([10**6 + 1, 10**12]))
def test_codes_keep_their_order_with_a_table_and_with_a_sort(codes: list[int], limit: int) -> None:
    found, count = renumbered(np.array(codes, dtype=np.int64), limit)
    ordered = sorted(set(codes))
    assert (found.tolist(), count) == ([ordered.index(code) for code in codes], len(ordered))
