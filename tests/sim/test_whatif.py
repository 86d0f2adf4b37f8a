"""What-ifs: new communication in a plan, costs drawn from what was measured, buckets; and beside measured variants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import Category, CommType, Trace
from etgraph.model.cancelling import Cancellation
from etgraph.model.columns import Array
from etgraph.model.errors import Cancelled, MissingData, UsageError
from etgraph.sim import bounds, edits
from etgraph.sim.replay import measured_plan, run_plan
from etgraph.sim.replay.additions import AT_ONCE, Issued
from etgraph.sim.replay.plan import program_of
from etgraph.sim.what_if import what_if
from etgraph.sim.what_if.applying import edit_of
from etgraph.sim.what_if.buckets import assign, gradients_of, rebucket
from etgraph.sim.what_if.changes import collectives_after, first_of_each, last_of_each, work_after
from etgraph.sim.what_if.declared import Change, Collective, LaunchLatency, Scale, Work
from etgraph.sim.what_if.observed import Draw, observed
from support.build import build
from support.programs import flooded, mixed, waiting
from support.simulated import Simulated

STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a    0..40
    rank 0 | thread 1 | b   50..90
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | c    0..60
    rank 1 | thread 1 | d   60..100
"""


@pytest.fixture
def trace() -> Trace:
    return build(STEPS)


def named(trace: Trace, *names: str) -> Array:
    """The operators of those names, in this order."""
    return np.concatenate([edits.matching(trace, name) for name in names])


def ends(trace: Trace) -> dict[str, int]:
    """Ends by name."""
    return {str(trace.operators.value("name", row)): int(ns) for row, ns in enumerate(trace.end_ns.tolist())}


def issued(at: Array, awaited: Array, lane: int = 0) -> Issued:
    """Communication that takes 5 to issue, 7 to hand over, 30 to transfer and 2 to wake up from."""
    same = (np.full(len(at), ns) for ns in (5, 7, 30))
    return Issued(at, *same, awaited, np.full(len(at), 2), lane)


def test_communication_that_is_awaited_at_once_holds_both_threads(trace: Trace) -> None:
    at = named(trace, "a", "c")
    made = run_plan(edits.issue(measured_plan(trace), issued(at, np.full(2, AT_ONCE))))
    # Rank 1 is ready at 67, done at 97, awake at 99; rank 0 then has its pause of 10 before b.
    assert ends(made) == {"a": 40, "b": 99 + 10 + 40, "c": 60, "d": 99 + 40}


def test_communication_that_is_awaited_later_hides_behind_what_the_threads_do(trace: Trace) -> None:
    made = run_plan(edits.issue(measured_plan(trace), issued(named(trace, "a", "c"), named(trace, "b", "d"))))
    assert ends(made) == {"a": 40, "b": 99 + 40, "c": 60, "d": 99 + 40}


def test_communication_on_one_lane_follows_that_before_it(trace: Trace) -> None:
    at, awaited = named(trace, "a", "c"), named(trace, "b", "d")

    def end(lanes: tuple[int, int]) -> int:
        plan = measured_plan(trace)
        for lane in lanes:
            plan = edits.issue(plan, issued(at, awaited, lane))
        return ends(run_plan(plan))["d"]

    # The second one is issued 5 later; on the same lane it waits for the first one's end at 97.
    assert (end((0, 1)), end((0, 0))) == (60 + 5 + 7 + 30 + 2 + 40, 97 + 30 + 2 + 40)


def test_new_work_after_one_operator_adds_up(trace: Trace) -> None:
    plan = measured_plan(trace)
    for ns in (5, 7):
        plan = edits.insert(plan, named(trace, "a"), ns)
    assert ends(run_plan(plan))["b"] == 90 + 12


def test_a_collective_is_issued_once_a_rank(trace: Trace) -> None:
    with pytest.raises(UsageError, match="one place on each rank"):
        edits.issue(measured_plan(trace), issued(named(trace, "a", "b"), np.full(2, AT_ONCE)))


