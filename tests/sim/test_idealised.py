"""Plans without a cause of lost time: on traces whose answer is plain, and beside oracles on random programs."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.sim.engine import run
from etgraph.sim.idealised import at_peak, at_roofline, overlapped, without_host, without_late_ranks
from etgraph.sim.profiles import load
from etgraph.sim.replay import measured_plan, run_plan
from etgraph.sim.replay.plan import program_of
from support.build import build
from support.random_traces import crossing_traces, distributed_traces, executable
from support.slow_engine import slow_run
from support.work import with_work


def end(trace: Trace) -> int:
    return int(trace.end_ns.max())


def row(trace: Trace, name: str, rank: int = 0) -> int:
    """The row of the only operator of that name on a rank."""
    o = trace.operators
    (found,) = (i for i in range(len(trace)) if o.value("name", i) == name and o["rank"][i] == rank)
    return found


def start(trace: Trace, name: str, rank: int = 0) -> int:
    return int(trace.operators["start_ns"][row(trace, name, rank)])


# Late ranks


def test_what_one_of_three_ranks_works_longer_is_gone() -> None:
    trace = build("""
        rank 0 | stream 7 | a            0..20
        rank 0 | stream 7 | all_reduce  20..70
        rank 1 | stream 7 | a            0..20
        rank 1 | stream 7 | all_reduce  20..70
        rank 2 | stream 7 | a            0..30
        rank 2 | stream 7 | b           30..60
        rank 2 | stream 7 | all_reduce  60..70
    """)
    moved = run_plan(without_late_ranks(measured_plan(trace)))
    assert end(moved) == 30
    assert (start(moved, "b", 2), start(moved, "all_reduce", 2)) == (10, 20)  # both kernels, in the same proportion


def test_of_two_ranks_the_one_that_comes_first_is_the_measure() -> None:
    trace = build("""
        rank 0 | stream 7 | a           0..10
        rank 0 | stream 7 | all_reduce 10..95
        rank 1 | stream 7 | a           0..90
        rank 1 | stream 7 | all_reduce 90..95
    """)
    assert end(run_plan(without_late_ranks(measured_plan(trace)))) == 15


def test_a_rank_that_is_early_stays_so() -> None:
    trace = build("""
        rank 0 | stream 7 | a            0..5
        rank 0 | stream 7 | all_reduce   5..50
        rank 1 | stream 7 | a            0..40
        rank 1 | stream 7 | all_reduce  40..50
        rank 2 | stream 7 | a            0..40
        rank 2 | stream 7 | all_reduce  40..50
    """)
    plan = measured_plan(trace)
    assert run_plan(without_late_ranks(plan)).end_ns.tolist() == run_plan(plan).end_ns.tolist()


def test_a_rank_that_enters_late_comes_in_time() -> None:
    trace = build("""
        rank 0 | thread 1 | call         0..10   -> r0
        rank 0 | stream 7 | r0: all_reduce  10..95
        rank 1 | thread 1 | call        75..85   -> r1
        rank 1 | stream 7 | r1: all_reduce  85..95
    """)
    assert end(run_plan(without_late_ranks(measured_plan(trace)))) == 20


def test_late_work_that_is_hidden_under_communication_cannot_be_made_up_for() -> None:
    # Rank 1's own time between the two collectives is the 10 ns after the first; it was later by 20.
    trace = build("""
        rank 0 | stream 8 | all_reduce   0..30
        rank 1 | stream 8 | all_reduce   0..30
        rank 0 | stream 8 | all_gather  30..60
        rank 1 | stream 7 | a            0..40  -EVENT-> g1
        rank 1 | stream 8 | g1: all_gather  40..60
    """)
    moved = run_plan(without_late_ranks(measured_plan(trace)))
    assert start(moved, "all_gather", 1) == 30
    assert end(moved) == 50


def test_ranks_that_meet_nobody_keep_their_times() -> None:
    trace = build("""
        rank 0 | stream 7 | a  0..20
        rank 1 | stream 7 | a  0..90
    """)
    plan = measured_plan(trace)
    assert without_late_ranks(plan) is plan


@st.composite
def steps_of_ranks(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Times that ranks compute before each of some collectives, and what these take."""
    ranks, steps = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    times = st.integers(1, 50)
    work = draw(st.lists(st.lists(times, min_size=ranks, max_size=ranks), min_size=steps, max_size=steps))
    return work, draw(st.lists(times, min_size=steps, max_size=steps))


