"""Whose work it is, what calls complete each other, and what stays as it was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.work import estimate
from etgraph.ingest.work.families import FAMILIES, NUMBER, WRAPPERS
from etgraph.ingest.work.nodes import pair_nodes
from etgraph.ingest.work.ownership import owned
from etgraph.ingest.work.relatives import pair_lookups
from support.shaped import shaped


def works(draft: Draft) -> list[tuple[Any, Any, Any]]:
    o = estimate(draft).trace.operators
    return [(o.value("name", r), o.value("flops", r), o.value("bytes", r)) for r in range(len(o))]


def test_the_innermost_operator_of_known_semantics_has_the_work() -> None:
    assert works(shaped("""
        aten::matmul    2x4x8 float | 8x16 float
          aten::reshape 2x4x8 float | [8, 8]
          aten::mm      8x8 float | 8x16 float
          aten::_unsafe_view 8x16 float | [2, 4, 16]
    """)) == [
        ("aten::matmul", 0, 0),
        ("aten::reshape", 0, 0),
        ("aten::mm", 2048, 4 * (64 + 128 + 128)),
        ("aten::_unsafe_view", 0, 0),
    ]  # fmt: skip


def test_without_recorded_insides_the_outer_operator_has_it() -> None:
    assert works(shaped("aten::matmul 2x4x8 float | 8x16 float")) == [("aten::matmul", 2048, 4 * (64 + 128 + 128))]


def test_at_any_depth_and_past_operators_nobody_knows() -> None:
    flops = [f for _, f, _ in works(shaped("""
        aten::linear      4x8 float | 16x8 float
          my::dispatch    4x8 float
            other::layer  4x8 float
              aten::mm    4x8 float | 8x16 float
    """))]  # fmt: skip
    assert flops == [0, None, None, 1024]


def test_helpers_of_another_kind_take_nothing_away() -> None:
    """False friend: a known operator inside another one that still runs a kernel of its own."""
    assert works(shaped("""
        aten::addmm       16 float | 4x8 float | 8x16 float | 1 | 1
          aten::copy_     4x16 float | 16 float
    """)) == [("aten::addmm", 1024, 960), ("aten::copy_", 0, 320)]  # fmt: skip


def test_helpers_that_look_indices_up_do_not_take_a_bag_s_work_away() -> None:
    found = works(shaped("""
        aten::_embedding_bag_dense_backward 4x8 float | 6 long | 6 long | 4 long | 4 long | 10 | false | 0 | -
          aten::index_select                6 long | 0 | 6 long
        aten::embedding                     10x8 float | 6 long
          aten::index_select                10x8 float | 0 | 6 long
    """))  # fmt: skip
    assert [size for _, _, size in found] == [4 * 32 + 48 + 320, 3 * 48, 0, 2 * 192 + 48]


def test_an_unknown_inside_takes_nothing_away() -> None:
    assert works(shaped("""
        aten::conv1d      1x2x5 float | 4x2x3 float | - | [1] | [0] | [1] | 1
          my::convolution 1x2x5 float | 4x2x3 float
    """))[0] == ("aten::conv1d", 144, 4 * (10 + 24 + 12))  # fmt: skip


def test_wrappers_have_none_of_their_own_but_only_around_something() -> None:
    assert works(shaped("""
        MmBackward0       4x16 float
          aten::mm        4x16 float | 16x8 float
        MmBackward0       4x16 float
        UserBackward      4x16 float
          aten::mm        4x16 float | 16x8 float
        aten::_to_copy    4 long | 6
          aten::copy_     4 float | 4 long | false
    """)) == [
        ("MmBackward0", 0, 0),
        ("aten::mm", 1024, 4 * (64 + 128 + 32)),
        ("MmBackward0", None, None),
        ("UserBackward", None, None),
        ("aten::mm", 1024, 4 * (64 + 128 + 32)),
        ("aten::_to_copy", 0, 0),
        ("aten::copy_", 0, 48),
    ]  # fmt: skip


def test_a_sum_over_all_operators_counts_nothing_twice() -> None:
    """A whole layer forward and backward has the flops of its three products."""
    found = works(shaped("""
        aten::linear            4x8 float | 16x8 float | 16 float
          aten::t               16x8 float
            aten::transpose     16x8 float | 0 | 1
          aten::addmm           16 float | 4x8 float | 8x16 float | 1 | 1
        autograd::engine::evaluate_function:
          AddmmBackward0        4x16 float
            aten::mm            4x16 float | 16x8 float
            aten::mm            16x4 float | 4x8 float
            aten::sum           4x16 float | [0] | true | -
              aten::fill_       16 float | 0
    """))  # fmt: skip
    assert sum(f or 0 for _, f, _ in found) == 3 * 1024 + 64


def test_a_list_treated_tensor_by_tensor_leaves_it_to_the_tensors() -> None:
    assert [f for _, f, _ in works(shaped("""
        aten::_foreach_add_ {4 float; 6 float} | {4 float; 6 float} | -1
          aten::add_        4 float | 4 float | -1
          aten::add_        6 float | 6 float | -1
    """))] == [0, 4, 6]  # fmt: skip


def test_device_operators_inherit_nothing_and_recorded_numbers_stay() -> None:
    draft = shaped("""
        aten::mm 4x8 float | 8x16 float
          > gemm 40
        aten::mm 4x8 float | 8x16 float
    """)
    draft = draft.with_operators({"flops": np.array([NULL, NULL, 5])})
    o = estimate(draft).trace.operators
    assert o["flops"].tolist() == [1024, NULL, 5]
    assert o["bytes"].tolist() == [896, NULL, 896]


def test_a_trace_without_dims_is_left_alone() -> None:
    draft = shaped("my::kernel 4 float")
    assert estimate(draft) is draft


# What one operator lacks and another has

CONVOLUTION = "aten::cudnn_convolution 2x3x9x9 float | 4x3x3x3 float | [0, 0] | [2, 2] | [1, 1] | 1 | false | true"
BACKWARD = "aten::cudnn_convolution_backward 2x3x9x9 float | 2x4x{n}x{n} float | 4x3x3x3 float"


def test_an_old_convolution_has_the_output_of_its_backward_operators() -> None:
    draft = shaped(f"{CONVOLUTION}\n{BACKWARD.format(n=4)}", values=False)
    assert works(draft)[0][1:] == (2 * 2 * 16 * 108, 4 * (486 + 108 + 128))


def test_not_where_two_of_them_disagree_and_not_where_there_is_none() -> None:
    both = "\n".join(BACKWARD.format(n=n) for n in (4, 5))
    assert works(shaped(f"{CONVOLUTION}\n{both}", values=False))[0][1:] == (None, None)
    assert works(shaped(CONVOLUTION, values=False))[0][1:] == (None, None)


def test_the_halves_of_a_backward_convolution_are_completed_by_the_one_around_them() -> None:
    found = works(shaped(f"""
        {BACKWARD.format(n=4)}
          aten::cudnn_convolution_backward_input  -  | 2x4x4x4 float | 4x3x3x3 float
          aten::cudnn_convolution_backward_weight -  | 2x4x4x4 float | 2x3x9x9 float
        aten::cudnn_convolution_backward_weight   -  | 2x4x4x4 float | 2x3x9x9 float
    """, values=False))  # fmt: skip
    each = 2 * 2 * 16 * 108
    assert [f for _, f, _ in found] == [None, each, each, None]
    assert found[1][2] == 4 * (128 + 108 + 486)


def test_a_batch_norm_learned_where_the_trace_has_its_backward_operator() -> None:
    norm = "aten::cudnn_batch_norm 2x3x4 float | 3 float | 3 float | 3 float | 3 float | true"
    back = "aten::cudnn_batch_norm_backward 2x3x4 float | 2x3x4 float | 3 float"
    assert works(shaped(f"{norm}\n{back}", values=False))[0][1:] == works(shaped(norm))[0][1:]
    assert works(shaped(norm, values=False))[0][1:] == (None, None)


UPDATE = "torch::autograd::CppNode<SplitLookupFunction_rowwise_adagrad_Op> {}x{} float"


def lookup(tables: int, batch: int, lookups: int, elements: int, width: str = "7") -> str:
    return (
        "fbgemm::split_embedding_codegen_lookup_rowwise_adagrad_function 0 float"
        f" | {elements} float | 0 float | 0x0 float | {tables} int | {tables} int | {tables + 1} int | {width} | 8"
        f" | {tables + 1} long | 9 | {lookups} long | {tables * batch + 1} long | 0"
    )


def test_batched_lookups_and_their_updates_complete_each_other_backwards() -> None:
    """The last lookup's update comes first; the width of the tables is in the gradient alone."""
    found = works(shaped(f"""
        {lookup(1, 5, 20, 4000)}
        {lookup(2, 5, 30, 4000)}
        {UPDATE.format(5, 16)}
        {UPDATE.format(5, 32)}
    """, values=False))  # fmt: skip
    assert [f for _, f, _ in found] == [20 * 32, 30 * 8, 30 * 8 * (1 + 4), 20 * 32 * (1 + 4)]
    rows, other, state = 4 * 30 * 8, 8 * 30 + 8 * 11, 4 * 30
    assert found[1][2] == rows + other + 4 * 5 * 16
    assert found[2][2] == 4 * 5 * 16 + other + 2 * rows + 2 * state


