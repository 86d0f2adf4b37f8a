"""Findings: small traces of which each holds one cause, with the gain that mending it has exactly."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.model.results import to_json
from etgraph.queries import Finding, Findings, findings
from etgraph.queries.findings.finding import Finding as Declared
from etgraph.queries.findings.kinds import KINDS
from etgraph.sim.profiles import load
from support.build import build
from support.findings import candidates, plain_gain

BARRIER = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a             0..40
    rank 0 | thread 1 | gloo:barrier 40..70
    rank 0 | thread 1 | b            70..100
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | c             0..60
    rank 1 | thread 1 | gloo:barrier 60..70
    rank 1 | thread 1 | d            70..90
    rank 1 | thread 1 | e            90..100
"""
EXTRA = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a                0..20
    rank 0 | thread 1 | gloo:all_reduce 20..80
    rank 0 | thread 1 | b               80..100
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | aten::linear     0..30
    rank 1 | thread 1 | a               30..70
    rank 1 | thread 1 | gloo:all_reduce 70..80
    rank 1 | thread 1 | b               80..100
"""
ENTRY = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a                0..20
    rank 0 | thread 1 | gloo:all_reduce 20..60
    rank 0 | thread 1 | b               60..100
    rank 1 | thread 1 | iteration ProfilerStep#0  30..100
    rank 1 | thread 1 | a               30..50
    rank 1 | thread 1 | gloo:all_reduce 50..60
    rank 1 | thread 1 | b               60..100
"""
SLOWER = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a                0..30
    rank 0 | thread 1 | gloo:all_reduce 30..90
    rank 0 | thread 1 | b               90..100
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | a                0..70
    rank 1 | thread 1 | gloo:all_reduce 70..90
    rank 1 | thread 1 | b               90..100
"""
BALANCE = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..120
    rank 0 | thread 1 | a                0..20
    rank 0 | thread 1 | gloo:all_reduce 20..70
    rank 0 | thread 1 | b               70..80
    rank 0 | thread 1 | gloo:all_gather 80..120
    rank 1 | thread 1 | iteration ProfilerStep#0  0..120
    rank 1 | thread 1 | a                0..60
    rank 1 | thread 1 | gloo:all_reduce 60..70
    rank 1 | thread 1 | b               70..80
    rank 1 | thread 1 | gloo:all_gather 80..120
    rank 2 | thread 1 | iteration ProfilerStep#0  0..120
    rank 2 | thread 1 | a                0..20
    rank 2 | thread 1 | gloo:all_reduce 20..70
    rank 2 | thread 1 | b               70..110
    rank 2 | thread 1 | gloo:all_gather 110..120
"""
LOADER = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__  0..40
    rank 0 | thread 1 | aten::stack  10..30
    rank 0 | thread 1 | aten::mm     40..100
"""
EXPOSED = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a                0..20
    rank 0 | thread 1 | gloo:all_reduce 20..70
    rank 0 | thread 1 | b               70..100
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | a                0..20
    rank 1 | thread 1 | gloo:all_reduce 20..70
    rank 1 | thread 1 | b               70..100
"""
BLOCKING = """
    rank 0 | thread 1 | iteration ProfilerStep#0   0..200000
    rank 0 | thread 1 | aten::add         0..10000
    rank 0 | thread 1 | cudaLaunchKernel  1000..9000        -> k1
    rank 0 | thread 1 | aten::item        10000..101000
    rank 0 | thread 1 | sync: cudaStreamSynchronize 11000..100000
    rank 0 | thread 1 | aten::mul         120000..130000
    rank 0 | thread 1 | again: cudaLaunchKernel  121000..129000  -> k2
    rank 0 | thread 1 | host              130000..200000
    rank 0 | stream 7 | k1: gemm          10000..95000      -SYNC-> sync
    rank 0 | stream 7 | k2: gemm          130000..190000
"""
COPY = """
    rank 0 | thread 1 | iteration ProfilerStep#0   0..200000
    rank 0 | thread 1 | cudaLaunchKernel  0..9000           -> k1
    rank 0 | thread 1 | call: cudaMemcpyAsync 10000..106000 -> c
    rank 0 | thread 1 | again: cudaLaunchKernel  121000..129000  -> k2
    rank 0 | thread 1 | host              130000..200000
    rank 0 | stream 7 | k1: gemm          10000..95000
    rank 0 | stream 7 | c: MemcpyDtoH     95000..100000     -SYNC-> call
    rank 0 | stream 7 | k2: gemm          130000..190000
"""


