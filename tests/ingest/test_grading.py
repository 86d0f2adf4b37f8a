"""How sure the links of an alignment are, beside steps that are counted one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.linking.grading import methods
from etgraph.model import LinkMethod
from etgraph.model.sequences import align

TOKENS = st.lists(st.integers(0, 3), max_size=24)


def slow_methods(partner: list[int], count: int) -> list[int]:
    """Steps to where the run ends, one by one; what both sequences begin or end with ends no run."""
    grades = ((16, 2), (8, 3), (4, 4), (2, 5), (1, 6))

    def reach(i: int, by: int) -> float:
        steps = 1
        while True:
            at, j = i + by, partner[i] + by
            if not 0 <= at < len(partner) and not 0 <= j < count:
                return float("inf")
            if not 0 <= at < len(partner) or not 0 <= j < count or partner[at] != j:
                return steps
            i, steps = at, steps + 1

    return [
        -1 if j < 0 else next(m for least, m in grades if min(reach(i, -1), reach(i, 1)) >= least)
        for i, j in enumerate(partner)
    ]


@given(TOKENS, TOKENS)
def test_confidence_grows_with_the_distance_to_the_runs_ends(a: list[int], b: list[int]) -> None:
    partner = align(np.array(a, dtype=np.int64), np.array(b, dtype=np.int64))
    assert partner is not None
    assert methods(partner, len(b)).tolist() == slow_methods(partner.tolist(), len(b))


def test_the_longer_the_run_the_surer_its_middle() -> None:
    partner = np.concatenate([np.arange(40), [-1], 41 + np.arange(40)])
    found = methods(partner, 81)
    assert found[0] == LinkMethod.ALIGNED_16  # both begin there
    assert found[39] == LinkMethod.ALIGNED_1
    assert found[36] == LinkMethod.ALIGNED_4
    assert found[24] == LinkMethod.ALIGNED_16
    assert found[40] == -1