def test_a_sure_change_moves_the_step_by_what_it_takes(trace: Trace) -> None:
    found = what_if(trace, lambda plan, _: edits.insert(plan, named(trace, "a"), 25))
    assert [(r.rank, r.measured_ns, r.predicted_ns, r.low_ns, r.high_ns) for r in found.ranks] == [
        (0, 100, 125, 125, 125), (1, 100, 100, 100, 100),
    ]  # fmt: skip
    assert found.draws == 1
    assert any("fewer than three steps" in warning for warning in found.trust.warnings)
    assert (found.whole.rank, found.whole.measured_ns, found.whole.predicted_ns) == (None, 100, 125)
    assert found.headline() == "0.000 ms → 0.000 ms (0.000 to 0.000)"


def test_work_takes_what_its_like_took(trace: Trace) -> None:
    found = what_if(trace, lambda plan, draw: work_after(plan, named(trace, "a"), named(trace, "d"), 3, draw))
    assert found.ranks[0].predicted_ns == 100 + 3 * 40


def test_what_has_no_like_is_not_made_up(trace: Trace) -> None:
    plan = measured_plan(trace)
    draw = Draw(observed(plan), np.random.default_rng(0))
    with pytest.raises(MissingData, match="what bytes cost"):
        collectives_after(plan, named(trace, "a", "c"), CommType.ALL_REDUCE, 1 << 20, 1, draw)
    with pytest.raises(MissingData, match="like the new ones"):
        work_after(plan, named(trace, "a"), named(trace, "x"), 1, draw)
    with pytest.raises(MissingData, match="no gradients"):
        rebucket(plan, 1 << 20, draw)


def test_repeated_work_is_as_much_longer(trace: Trace) -> None:
    at = named(trace, "a")
    one, many = (edits.insert(measured_plan(trace), at, 5, times=times) for times in (1, 100_000))
    assert ends(run_plan(many))["b"] == 90 + 500_000
    assert [step.events for step in many.steps] == [step.events for step in one.steps]


def test_repeated_meetings_take_the_longest_of_each_but_the_last(trace: Trace) -> None:
    made = run_plan(edits.insert(measured_plan(trace), named(trace, "a", "c"), np.array([3, 8]), meets=True, times=4))
    # All have come at 60; three meetings of 8, then 3 on rank 0 and its pause of 10, and 8 on rank 1.
    assert ends(made) == {"a": 40, "b": 60 + 24 + 3 + 10 + 40, "c": 60, "d": 60 + 24 + 8 + 40}


