"""Trust of an answer: what met nobody, or not all of its peers, counted by collective."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etgraph.model import Trust
from etgraph.queries import hotspots
from etgraph.queries.trusting import trust_of
from support.build import build
from support.read_samples import sample


def test_a_collective_counts_once_and_what_is_of_none_by_operator() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB       0..50
        rank 1 | stream 7 | all_reduce 4MB      10..50
        rank 0 | stream 7 | all_gather 4MB      60..90
        rank 1 | stream 7 | all_gather 4MB      60..90
        rank 0 | stream 9 | reduce_scatter 4MB  60..90
        rank 0 | stream 9 | reduce_scatter 4MB  91..95
        rank 0 | stream 9 | gemm                96..99
    """)
    everything = np.arange(len(trace))
    assert trust_of(trace, everything).unmatched_collectives == 2
    partial = replace(trace, collectives=trace.collectives.replace({"size": [3, 3]}))
    assert trust_of(partial, everything).unmatched_collectives == 4
    only = np.flatnonzero(partial.operators["rank"] == 1)
    assert trust_of(partial, only).unmatched_collectives == 2
    assert trust_of(partial, only[:0]).unmatched_collectives == 0


def test_three_of_four_ranks_leave_14_collectives_unmatched() -> None:
    assert hotspots(sample("gpt_ddp", ranks=(0, 1, 3))).trust.unmatched_collectives == 14


def test_one_or_several_in_words() -> None:
    assert str(Trust(unmatched_collectives=1)) == "1 collective or message without all its peers"
    assert str(Trust(unmatched_collectives=1200)) == "1,200 collectives or messages without all their peers"