def test_the_report_says_how_many_lookups_are_at_a_mean_width() -> None:
    text = f"{lookup(1, 5, 20, 4000)}\n{lookup(2, 5, 30, 4000)}\n{UPDATE.format(5, 16)}\n{UPDATE.format(5, 32)}"
    counts = estimate(shaped(text, values=False)).trace.metadata.report.counts
    assert counts["batchedLookupsAtMeanWidth"] == 2
    assert counts["operatorsOfKnownWork"] == 4


def test_more_lookups_than_the_tables_hold_touch_all_of_them_once() -> None:
    found = works(shaped(f"{lookup(1, 5, 1000, 40, '8')}"))
    assert found[0][1:] == (8000, 4 * 40 + 8 * 1000 + 8 * 6 + 4 * 40)


def test_an_update_of_another_batch_is_not_taken_for_theirs() -> None:
    text = f"{lookup(2, 5, 30, 4000)}\n{UPDATE.format(6, 16)}"
    assert [f for _, f, _ in works(shaped(text, values=False))] == [None, None]


def test_lookups_without_update_stay_single() -> None:
    forward, backward = "fbgemm::split_embedding_codegen_lookup_sgd_function", "SplitLookupFunction_sgd_Op"
    calls = [forward, forward, f"torch::autograd::CppNode<{backward}>", forward]
    assert pair_lookups(enumerate(calls)) == {1: 2, 2: 1}
    assert pair_lookups(enumerate(calls[2:3])) == {}