@settings(max_examples=60)
@given(steps_of_ranks(), st.booleans())
def test_between_collectives_that_block_the_middle_rank_sets_the_time(
    program: tuple[list[list[int]], list[int]], on_threads: bool
) -> None:
    work, transfer = program
    lines, now, expected = [], 0, 0
    lane, meets = ("thread 1", "gloo:all_reduce") if on_threads else ("stream 7", "all_reduce")
    for each, moving in zip(work, transfer):
        come = now + max(each)
        for rank, ns in enumerate(each):
            lines.append(f"rank {rank} | {lane} | a  {now}..{now + ns}")
            lines.append(f"rank {rank} | {lane} | {meets}  {now + ns}..{come + moving}")
        now = come + moving
        expected += sorted(each)[(len(each) - 1) // 2] + moving
    assert end(run_plan(without_late_ranks(measured_plan(build("\n".join(lines)))))) == expected


# Overlap

EXPOSED = """
    rank 0 | stream 7 | a            0..20   -EVENT-> r0
    rank 0 | stream 9 | r0: all_reduce  20..50  -{kind}-> b0
    rank 0 | stream 7 | b0: b       50..80
    rank 1 | stream 7 | a            0..20   -EVENT-> r1
    rank 1 | stream 9 | r1: all_reduce  20..50  -{kind}-> b1
    rank 1 | stream 7 | b1: b       50..80
"""


@pytest.mark.parametrize(("kind", "expected"), [("EVENT", 50), ("DATA", 80)])
def test_nothing_waits_for_a_collective_but_what_reads_its_results(kind: str, expected: int) -> None:
    moved = run_plan(overlapped(measured_plan(build(EXPOSED.format(kind=kind)))))
    assert end(moved) == expected
    assert start(moved, "all_reduce") == 20  # still behind what it reads


def test_on_one_stream_operators_and_collectives_pass_each_other() -> None:
    trace = build("""
        rank 0 | stream 7 | a            0..20
        rank 0 | stream 7 | all_reduce  20..50
        rank 0 | stream 7 | all_gather  50..70
        rank 0 | stream 7 | b           70..90
        rank 1 | stream 7 | all_reduce   0..50
        rank 1 | stream 7 | all_gather  50..70
    """)
    moved = run_plan(overlapped(measured_plan(trace)))
    assert (start(moved, "b"), start(moved, "all_gather")) == (20, 30)  # a collective still follows the other one


def test_what_cannot_be_hidden_is_still_to_be_done() -> None:
    trace = build("""
        rank 0 | stream 7 | a            0..20
        rank 0 | stream 9 | all_reduce   0..90
        rank 1 | stream 9 | all_reduce   0..90
    """)
    assert end(run_plan(overlapped(measured_plan(trace)))) == 90


def test_a_thread_goes_on_while_the_collective_that_it_issued_runs() -> None:
    trace = build("""
        rank 0 | thread 1 | a                0..10
        rank 0 | thread 1 | gloo:all_reduce 12..52
        rank 0 | thread 1 | b               55..75
        rank 0 | thread 1 | gloo:all_gather 76..86
        rank 1 | thread 1 | gloo:all_reduce  2..52
        rank 1 | thread 1 | gloo:all_gather 60..86
    """)
    moved = run_plan(overlapped(measured_plan(trace)))
    assert start(moved, "b") == 15
    # Ready at 36, behind the other one, which ends at 52 as before; rank 1 comes at 60 and has nothing else to do.
    assert (start(moved, "gloo:all_gather"), end(moved)) == (52, 70)


def test_a_thread_that_awaits_a_worker_does_not() -> None:
    trace = build("""
        rank 0 | thread 1 | issue            0..10  -SPAWN-> g0
        rank 0 | thread 2 | g0: gloo:all_reduce  10..60  -JOIN-> use
        rank 0 | thread 1 | use             62..70
        rank 1 | thread 2 | gloo:all_reduce  0..60
    """)
    plan = measured_plan(trace)
    assert start(run_plan(plan), "use") == 62
    assert start(run_plan(overlapped(plan)), "use") <= 12


def test_messages_stay_where_they_are() -> None:
    trace = build("""
        rank 0 | stream 7 | a       0..30
        rank 0 | stream 7 | send   30..40  -COMM-> r
        rank 1 | stream 7 | r: recv    0..45
        rank 1 | stream 7 | b      45..60
    """)
    plan = measured_plan(trace)
    assert run_plan(overlapped(plan)).end_ns.tolist() == run_plan(plan).end_ns.tolist()


# The host


def test_kernels_that_a_host_launches_too_slowly_follow_each_other() -> None:
    trace = build("""
        rank 0 | thread 1 | launch    0..30   -> a
        rank 0 | thread 1 | launch   40..70   -> b
        rank 0 | thread 1 | launch   80..110  -> c
        rank 0 | stream 7 | a        35..45
        rank 0 | stream 7 | b        75..95
        rank 0 | stream 7 | c       115..120
    """)
    assert end(run_plan(without_host(measured_plan(trace)))) == 10 + 20 + 5


def test_a_call_that_waits_costs_nothing_but_keeps_the_order() -> None:
    trace = build("""
        rank 0 | thread 1 | launch    0..10   -> a
        rank 0 | thread 1 | cudaStreamSynchronize  10..65
        rank 0 | thread 1 | launch   70..80   -> b
        rank 0 | stream 7 | a        12..60   -SYNC-> cudaStreamSynchronize
        rank 0 | stream 9 | b        82..100
    """)
    moved = run_plan(without_host(measured_plan(trace)))
    assert (start(moved, "b"), end(moved)) == (48, 66)


def test_without_a_device_dispatch_and_pauses_go_and_work_stays() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear   5..45
        rank 0 | thread 1 | aten::addmm   10..40
        rank 0 | thread 1 | aten::relu    60..70
        rank 0 | thread 1 | gloo:all_reduce  72..80
        rank 1 | thread 1 | gloo:all_reduce   5..80
    """)
    assert end(run_plan(without_host(measured_plan(trace)))) - 5 == 30 + 10 + 8


def test_a_rank_whose_recording_begins_late_still_does_without_its_host() -> None:
    trace = build("""
        rank 0 | thread 1 | call  0..10  -> a
        rank 0 | stream 7 | a    15..20
        rank 1 | thread 1 | call 50..60  -> b
        rank 1 | stream 7 | b    65..70
    """)
    moved = run_plan(without_host(measured_plan(trace)))
    assert (start(moved, "a"), start(moved, "b", 1)) == (0, 50)


@st.composite
def device_programs(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Kernels as (stream, duration) in order of launch, and events between them as (source, target)."""
    kernels = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), min_size=1, max_size=12))
    pairs = st.tuples(*[st.integers(0, len(kernels) - 1)] * 2).filter(lambda pair: pair[0] < pair[1])
    events = draw(st.lists(pairs, max_size=6, unique=True)) if len(kernels) > 1 else []
    return kernels, [(a, b) for a, b in events if kernels[a][0] != kernels[b][0]]


