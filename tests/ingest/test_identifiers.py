"""Rows by identifier, beside a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.identifiers import rows_of, sorting, twice

IDS = st.integers(0, 2**64 - 1) | st.integers(0, 20)


@given(st.lists(IDS, unique=True), st.lists(IDS))
def test_rows_are_found_as_in_a_dictionary(ids: list[int], wanted: list[int]) -> None:
    array = np.array(ids, dtype=np.uint64)
    expected = {id: row for row, id in enumerate(ids)}
    found = rows_of(np.array(wanted, dtype=np.uint64), array, sorting(array))
    assert found.tolist() == [expected.get(id, -1) for id in wanted]


@given(st.lists(st.integers(0, 30)))
def test_an_id_that_occurs_twice_is_found_with_its_first_rows(ids: list[int]) -> None:
    array = np.array(ids, dtype=np.uint64)
    repeated = sorted(id for id in set(ids) if ids.count(id) > 1)
    found = twice(array, sorting(array))
    if repeated:
        first = ids.index(repeated[0])
        assert found == (first, ids.index(repeated[0], first + 1))
    else:
        assert found is None


def test_ids_that_ascend_are_not_sorted() -> None:
    assert sorting(np.array([0, 5, 2**64 - 1], dtype=np.uint64)) is None