def test_a_joined_list_has_the_size_of_its_gradient() -> None:
    """Older traces record no dims of a list; the node of the same sequence number has those of the result."""
    draft = shaped("aten::cat - | 0\naten::cat - | 0\nCatBackward0 6x4 float\n", values=False)
    numbered = replace(draft, ids={"sequence": np.array([7, 8, 8])})
    assert works(numbered)[:2] == [("aten::cat", None, None), ("aten::cat", 0, 2 * 96)]
    assert works(draft)[1] == ("aten::cat", None, None)


def test_nodes_belong_to_operators_of_their_name_and_number_where_there_is_one() -> None:
    operators = [(0, "aten::cat", 5), (1, "aten::cat", 6), (2, "aten::cat", 6), (3, "aten::index", 7)]
    nodes = [(9, "IndexBackward0", 7), (10, "CatBackward0", 6), (11, "CatBackward0", 5), (12, "CatBackward", 9)]
    assert pair_nodes(operators, nodes) == {0: 11, 3: 9}
    assert pair_nodes(operators, [*nodes, (13, "CatBackward0", 5)]) == {3: 9}


# The rule itself, beside a recursive one


@st.composite
def forests(draw: st.DrawFn) -> tuple[list[int], list[int], list[int | None]]:
    count = draw(st.integers(1, 14))
    parent = [draw(st.integers(-1, at - 1)) for at in range(count)]
    family = draw(st.lists(st.integers(-1, len(FAMILIES) - 1), min_size=count, max_size=count))
    flops = [draw(st.sampled_from([None, 0, 3, 8])) if f >= 0 else None for f in family]
    return parent, family, flops


def slowly(parent: list[int], family: list[int], flops: list[int | None]) -> list[int | None]:
    def inside(row: int) -> list[int]:
        children = [c for c, p in enumerate(parent) if p == row]
        return children + [x for c in children for x in inside(c)]

    result = list(flops)
    for row, own in enumerate(flops):
        busy = {FAMILIES[family[x]].name for x in inside(row) if (flops[x] or 0) > 0}
        if family[row] == WRAPPERS and not inside(row):
            result[row] = None
        elif (own or 0) > 0 and busy & FAMILIES[family[row]].yields_to:
            result[row] = 0
    return result


@given(forests(), st.randoms())
def test_ownership_is_what_a_recursion_finds_in_any_order_of_rows(
    forest: tuple[list[int], list[int], list[int | None]], random: Any
) -> None:
    parent, family, flops = forest
    order = list(range(len(parent)))
    random.shuffle(order)
    place = {row: at for at, row in enumerate(order)}
    moved = np.array([-1 if parent[row] < 0 else place[parent[row]] for row in order])
    found = np.array([NULL if flops[row] is None else flops[row] for row in order])
    size = np.full(len(order), NULL)
    owned(moved, np.array([family[row] for row in order], dtype=np.int8), found, size)
    assert [None if v == NULL else int(v) for v in found] == [slowly(parent, family, flops)[row] for row in order]


def test_a_deep_nest_takes_no_longer_than_a_wide_one() -> None:
    """Each operator is visited once for each family inside it, however deep the nest is."""
    count = 20_000
    family = np.full(count, NUMBER["matmul"], dtype=np.int8)
    for inner in (count - 1, 0):  # the work of all, or of the innermost and the outermost
        flops, size = np.full(count, 1), np.full(count, NULL)
        flops[1 : inner or 1] = NULL
        owned(np.arange(-1, count - 1), family, flops, size)
        assert flops[0] == 0
        assert flops[-1] == 1


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_family_yields_to_itself_if_it_has_work(family: Any) -> None:
    assert family.name in family.yields_to or family.name in ("views", "wrappers", "generated kernels")
