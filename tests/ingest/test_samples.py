"""The bundled samples: each is read, and its operators are numbered without gaps."""

from __future__ import annotations

import numpy as np
import pytest

from etgraph.ingest import read, read_each, samples
from etgraph.model import Trace
from etgraph.model.errors import NotFound


@pytest.mark.parametrize("name", samples.names())
def test_operators_of_a_rank_are_numbered_densely(name: str) -> None:
    for _, trace in read_each(samples.path(name)):
        assert isinstance(trace, Trace)
        trace.validate()
        for rows in trace.rank_rows.values():
            assert np.array_equal(trace.operators["index"][rows], np.arange(rows.stop - rows.start))


def test_the_five_steps_are_one_trace_of_two_ranks() -> None:
    trace = read(samples.path("gpt_ddp_5steps"))
    assert (trace.ranks, trace.iteration_indices, trace.metadata.world_size) == ((0, 1), (0, 1, 2, 3, 4), 2)


def test_a_sample_that_is_none() -> None:
    with pytest.raises(NotFound, match="no sample 'gpt5': there are dlrm_alltoall"):
        samples.path("gpt5")
