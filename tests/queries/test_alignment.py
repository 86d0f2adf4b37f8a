"""Alignment of two traces: small pairs, and which operators are the same in them."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.queries.alignment import Alignment, Match, align, unaligned
from etgraph.queries.alignment.program import programs
from support.build import build
from support.shaped import shaped


def pairs(base: Trace, other: Trace, alignment: Alignment) -> list[str]:
    """Positions in order: a name that both sides have, `-name` for removed, `+name` for added, `a=b` for renamed."""
    told = []
    for position in range(alignment.positions):
        names = [
            sorted({str(trace.operators.value("name", row)) for row in np.flatnonzero(at == position).tolist()})
            for trace, at in ((base, alignment.base), (other, alignment.other))
        ]
        one, two = ("/".join(side) for side in names)
        told.append(one if one == two else f"-{one}" if not two else f"+{two}" if not one else f"{one}={two}")
    return told


def aligned(base: Trace, other: Trace) -> list[str]:
    return pairs(base, other, align(base, other))


def host(text: str) -> Trace:
    """Operators of one thread: one a line, those inside another indented, `name dims…` as in `support.shaped`."""
    return shaped(text).trace


LAYER = """
aten::linear      4x8 float | 8x8 float
  aten::t         8x8 float
  aten::addmm     8 float | 4x8 float | 8x8 float
    > gemm 40
aten::relu        4x8 float
  > relu_kernel 10