@settings(max_examples=60)
@given(device_programs(), st.integers(1, 30))
def test_a_device_without_a_host_takes_the_longest_chain(
    program: tuple[list[tuple[int, int]], list[tuple[int, int]]], dispatch: int
) -> None:
    kernels, events = program

    def schedule(ready: list[int]) -> list[int]:
        """Starts of the kernels, each as early as its launch, its stream and its events allow."""
        starts: list[int] = []
        for k, (stream, _) in enumerate(kernels):
            held = [j for j in range(k) if kernels[j][0] == stream] + [a for a, b in events if b == k]
            starts.append(max([ready[k], *(starts[j] + kernels[j][1] for j in held)]))
        return starts

    measured = schedule([(k + 1) * dispatch for k in range(len(kernels))])
    lines = []
    for k, (stream, ns) in enumerate(kernels):
        lines.append(f"rank 0 | thread 1 | call  {k * dispatch}..{(k + 1) * dispatch}  -> k{k}")
        arrows = " ".join(f" -EVENT-> k{b}" for a, b in events if a == k)
        lines.append(f"rank 0 | stream {stream} | k{k}: kernel{k}  {measured[k]}..{measured[k] + ns}{arrows}")
    ideal = schedule([0] * len(kernels))
    expected = max(begun + ns for begun, (_, ns) in zip(ideal, kernels))
    assert end(run_plan(without_host(measured_plan(build("\n".join(lines)))))) == expected


# Rooflines

H100 = load("h100-sxm")


def test_operators_take_what_their_bytes_take_and_no_longer_than_before() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::add     0..10
        rank 0 | thread 1 | cudaLaunchKernel   2..8    -> slow
        rank 0 | thread 1 | aten::mul    20..30
        rank 0 | thread 1 | cudaLaunchKernel  22..28   -> quick
        rank 0 | thread 1 | mine         40..50
        rank 0 | thread 1 | cudaLaunchKernel  42..48   -> unknown
        rank 0 | stream 7 | slow         10..1010
        rank 0 | stream 7 | quick      1010..1110
        rank 0 | stream 7 | unknown    1110..1310
    """)
    trace = with_work(trace, {"aten::add": (0, 335_000), "aten::mul": (0, 3_350_000)})
    moved = run_plan(at_roofline(measured_plan(trace), H100))
    took = {name: int(moved.operators["duration_ns"][row(trace, name)]) for name in ("slow", "quick", "unknown")}
    assert took == {"slow": 100, "quick": 100, "unknown": 200}  # 335 kB at 3.35 TB/s
    assert at_peak(trace, H100).known[row(trace, "slow")]
    assert not at_peak(trace, H100).known[row(trace, "unknown")]


def test_on_a_thread_all_that_an_operator_encloses_is_its_work() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::add      0..1000
        rank 0 | thread 1 | aten::empty  100..300
        rank 0 | thread 1 | other       1000..1500
    """)
    trace = with_work(trace, {"aten::add": (0, 1_675_000)})
    moved = run_plan(at_roofline(measured_plan(trace), H100))
    took = [int(moved.operators["duration_ns"][row(trace, name)]) for name in ("aten::add", "aten::empty", "other")]
    assert took == [500, 100, 500]


# Random programs


@settings(max_examples=60)
@given(distributed_traces() | crossing_traces())
def test_whatever_is_taken_away_every_program_ends_as_a_slow_engine_runs_it(trace: Trace) -> None:
    assume(executable(trace))
    plan = measured_plan(trace)
    for edit in (without_late_ranks, overlapped, without_host, lambda plan: at_roofline(plan, H100)):
        plan = edit(plan)
        program = program_of(plan)
        timeline = run(program)
        assert timeline.happened.all()
        assert timeline.ns.tolist() == [ns for _, ns in sorted(slow_run(program).items())]