@pytest.mark.parametrize(("change", "told"), [
    (Scale("b", 1e300), r"scale, factor: found 1e\+300, expected at most 1,000,000"),
    (Work("a", time_ns=2**52, count=4), r"found a time of 1.8e\+16 ns, expected at most 9.01e\+15 ns"),
    (Work("a", time_ns=5, count=0), "work, count: found 0, expected 1 or more"),
    (Collective("[ac]", "all_reduce", time_ns=5, count=10**9), "collective, count: found 1000000000, expected at most"),
    (Collective("[abcd]", "all_reduce", time_ns=5, count=10**5, place="each"), "found 2,200,000 new events"),
    (Collective("[ac]", "all_reduce", time_ns=2**53, count=2), "found a run of"),
    (LaunchLatency(2**60), "launch-latency, latency_ns: found 1152921504606846976, expected at most"),
])  # fmt: skip
def test_what_leaves_the_numbers_is_told(
    trace: Trace, change: Change, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_EVENTS", 2_000_000)
    with pytest.raises(UsageError, match=told):
        what_if(trace, edit_of(trace, [change]))


def test_direct_edits_are_bounded_too(trace: Trace) -> None:
    plan, at = measured_plan(trace), named(trace, "b")
    with pytest.raises(UsageError, match="found a time of"):
        edits.scale(plan, at, 1e300)
    with pytest.raises(UsageError, match="found a launch latency of"):
        edits.launch_latency(plan, ns=2**60)
    with pytest.raises(UsageError, match=r"found times of 9.02e\+18 ns in one run"):
        run_plan(edits.insert(edits.insert(plan, at, 2**53, times=1), np.repeat(at, 1000), 2**53))


@pytest.mark.parametrize("change", [
    Collective("[ac]", "all_reduce", time_ns=5, count=10**5), Work("a", like="b", count=10**5),
])  # fmt: skip
def test_long_changes_can_be_stopped(trace: Trace, change: Change) -> None:
    edit, plan = edit_of(trace, [change]), measured_plan(trace)
    draw = Draw(observed(plan), np.random.default_rng(0))
    with Cancellation() as work:
        work.cancel()
        with pytest.raises(Cancelled):
            edit(plan, draw)


def test_adding_steps_to_a_program_can_be_stopped(trace: Trace) -> None:
    plan = edits.insert(measured_plan(trace), named(trace, "a"), 5)
    with Cancellation() as work:
        work.cancel()
        with pytest.raises(Cancelled):
            program_of(plan)


ITERATIONS = """
    rank 0 | thread 1 | iteration ProfilerStep#0    0..100
    rank 0 | thread 1 | a    0..40
    rank 0 | thread 1 | b   50..90
    rank 0 | thread 1 | iteration ProfilerStep#1  100..200
    rank 0 | thread 1 | a  100..140
    rank 0 | thread 1 | b  150..190
    rank 0 | thread 1 | iteration ProfilerStep#2  200..300
    rank 0 | thread 1 | {}  200..240
    rank 0 | thread 1 | {}  250..290
"""


def new_collectives(trace: Trace, at: str, awaited: str) -> list[tuple[list[int], list[int]]]:
    """The places of the collectives that are added after the operators of a name, and what awaits them."""
    plan = measured_plan(trace)
    draw = Draw(observed(plan), np.random.default_rng(0))
    places, until = (edits.matching(trace, name) for name in (at, awaited))
    made = collectives_after(plan, places, CommType.ALL_REDUCE, 0, 1, draw, until, transfer_ns=5)
    starts = trace.operators["start_ns"]
    return [
        (starts[step.after].tolist(), starts[step.awaited].tolist())
        for step in made.steps if isinstance(step, Issued)
    ]  # fmt: skip


def test_collectives_and_what_awaits_them_are_of_one_iteration() -> None:
    trace = build(ITERATIONS.format("x", "b"))
    assert new_collectives(trace, "a", "b") == [([0], [50]), ([100], [150])]


def test_a_rank_that_awaits_nothing_in_an_iteration_is_named() -> None:
    trace = build(ITERATIONS.format("a", "x"))
    with pytest.raises(UsageError, match="nothing that awaits the collective on rank 0 in iteration 2"):
        new_collectives(trace, "a", "b")


@pytest.mark.parametrize(("capacity", "first", "expected"), [
    (25, None, [0, 1, 1, 1, 2]), (1, None, [0, 1, 2, 3, 4]), (1000, None, [0] * 5), (1000, 105, [0, 0, 1, 1, 1]),
])  # fmt: skip
def test_a_bucket_is_closed_when_it_is_full(capacity: int, first: int | None, expected: list[int]) -> None:
    assert assign(np.array([100, 10, 10, 30, 5]), capacity, first).tolist() == expected


# Recorded runs


@pytest.fixture(scope="module")
def recorded(collection_dir: Path) -> Trace:
    return read(collection_dir / "recorded" / "whatif" / "extra_barriers_2").select_iterations([0, 2, 4, 6, 8])


def test_recorded_buckets_are_those_that_sizes_and_order_give(recorded: Trace) -> None:
    found = gradients_of(recorded)
    assert len(found) == 10
    for gradients in found:
        of = assign(gradients.bytes, 2 << 20)
        assert np.bincount(of, weights=gradients.bytes).astype(int).tolist() == gradients.sizes.tolist()


def test_the_same_buckets_again_change_little(recorded: Trace) -> None:
    found = what_if(recorded, lambda plan, draw: rebucket(plan, 2 << 20, draw), draws=20)
    assert max(abs(rank.change) for rank in found.ranks) < 0.05


def test_draws_repeat_and_stay_within_what_was_measured(recorded: Trace) -> None:
    seen = observed(measured_plan(recorded))
    one, again = (Draw(seen, np.random.default_rng(7)) for _ in range(2))
    assert one.issue_ns(50).tolist() == again.issue_ns(50).tolist()
    assert np.isin(one.issue_ns(200), seen.issue_ns).all()
    assert np.isin(one.waking_ns(200), seen.waking_ns).all()


def test_more_bytes_and_more_ranks_take_longer(recorded: Trace) -> None:
    seen = observed(measured_plan(recorded))

    def usual(bytes: int, ranks: int) -> float:
        draws = (Draw(seen, np.random.default_rng(n)) for n in range(100))
        return float(np.median([d.transfer_ns(CommType.ALL_REDUCE, bytes, ranks, 1)[0] for d in draws]))

    assert usual(1 << 16, 2) < usual(1 << 20, 2) < usual(1 << 22, 2) < usual(1 << 22, 8)


def test_places_are_one_a_rank_and_iteration(recorded: Trace) -> None:
    rows = edits.matching(recorded, "aten::linear")
    first, last = first_of_each(recorded, rows), last_of_each(recorded, rows)
    start = recorded.operators["start_ns"]
    assert len(first) == len(last) == 10
    assert (start[first] < start[last]).all()


def test_variants_are_predicted_from_their_base_steps(collection_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    from benchmarks.whatif import CHANGES, cases

    runs = sorted(run for run in (collection_dir / "recorded" / "whatif").iterdir() if run.is_dir())
    found = [case for run in runs for case in cases(run, CHANGES[run.name.rpartition("_")[0]], draws=10)]
    assert len(found) == 32
    errors = np.abs([case.error for case in found])
    assert errors.mean() <= 0.045
    assert errors.max() <= 0.11
    assert np.count_nonzero(errors <= 0.05) >= 20
    assert sum(case.inside for case in found) >= 28
    assert errors.mean() < np.mean([abs(case.naive_error) for case in found]) / 3


# Generated runs, made again on a changed machine


def span(trace: Trace) -> int:
    return int(trace.end_ns.max() - trace.operators["start_ns"].min())


@pytest.mark.parametrize("slower", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_kernels_of_another_speed_are_those_of_the_changed_machine(seed: int, slower: float, tmp_path: Path) -> None:
    base, truth = (
        read(mixed(seed, records=True, slower=factor).write(tmp_path / f"{factor}.json")) for factor in (1.0, slower)
    )
    made = run_plan(edits.scale(measured_plan(base), edits.matching(base, "kernel"), slower))
    assert abs(span(made) / span(truth) - 1) < 0.03
    assert abs(span(base) / span(truth) - 1) > 0.4


@pytest.mark.parametrize("seed", range(4))
def test_without_a_synchronisation_the_host_runs_ahead(seed: int, tmp_path: Path) -> None:
    def traced(made: Simulated) -> Trace:
        return read(made.write(tmp_path / "trace.json"))

    base, truth = traced(waiting(seed)), traced(waiting(seed, blocks=False))
    made = run_plan(edits.remove(measured_plan(base), edits.matching(base, "cudaStreamSynchronize")))
    assert abs(span(made) / span(truth) - 1) < 0.002
    assert abs(span(base) / span(truth) - 1) > 0.04


@pytest.mark.parametrize(("depth", "other"), [(300, 60), (60, 300), (120, 30)])
def test_another_queue_is_that_of_the_changed_machine(depth: int, other: int, tmp_path: Path) -> None:
    base, truth = (read(flooded(3, size).write(tmp_path / f"{size}.json")) for size in (depth, other))
    made = run_plan(edits.queue_depth(measured_plan(base), other))
    host, expected = (_host_span(trace) for trace in (made, truth))
    assert abs(host / expected - 1) < 0.02
    assert abs(_host_span(base) / expected - 1) > 0.08


def _host_span(trace: Trace) -> int:
    """When the host has launched all."""
    calls = trace.operators["category"] < int(Category.KERNEL)
    return int(trace.end_ns[calls].max() - trace.operators["start_ns"].min())
