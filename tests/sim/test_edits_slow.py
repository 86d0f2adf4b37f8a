"""Edits of a measured trace beside the program that left it, changed in the same way and run again slowly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim import edits
from etgraph.sim.replay import measured_plan, run_plan
from etgraph.sim.replay.plan import Plan
from support.slow_programs import Endless, Item, Kernel, Program, programs, slow_times, trace_of


def rows_by_name(trace: Trace) -> dict[str, int]:
    """Rows by the names that the program gives; collectives by their number."""
    o, found, seen = trace.operators, {}, {0: 0, 1: 0}
    for row in np.argsort(o["start_ns"], kind="stable").tolist():
        name, rank = str(o.value("name", row)), int(o["rank"][row])
        if name == "all_reduce":
            name, seen[rank] = f"reduce{seen[rank]}r{rank}", seen[rank] + 1
        found[name] = row
    return found


def agree(trace: Trace, plan: Plan, program: Program, without: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Every operator that is still there starts and ends as the changed program has it."""
    made, truth = run_plan(plan), slow_times(program)
    start, end = made.operators["start_ns"], made.end_ns
    found = {name: (int(start[row]), int(end[row])) for name, row in rows_by_name(trace).items() if name not in without}
    assert found == {name: truth[name] for name in found}


def kernels(program: Program) -> dict[str, Kernel]:
    return {item.kernel.name: item.kernel for _, _, item in program.items() if item.kernel is not None}


def chosen(data: st.DataObject, names: list[str]) -> list[str]:
    return data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))


def with_peers(program: Program, names: list[str]) -> set[str]:
    """Those kernels, and the other members of their collectives."""
    all_of = kernels(program)
    numbers = {all_of[name].collective for name in names} - {None}
    return {*names, *(name for name, kernel in all_of.items() if kernel.collective in numbers)}


def each_kernel(program: Program, change: dict[str, Kernel]) -> Program:
    return program.changed({
        item.name: replace(item, kernel=change[item.kernel.name])
        for _, _, item in program.items()
        if item.kernel is not None and item.kernel.name in change
    })  # fmt: skip


def rows(trace: Trace, names: set[str] | list[str]) -> Array:
    return np.array(sorted(rows_by_name(trace)[name] for name in names), dtype=np.int64)


@settings(max_examples=60)
@given(programs())
def test_a_replay_is_what_was_recorded(program: Program) -> None:
    trace = trace_of(program)
    agree(trace, measured_plan(trace), program)


@settings(max_examples=60)
@given(programs(), st.data(), st.sampled_from([0.0, 0.5, 1.5, 3.0]))
def test_scaled_operators(program: Program, data: st.DataObject, factor: float) -> None:
    trace = trace_of(program)
    own = [item.name for _, _, item in program.items() if not item.awaits]
    names = chosen(data, [*kernels(program), *own])
    those = with_peers(program, [name for name in names if name in kernels(program)])
    changed = each_kernel(program, {
        name: replace(kernel, ns=round(kernel.ns * factor))
        for name, kernel in kernels(program).items() if name in those
    })  # fmt: skip
    changed = changed.changed({
        item.name: replace(item, ns=round(item.ns * factor)) for _, _, item in changed.items() if item.name in names
    })  # fmt: skip
    agree(trace, edits.scale(measured_plan(trace), rows(trace, names), factor), changed)


@settings(max_examples=60)
@given(programs(), st.data())
def test_removed_operators(program: Program, data: st.DataObject) -> None:
    trace = trace_of(program)
    names = chosen(data, [item.name for _, _, item in program.items() if not item.name.startswith("last")])
    # What a call launches goes with it, and its peers; calls of peers stay, with nothing to launch.
    launched = with_peers(program, [
        item.kernel.name for _, _, item in program.items() if item.name in names and item.kernel is not None
    ])  # fmt: skip
    changed = replace(program, gone=frozenset(launched)).changed({
        item.name: replace(item, ns=0, awaits=()) for _, _, item in program.items() if item.name in names
    })  # fmt: skip
    agree(trace, edits.remove(measured_plan(trace), rows(trace, names)), changed, {*names, *launched})