"""


def test_a_trace_is_aligned_with_itself_operator_by_operator() -> None:
    trace = host(LAYER)
    alignment = align(trace, trace)
    assert alignment.base.tolist() == alignment.other.tolist()
    assert sorted(alignment.base.tolist()) == list(range(len(trace))) == list(range(alignment.positions))
    assert alignment.common.all()
    assert (alignment.ranks, alignment.aligned_share, alignment.warnings) == (((0, 0),), 1.0, ())


def test_what_one_side_has_alone_is_added_or_removed() -> None:
    base, other = host(LAYER), host(LAYER.replace("aten::relu        4x8 float\n  > relu_kernel 10", "aten::tanh"))
    alignment = align(base, other)
    assert sorted(pairs(base, other, alignment)[-3:]) == ["+aten::tanh", "-aten::relu", "-relu_kernel"]
    assert [base.operators.value("name", row) for row in alignment.removed] == ["aten::relu", "relu_kernel"]
    assert [other.operators.value("name", row) for row in alignment.added] == ["aten::tanh"]


def test_a_level_around_the_same_operators_leaves_them_aligned() -> None:
    base = host("aten::a 4 float\naten::b 5 float\naten::c 6 float")
    other = host("aten::a 4 float\nwrapper\n  aten::b 5 float\n  aten::c 6 float")
    assert aligned(base, other) == ["aten::a", "+wrapper", "aten::b", "aten::c"]
    assert aligned(other, base) == ["aten::a", "-wrapper", "aten::b", "aten::c"]


@pytest.mark.parametrize(
    ("base", "other", "name"),
    [
        ("aten::a 4 float", "aten::b 4 float", "aten::a=aten::b"),  # the same dims in the same place
        ("aten::a\n  aten::x\n  aten::y", "aten::b\n  aten::x\n  aten::y", "aten::a=aten::b"),  # around the same
        ("aten::a", "aten::b", "aten::a=aten::b"),  # nothing else there
    ],
)
def test_a_renamed_operator_is_the_same(base: str, other: str, name: str) -> None:
    one, two = (host(f"first 2 float\n{text}\nlast 3 float") for text in (base, other))
    alignment = align(one, two)
    assert name in pairs(one, two, alignment)
    assert (alignment.match == Match.RENAMED).sum() == 1


def test_operators_of_other_dims_in_the_same_place_are_the_same() -> None:
    base, other = host("aten::a 4 float\naten::b 8 float"), host("aten::a 16 float\naten::b 32 float")
    assert aligned(base, other) == ["aten::a", "aten::b"]
    assert align(base, other).match.tolist() == [Match.NAME_IN_PLACE] * 2


def test_operators_that_moved_among_their_siblings_are_the_same() -> None:
    base = host("m\n  a 1 float\n    x\n  b 2 float\n    x\n  c 3 float\n  d 4 float")
    other = host("m\n  d 4 float\n  c 3 float\n  b 2 float\n    x\n  a 1 float\n    x")
    alignment = align(base, other)
    assert alignment.common.all()
    names = [str(base.operators.value("name", row)) for row in range(len(base))]
    assert [names[np.flatnonzero(alignment.base == p)[0]] for p in alignment.other] == list("mdcbxax")


def test_a_tree_that_went_to_another_operator_is_the_same() -> None:
    base = host("m\n  a 1 float\n    x 2 float\nn\n  b 3 float")
    other = host("m\nn\n  b 3 float\n    a 1 float\n      x 2 float")
    alignment = align(base, other)
    assert alignment.common.all()
    assert (alignment.match == Match.MOVED_FAR).sum() == 2


def test_of_equal_operators_the_one_is_left_at_whose_place_the_other_side_has_something_else() -> None:
    base, other = host("x\n" * 7), host("x\nx\nnew 3 float\nx\nx\nnew 4 float\nx")
    alignment = align(base, other)
    kept = [0, 1, 3, 4, 6]
    assert alignment.base[kept].tolist() == alignment.other[kept].tolist()
    assert not alignment.common[alignment.base[[2, 5]]].any()


def test_lanes_are_told_by_what_they_hold_not_by_their_numbers() -> None:
    base = build("""
        rank 0 | thread 1 | forward   0..10
        rank 0 | thread 2 | backward 20..30
        rank 0 | thread 2 | update   30..40
    """)
    other = build("""
        rank 0 | thread 7 | backward 20..30
        rank 0 | thread 7 | update   30..40
        rank 0 | thread 9 | forward   0..10
        rank 0 | thread 9 | log      12..13
    """)
    assert sorted(aligned(base, other)) == ["+log", "backward", "forward", "update"]


def test_communication_is_found_on_whichever_thread_it_runs() -> None:
    text = """
        rank 0 | thread 1 | send_a      0..10  -SPAWN-> g1
        rank 0 | thread {} | g1: gloo:all_reduce 8KB 5..30
        rank 0 | thread 1 | send_b     40..50  -SPAWN-> g2
        rank 0 | thread {} | g2: gloo:all_reduce 4KB 45..70
    """
    base, other = build(text.format(2, 3)), build(text.format(3, 3))
    assert aligned(base, other) == ["send_a", "gloo:all_reduce", "send_b", "gloo:all_reduce"]


def test_device_operators_are_aligned_by_what_launched_them() -> None:
    base = build("""
        rank 0 | thread 1 | aten::cudnn_convolution   0..30
        rank 0 | thread 1 | cudaLaunchKernel         5..10  -> k
        rank 0 | thread 1 | aten::relu              40..60
        rank 0 | thread 1 | launch2: cudaLaunchKernel 45..50  -> r
        rank 0 | stream 7 | k: sm90_xmma_fprop      20..50
        rank 0 | stream 7 | r: vectorized<4>         60..70
    """)
    other = build("""
        rank 0 | thread 1 | aten::miopen_convolution  0..30
        rank 0 | thread 1 | hipExtModuleLaunchKernel 5..8  -> h
        rank 0 | thread 1 | l1: hipLaunchKernel       9..12  -> k
        rank 0 | thread 1 | aten::relu              40..60
        rank 0 | thread 1 | l2: hipLaunchKernel      45..50  -> r
        rank 0 | stream 0 | h: batched_transpose     10..15
        rank 0 | stream 0 | k: miopenSp3AsmConv      20..50
        rank 0 | stream 0 | r: vectorized<8>          60..70
    """)
    alignment = align(base, other)
    told = pairs(base, other, alignment)
    assert "aten::cudnn_convolution=aten::miopen_convolution" in told
    assert "sm90_xmma_fprop=miopenSp3AsmConv" in told
    assert "vectorized<4>=vectorized<8>" in told
    assert "+batched_transpose" in told
    assert alignment.base_time.device_share == 1.0
    assert alignment.other_time.device_share == pytest.approx(40 / 45)


def test_devices_without_a_host_are_aligned_by_their_streams() -> None:
    base = build("rank 0 | stream 7 | gemm 0..10\nrank 0 | stream 7 | relu<4> 10..20\nrank 0 | stream 9 | copy 5..9")
    other = build("rank 0 | stream 0 | gemm 0..10\nrank 0 | stream 0 | relu<8> 10..20\nrank 0 | stream 1 | copy 5..9")
    assert sorted(aligned(base, other)) == ["copy", "gemm", "relu<4>=relu<8>"]


STEPS = """
    rank {0} | thread 1 | iteration ProfilerStep#{1} {2}00..{2}99
    rank {0} | thread 1 | forward  {2}10..{2}40
    rank {0} | thread 1 | backward {2}50..{2}80