KERNELS = """
    rank 0 | thread 1 | iteration ProfilerStep#0   0..60000
    rank 0 | thread 1 | l1: cudaLaunchKernel   0..6000       -> k1
    rank 0 | thread 1 | l2: cudaLaunchKernel   6000..12000   -> k2
    rank 0 | thread 1 | l3: cudaLaunchKernel   12000..18000  -> k3
    rank 0 | thread 1 | sync: cudaStreamSynchronize 18000..60000
    rank 0 | stream 7 | k1: vectorized_elementwise_kernel 8000..11000
    rank 0 | stream 7 | k2: vectorized_elementwise_kernel 14000..17000
    rank 0 | stream 7 | k3: vectorized_elementwise_kernel 20000..55000
    rank 0 | stream 7 | k4: vectorized_elementwise_kernel 55000..58000  -SYNC-> sync
"""
QUEUE = """
    rank 0 | thread 1 | iteration ProfilerStep#0   0..100000
    rank 0 | thread 1 | l1: cudaLaunchKernel  0..1000       -> a1
    rank 0 | thread 1 | l2: cudaLaunchKernel  1000..2000    -> a2
    rank 0 | thread 1 | l3: cudaLaunchKernel  2000..3000    -> a3
    rank 0 | thread 1 | l4: cudaLaunchKernel  3000..4000    -> a4
    rank 0 | thread 1 | sync: cudaStreamSynchronize 4000..100000
    rank 0 | stream 7 | a1: ncclAllReduce 1KB   10000..30000
    rank 0 | stream 7 | a2: ncclAllReduce 2KB   30000..51000
    rank 0 | stream 7 | a3: ncclAllReduce 1KB   51000..71000
    rank 0 | stream 7 | a4: ncclAllReduce 2KB   71000..92000   -SYNC-> sync
    rank 1 | thread 1 | iteration ProfilerStep#0   0..100000
    rank 1 | thread 1 | m1: cudaLaunchKernel  0..1000       -> b1
    rank 1 | thread 1 | m2: cudaLaunchKernel  1000..2000    -> b2
    rank 1 | thread 1 | m3: cudaLaunchKernel  2000..3000    -> b3
    rank 1 | thread 1 | m4: cudaLaunchKernel  3000..4000    -> b4
    rank 1 | thread 1 | wait: cudaStreamSynchronize 4000..100000
    rank 1 | stream 7 | b1: ncclAllReduce 1KB   10000..30000
    rank 1 | stream 7 | b2: ncclAllReduce 2KB   30000..51000
    rank 1 | stream 7 | b3: ncclAllReduce 1KB   51000..71000
    rank 1 | stream 7 | b4: ncclAllReduce 2KB   71000..92000   -SYNC-> wait
"""
PRODUCT = """
    rank 0 | thread 1 | iteration ProfilerStep#0   0..1000000
    rank 0 | thread 1 | aten::mm              0..10000
    rank 0 | thread 1 | cudaLaunchKernel      1000..9000      -> gemm
    rank 0 | thread 1 | sync: cudaStreamSynchronize 10000..1000000
    rank 0 | stream 7 | gemm                  20000..990000   -SYNC-> sync
"""
GATHER = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | aten::relu          0..20
    rank 0 | thread 1 | aten::zeros        20..30
    rank 0 | thread 1 | gloo:all_gather    30..60
    rank 0 | thread 1 | aten::add_         60..100
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | aten::relu          0..20
    rank 1 | thread 1 | aten::zeros        20..30
    rank 1 | thread 1 | gloo:all_gather    30..60
    rank 1 | thread 1 | aten::add_         60..100
