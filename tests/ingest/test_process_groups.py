"""Process groups as files declare them."""

from __future__ import annotations

from typing import Any

import pytest

from etgraph.ingest.communication.groups import declared_groups, listed_ranks, literal, strided_ranks
from etgraph.ingest.communication.names import kernel_algorithm

ENTRY = {"pg_name": "7", "pg_desc": "tp", "backend_config": "cuda:nccl", "pg_size": 2, "ranks": [0, 2]}


@pytest.mark.parametrize("ranks", [[0, 2], "[0, 2]", (0, 2), {0: 0, 2: 1}])
@pytest.mark.parametrize("as_text", [True, False])
def test_every_form_of_a_declaration(ranks: Any, as_text: bool) -> None:
    config = [{**ENTRY, "ranks": ranks}]
    assert declared_groups(repr(config) if as_text else config) == [("7", "tp", "cuda:nccl", 2, [0, 2])]


def test_no_ranks_mean_all_in_the_default_group_only() -> None:
    found = declared_groups([{"pg_name": "0", "pg_size": 3, "ranks": []}, {"pg_name": "1", "pg_size": 3, "ranks": []}])
    assert [group[4] for group in found] == [[0, 1, 2], []]


@pytest.mark.parametrize("ranks", [[0, 0], [0, "1"], [0, -1], [0, True], [0, 2**31], 5, None, "[0, "])
def test_ranks_that_cannot_be_are_not_known(ranks: Any) -> None:
    assert declared_groups([{**ENTRY, "ranks": ranks}])[0][4] == []


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getpid()",
        "[" * 10_000,
        "-" * 100_000 + "1",
        "0x1for x in",
        "'\\d'" * 3 + "+",
        "\x00",
        "a" * 10,
    ],
    ids=["call", "nesting", "signs", "warning", "escape", "null", "name"],
)
def test_texts_that_are_no_literals(text: str) -> None:
    assert literal(text) is None
    assert declared_groups(text) == []


def test_a_text_too_long_is_not_read() -> None:
    assert literal("[" + "0," * (1 << 22) + "]") is None


@pytest.mark.parametrize(
    ("text", "size", "start", "stride", "ranks"),
    [
        (b'"[0, 2, 4]"', 3, -1, 0, [0, 2, 4]),
        (b'"[0, 1, ..., 7]"', 8, -1, 0, list(range(8))),  # no other eight ranks lie between them
        (b'"[8, 9, ..., 15]"', 8, -1, 0, list(range(8, 16))),
        (b'"[0, 2, ..., 14]"', 8, 0, 2, list(range(0, 16, 2))),
        (b'"[0, 2, ..., 14]"', 8, -1, 0, []),  # eight of fifteen, but which?
        (b'"[0, 1, ..., 63]"', 8, -1, 0, []),
        (b'"[0, 2, ..., 15]"', 8, 0, 2, []),  # the first and the stride contradict the text
        (b'"[]"', 4, 4, 1, [4, 5, 6, 7]),
        (b"", 4, 0, 2, [0, 2, 4, 6]),
        (b"", -1, -1, 0, []),
        (b'"[1, 1]"', 2, -1, 0, []),
        (b'"[0, 1, ..., 1048577]"', 1048578, -1, 0, []),
        (b'"[0, \xff]"', 1, -1, 0, [0]),
    ],
)
def test_ranks_of_arguments(text: bytes, size: int, start: int, stride: int, ranks: list[int]) -> None:
    assert listed_ranks(text, size, start, stride) == ranks


def test_ranks_counted_out() -> None:
    assert strided_ranks(1, 3, 3) == [1, 4, 7]
    assert strided_ranks(0, 0, 3) == strided_ranks(0, 1, 1 << 21) == strided_ranks(-1, 1, 2) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ncclDevKernel_AllReduce_Sum_bf16_TREE_LL128(ncclDevKernelArgsStorage<4096ul>)", ("TREE", "LL128")),
        ("ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)", ("RING", "LL")),
        ("ncclDevKernel_AllGather_RING_SIMPLE", ("RING", "SIMPLE")),
        ("ncclDevKernel_AllReduce_Sum_f32_NVLS_TREE_SIMPLE(x)", ("NVLS_TREE", "SIMPLE")),
        ("ncclDevKernel_AllReduce_Sum_f32_COLLNET_DIRECT_SIMPLE(x)", ("COLLNET_DIRECT", "SIMPLE")),
        ("ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(x)", None),  # what sends and receives are built as says nothing
        ("ncclDevKernel_Generic_4(x)", None),
        ("void reduce_RING_LL_kernel", None),
    ],
)
def test_algorithm_and_protocol_of_kernels(name: str, found: tuple[str, str] | None) -> None:
    assert kernel_algorithm(name) == found