@settings(max_examples=60)
@given(programs(), st.data(), st.integers(0, 9_000), st.integers(1, 3))
def test_inserted_work(program: Program, data: st.DataObject, ns: int, times: int) -> None:
    trace = trace_of(program)
    names = chosen(data, [name for name in rows_by_name(trace) if not name.startswith("last")])
    extra = {name: ns * times for name in names if name in kernels(program)}
    changed = replace(program, extra=extra, ranks=tuple(
        tuple(one for item in items for one in (item, *(
            [Item(f"new_{item.name}", 0, ns * times)] if item.name in names else []
        )))
        for items in program.ranks
    ))  # fmt: skip
    agree(trace, edits.insert(measured_plan(trace), rows(trace, names), ns, times=times), changed)


@settings(max_examples=60)
@given(programs(), st.data(), st.integers(0, 9_000))
def test_an_inserted_collective(program: Program, data: st.DataObject, ns: int) -> None:
    trace = trace_of(program)
    after = [data.draw(st.sampled_from([item.name for item in items[:-1]])) for items in program.ranks]
    changed = replace(program, ranks=tuple(
        tuple(one for item in items for one in (item, *(
            [Item(f"new_{item.name}", 0, ns, meets=0)] if item.name in after else []
        )))
        for items in program.ranks
    ))  # fmt: skip
    assume(possible(changed))
    agree(trace, edits.insert(measured_plan(trace), rows(trace, after), ns, meets=True), changed)


@settings(max_examples=60)
@given(programs(), st.data())
def test_overlapped_operators(program: Program, data: st.DataObject) -> None:
    assume(kernels(program))
    trace = trace_of(program)
    names = with_peers(program, chosen(data, list(kernels(program))))
    agree(trace, edits.overlap(measured_plan(trace), rows(trace, names)), replace(program, apart=frozenset(names)))


@settings(max_examples=60)
@given(programs())
def test_merged_collectives(program: Program) -> None:
    numbers = sorted({k.collective for k in kernels(program).values() if k.collective is not None})
    assume(len(numbers) > 1)
    trace = trace_of(program)
    into = merged_into(program, numbers)
    sizes = {number: 4096 * (number + 1) for number in numbers}
    total = {last: sum(size for number, size in sizes.items() if into[number] == last) for last in into.values()}
    instead = {f"reduce{n}r{rank}": f"reduce{into[n]}r{rank}" for n in numbers if into[n] != n for rank in range(2)}
    changed = each_kernel(
        replace(program, gone=frozenset(instead), instead=instead),
        {f"reduce{n}r{rank}": replace(kernels(program)[f"reduce{n}r{rank}"], ns=total[n] // 2)
         for n in total for rank in range(2)},
    )  # fmt: skip
    members = rows(trace, {name for name, kernel in kernels(program).items() if kernel.collective is not None})
    agree(trace, edits.merge(measured_plan(trace), members, lambda _, size: size // 2), changed, set(instead))


def merged_into(program: Program, numbers: list[int]) -> dict[int, int]:
    """Collectives go into the next one as long as no rank waits for one of them before it issues that."""

    def needed(number: int, rank: int) -> float:
        name = f"reduce{number}r{rank}"
        places = [
            place for place, item in enumerate(program.ranks[rank])
            if name in item.awaits or (item.kernel is not None and name in item.kernel.waits)
        ]  # fmt: skip
        return min(places, default=float("inf"))

    def issued(number: int, rank: int) -> int:
        return next(p for p, item in enumerate(program.ranks[rank]) if item.name == f"call_reduce{number}r{rank}")

    groups: list[list[int]] = []
    for number in numbers:
        fits = groups and all(issued(number, r) < needed(one, r) for one in groups[-1] for r in range(2))
        groups = [*groups[:-1], [*groups[-1], number]] if fits else [*groups, [number]]
    return {number: group[-1] for group in groups for number in group}


@settings(max_examples=60)
@given(programs(), st.integers(0, 20_000))
def test_another_launch_latency(program: Program, ns: int) -> None:
    trace = trace_of(program)
    agree(trace, edits.launch_latency(measured_plan(trace), ns=ns), replace(program, latency_ns=ns))


@settings(max_examples=60)
@given(programs(), st.integers(1, 4))
def test_another_depth_of_the_launch_queue(program: Program, depth: int) -> None:
    trace = trace_of(program)
    changed = replace(program, queue=depth)
    assume(possible(changed))
    agree(trace, edits.queue_depth(measured_plan(trace), depth), changed)


def possible(program: Program) -> bool:
    """Whether it comes to an end."""
    try:
        return bool(slow_times(program))
    except Endless:
        return False