"""


def steps(ranks: int, numbers: list[int]) -> Trace:
    return build("".join(STEPS.format(rank, n, n) for rank in range(ranks) for n in numbers))


def test_all_steps_and_ranks_that_do_the_same_share_positions() -> None:
    base, other = steps(2, [3, 4, 5]), steps(3, [7, 8])
    alignment = align(base, other)
    assert alignment.positions == 2
    assert alignment.ranks == ((0, 0), (0, 2), (1, 1))
    assert np.bincount(alignment.base).tolist() == [6, 6]
    assert np.bincount(alignment.other).tolist() == [6, 6]


def test_steps_of_one_trace_against_others_of_it() -> None:
    trace = steps(1, [3, 4, 5, 6])
    alignment = align(trace, trace, base_iterations=[0, 2], other_iterations=[1, 3])
    assert alignment.base.tolist() == [0, 1, -1, -1, 0, 1, -1, -1]
    assert alignment.other.tolist() == [-1, -1, 0, 1, -1, -1, 0, 1]
    assert alignment.iterations == ((0, 1), (2, 3))


def test_the_stage_of_a_pipeline_has_no_counterpart_among_ranks_that_do_all() -> None:
    layers = "\n".join(f"rank 0 | thread 1 | layer{k} {k}0..{k}9" for k in range(1, 9))
    stages = "\n".join(
        f"rank {rank} | thread 1 | {name} {k}0..{k}9"
        for rank, names in enumerate((["layer1", "layer2", "send_x"], ["recv_x", "layer7", "layer8", "loss"]))
        for k, name in enumerate(names, 1)
    )
    base, other = build(layers), build(stages)
    alignment = align(base, other)
    assert (alignment.ranks, alignment.alone) == ((), ((0,), (0, 1)))
    assert not alignment.common.any()
    assert {row.reason for row in unaligned(base, other, alignment)} == {"no counterpart of its rank"}
    assert alignment.warnings == (
        "rank 0 of the base trace has no counterpart", "ranks 0, 1 of the other trace have no counterpart",
    )  # fmt: skip


def test_stages_of_two_pipelines_are_paired_by_what_they_do() -> None:
    one = [["embed", "layer1", "layer2", "send_x"], ["recv_x", "layer7", "layer8", "loss"]]

    def pipeline(stages: list[list[str]]) -> Trace:
        return build(
            "\n".join(
                f"rank {rank} | thread 1 | {name} {k}0..{k}9"
                for rank, names in enumerate(stages)
                for k, name in enumerate(names, 1)
            )
        )

    assert align(pipeline(one), pipeline(one[::-1])).ranks == ((0, 1), (1, 0))


def test_nodes_without_times_are_aligned_too() -> None:
    trace = host(LAYER)
    null = trace.operators.table.column("start_ns").null
    operators = trace.operators.replace({"start_ns": np.full(len(trace), null)})
    bare = replace(trace, operators=operators)
    assert aligned(bare, trace) == aligned(trace, trace)


def test_what_is_left_is_told_with_its_time_and_a_reason() -> None:
    base = build("""
        rank 0 | thread 1 | step   0..100
        rank 0 | thread 1 | gone  10..30
        rank 0 | thread 1 | below 15..20
    """)
    other = build("""
        rank 0 | thread 1 | step   0..100
        rank 0 | thread 1 | first  10..12
        rank 0 | thread 1 | second 12..20
    """)
    rows = unaligned(base, other, align(base, other))
    assert [(r.side, r.name, r.reason, r.count, r.ns) for r in rows] == [
        ("base", "gone", "no operator of that name on the other side", 1, 15),
        ("other", "second", "no operator of that name on the other side", 1, 8),
        ("base", "below", "inside an operator that is not aligned", 1, 5),
        ("other", "first", "no operator of that name on the other side", 1, 2),
    ]


def test_ranks_and_steps_that_are_not_there_are_refused() -> None:
    trace = steps(1, [3])
    with pytest.raises(MissingData, match="no rank 4"):
        align(trace, trace, other_ranks=4)
    with pytest.raises(MissingData, match="no iteration 9"):
        align(trace, trace, base_iterations=9)
    with pytest.raises(UsageError):
        align(trace, trace, base_iterations=[])


def test_programs_that_have_nothing_in_common_are_aligned_in_bounded_time() -> None:
    names = count()
    base, other = ("\n".join(f"op{next(names)} {1 + k % 5} float" for k in range(3000)) for _ in range(2))
    backwards = "\n".join(reversed(base.splitlines()))
    assert align(host(base), host(other)).common.mean() <= 1
    assert align(host(base), host(backwards)).common.all()


NAMES = st.sampled_from("abc")
FORESTS = st.lists(st.tuples(NAMES, st.integers(0, 2)), min_size=1, max_size=14)


def indented(forest: list[tuple[str, int]]) -> Trace:
    """Operators in order, each as deep as asked, but no deeper than one below the one before."""
    lines, depth = [], -1
    for name, wanted in forest:
        depth = min(wanted, depth + 1)
        lines.append(f"{'  ' * depth}{name} 4 float")
    return host("\n".join(lines))


def paths(trace: Trace) -> list[tuple[str, ...]]:
    o = trace.operators
    found = []
    for row in range(len(o)):
        path, at = [], row
        while at >= 0:
            path.append(str(o.value("name", at)))
            at = int(o["parent"][at])
        found.append(tuple(path))
    return found


def longest(a: list[tuple[str, ...]], b: list[tuple[str, ...]]) -> int:
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            best[i + 1][j + 1] = best[i][j] + 1 if x == y else max(best[i][j + 1], best[i + 1][j])
    return best[-1][-1]


@settings(max_examples=150)
@given(FORESTS, FORESTS)
def test_as_many_are_identical_in_order_as_a_dynamic_program_finds(
    one: list[tuple[str, int]], two: list[tuple[str, int]]
) -> None:
    base, other = indented(one), indented(two)
    alignment = align(base, other)
    identical = alignment.common & (alignment.match == Match.IDENTICAL)
    assert identical.sum() == longest(paths(base), paths(other))
    check(base, other, alignment)


@settings(max_examples=100)
@given(FORESTS, FORESTS)
def test_the_alignment_of_swapped_traces_is_its_mirror(one: list[tuple[str, int]], two: list[tuple[str, int]]) -> None:
    base, other = indented(one), indented(two)
    there, back = align(base, other), align(other, base)
    assert (there.base.tolist(), there.other.tolist()) == (back.other.tolist(), back.base.tolist())
    assert there.match.tolist() == back.match.tolist()


def check(base: Trace, other: Trace, alignment: Alignment) -> None:
    """Every operator has a position, no two of one rank's step the same, and every position an operator."""
    for trace, at in ((base, alignment.base), (other, alignment.other)):
        assert (at >= 0).all()
        assert len(set(at.tolist())) == len(trace)
    assert set(alignment.base.tolist()) | set(alignment.other.tolist()) == set(range(alignment.positions))
    assert len(alignment.match) == alignment.positions


def test_equal_trees_have_equal_numbers_and_others_have_not() -> None:
    trace = host("a\n  b\n    c\na\n  b\n    c\na\n  b\n  c\na\n  c\n    b")
    nodes, _ = programs((trace, trace), (None, None), (None, None))
    first = nodes.tree[: len(trace)][np.flatnonzero(trace.operators["parent"] < 0)]
    assert first[0] == first[1]
    assert len(set(first.tolist())) == 3
