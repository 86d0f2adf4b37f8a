"""Which call launched each device operator, a graph's replay included."""

from __future__ import annotations

from etgraph.model.launching import launching_calls
from support.build import build


def test_a_replay_ends_with_its_stream() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaGraphLaunch   0..10   -> first
        rank 0 | stream 7 | first: gemm      20..30
        rank 0 | stream 9 | before           20..90
    """)
    assert launching_calls(trace).tolist() == [-1, 0, -1]


def test_what_follows_on_a_stream_is_of_the_same_replay_up_to_the_next_launch() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaGraphLaunch    0..10   -> first
        rank 0 | thread 1 | cudaLaunchKernel  12..14   -> last
        rank 0 | stream 7 | first: gemm       20..30
        rank 0 | stream 7 | second            30..40
        rank 0 | stream 7 | last: add         40..50
    """)
    assert launching_calls(trace).tolist() == [-1, -1, 0, 0, 1]