"""
EXAMPLES = (
    BARRIER, EXTRA, ENTRY, SLOWER, BALANCE, LOADER, EXPOSED, BLOCKING, COPY, KERNELS, QUEUE, GATHER,
)  # fmt: skip


def mended(trace: Trace, kind: str, **question: object) -> Finding:
    """The only finding of that kind."""
    (one,) = (f for f in findings(trace, **question).findings if f.kind == kind)  # type: ignore[arg-type]
    return one


def test_without_a_barrier_ranks_go_on_as_they_come() -> None:
    one = mended(build(BARRIER), "synchronisation")
    assert one.gain_ns == 100 - 90  # rank 0 ends at 70, rank 1 at 60 + 20 + 10
    assert (one.ranks, one.iterations, one.operators) == ((0, 1), (0,), ("gloo:barrier",))
    assert one.evidence.startswith("1 barrier a step on each rank")


def test_extra_operators_of_the_late_rank_are_named() -> None:
    one = mended(build(EXTRA), "late-rank")
    assert one.gain_ns == 30
    assert (one.id, one.ranks, one.operators) == ("late-rank:rank 1", (1,), ("aten::linear",))


def test_a_rank_that_begins_late_could_have_begun_with_the_others() -> None:
    one = mended(build(ENTRY), "late-rank")
    assert (one.title, one.gain_ns, one.critical_ns) == ("rank 1 begins late", 30, 30)


def test_a_slower_rank_is_held_to_the_work_of_the_others() -> None:
    one = mended(build(SLOWER), "late-rank")
    factor = (30 + 10) / (70 + 10)
    assert one.gain_ns == 100 - round(max(70 * factor, 30) + 20 + 10)


def test_ranks_that_are_late_in_turn_are_out_of_balance() -> None:
    assert mended(build(BALANCE), "imbalance").gain_ns == 40 + 30


def test_time_in_the_input_pipeline_is_that_of_all_it_encloses() -> None:
    one = mended(build(LOADER), "input-starvation")
    assert (one.gain_ns, one.critical_ns) == (40, 40)


def test_transfer_that_nothing_runs_beside_is_exposed() -> None:
    assert mended(build(EXPOSED), "exposed-communication").gain_ns == 50


def test_a_call_that_waits_for_the_device_is_named_after_its_caller() -> None:
    one = mended(build(BLOCKING), "synchronisation")
    assert one.id == "synchronisation:aten::item/cudaStreamSynchronize"
    # The host would be done after 111 µs, but its device works 85 + 60 µs for the step.
    assert one.gain_ns == 200_000 - 145_000
    assert "item()" in one.advice


def test_a_copy_that_blocks_the_host() -> None:
    one = mended(build(COPY), "memory-copies")
    assert one.operators == ("cudaMemcpyAsync", "MemcpyDtoH")
    assert one.gain_ns == 200_000 - 145_000  # beside the copy, which has a stream of its own, the device works so long
    assert "the host waits in 100% of them" in one.evidence


def test_tiny_kernels_in_a_row_are_one() -> None:
    trace = build(KERNELS.replace("20000..55000", "20000..23000").replace("55000..58000", "24000..27000"))
    _, found = candidates(trace, "small-kernels")
    assert [one.evidence.split(",")[0] for _, one in found] == ["3 kernels a step below 10.0 µs"]
    # Not launched by itself, the fourth is no part of the run; with one of 35 µs in between there is none.
    assert candidates(build(KERNELS), "small-kernels")[1] == []
    # One launch, 2 µs, then what each does beyond 1.5 µs, and 1.5 µs once: the run ends then instead of at 23 µs.
    assert plain_gain(trace, found[0][1], slow=True) == 23_000 - (6_000 + 2_000 + 3 * 1_500 + 1_500)


def test_small_collectives_that_queue_up_are_sent_together() -> None:
    one = mended(build(QUEUE), "small-messages")
    # By the line through the four times, 19 µs and 1 µs a kilobyte, one of 6 KB takes 25 µs in place of 82 µs; it is
    # launched where the last one was, 3 µs after the first.
    assert one.gain_ns == 82_000 - 25_000 - 3_000


def test_products_far_below_the_peak_are_held_to_a_good_share_of_it() -> None:
    trace, profile = build(PRODUCT), load("h100-sxm")
    o = trace.operators
    mm = np.arange(len(trace)) == int(np.flatnonzero(o["name"] == o.code("name", "aten::mm"))[0])
    flops = int(profile.device.matrix_flops["bf16"] * 70e-6)  # 70 µs at the peak
    shapes = '{"dims":[[8,8],[8,8]],"types":["c10::BFloat16","c10::BFloat16"]}'
    columns = {"flops": np.where(mm, flops, o["flops"]), "bytes": np.where(mm, 1, o["bytes"]),
               "shapes": np.where(mm, 0, -1)}  # fmt: skip
    trace = replace(trace, operators=o.replace(columns, {"shapes": [shapes]}))
    one = mended(trace, "matrix-units", profile=profile)
    assert one.gain_ns == 970_000 - 100_000
    assert "7% of the roofline of h100-sxm" in one.evidence
    assert any(told.startswith("matrix-units") for told in findings(trace).left_out)


def shaped(trace: Trace, **dims: list[list[int]]) -> Trace:
    """With the shapes of inputs of operators of those names (without `aten::` or `gloo:`)."""
    o = trace.operators
    texts = [json.dumps({"dims": each, "types": ["float"] * len(each)}) for each in dims.values()]
    codes = np.full(len(trace), -1)
    for code, name in enumerate(dims):
        named = o.codes_where("name", lambda text, name=name: text.split(":")[-1] == name)  # type: ignore[misc]
        codes[named[o["name"]]] = code
    return replace(trace, operators=o.replace({"shapes": codes}, {"shapes": texts}))


def test_a_gather_into_new_memory_that_nobody_reads_in_the_step_is_redundant() -> None:
    trace = build(GATHER)
    unread = shaped(trace, relu=[[4, 4]], all_gather=[[4, 4]], add_=[[3, 3]])
    one = mended(unread, "redundant-collective")
    assert (one.gain_ns, one.operators) == (30, ("gloo:all_gather",))
    for read in ([[4, 4]], [[2, 4, 4]], [[8, 4]], [[32]]):  # one by one, stacked, joined, flat
        assert candidates(shaped(trace, all_gather=[[4, 4]], add_=read), "redundant-collective")[1] == []
    assert candidates(trace, "redundant-collective")[1] == []  # shapes are not recorded


def test_memory_that_was_there_before_may_be_read_in_the_next_step() -> None:
    trace = build(GATHER.replace("aten::zeros", "aten::exp  "))
    assert candidates(shaped(trace, all_gather=[[4, 4]], add_=[[3, 3]]), "redundant-collective")[1] == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_gains_are_those_of_the_edits_replayed_event_by_event(text: str) -> None:
    trace = build(text)
    answer = {one.id: one.gain_ns for one in findings(trace, threshold=0.0).findings}
    _, found = candidates(trace)
    best: dict[str, int] = {}
    for kind, one in found:
        key = f"{kind}:{one.about}" if one.about else kind
        best[key] = max(best.get(key, 0), plain_gain(trace, one, slow=True))
    assert found
    assert answer.items() <= best.items()


def test_nothing_below_the_threshold_is_found() -> None:
    trace = build(BARRIER)
    assert [one.kind for one in findings(trace, threshold=0.1).findings] == ["late-rank", "synchronisation"]
    assert [one.kind for one in findings(trace, threshold=0.11).findings] == ["late-rank"]
    none = findings(trace, threshold=0.5)
    assert (none.findings, none.least_gain_ns, none.bound) == ((), 50, "host")
    with pytest.raises(UsageError, match="expected a share"):
        findings(trace, threshold=1.0)


def test_a_rank_is_asked_about_alone() -> None:
    (one,) = findings(build(BARRIER), rank=1, threshold=0.0).findings
    assert (one.kind, one.gain_ns, one.ranks) == ("synchronisation", 10, (1,))  # it waits for nobody there


def test_an_answer_is_ranked_and_has_the_names_of_the_interface() -> None:
    answer = findings(build(BALANCE))
    gains = [one.gain_ns for one in answer.findings]
    assert gains == sorted(gains, reverse=True)
    assert answer.headline() == "3 findings, 0.000 ms a step, 83% host; first: the work of the ranks is out of balance"
    document = to_json(answer)
    fields = {"stepNs", "bound", "boundShare", "replayError", "leastGainNs", "findings", "leftOut", "trust"}
    assert set(document) >= fields
    named = {"id", "title", "gainNs", "gainShare", "ranks", "operators", "evidence", "advice", "kind", "criticalNs"}
    assert set(document["findings"][0]) >= named
    assert list(answer.to_pandas()["gain_ns"]) == gains


def test_every_kind_is_a_function_named_like_it() -> None:
    for name, look in KINDS.items():
        assert look.__name__ == name.replace("-", "_")
    assert Finding is Declared
    assert isinstance(findings(build(BARRIER)), Findings)
