"""The engine: edges, wake-ups, places on a device, servers; and beside a slow one on random programs."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings

from etgraph.model import kernels
from etgraph.sim.engine import Places, Program, ProgramBuilder, Services, run
from etgraph.sim.engine.causes import held_by, way_back
from support.random_programs import programs
from support.slow_engine import slow_run


def built(
    operators: int,
    plain: Sequence[tuple[int, int, int]],
    wake_ups: Sequence[tuple[int, int, int]] = (),
    after: dict[int, int] | None = None,
    others: int = 0,
    places: Places | None = None,
    services: Services | None = None,
) -> Program:
    """A program of edges (source, target, lag)."""
    builder = ProgramBuilder(operators, others)
    for add, edges in ((builder.plain, plain), (builder.wake_ups, wake_ups)):
        if edges:
            add(*(np.array(column) for column in zip(*edges)))
    if after:
        builder.after(np.array(list(after)), np.array(list(after.values())))
    builder.places, builder.services = places or Places(), services or Services()
    return builder.program()


def times(program: Program) -> list[int]:
    return run(program).ns.tolist()


def test_an_event_happens_at_the_latest_arrival_of_its_edges() -> None:
    assert times(built(2, [(0, 1, 10), (1, 2, 5), (0, 2, 20), (2, 3, 7)])) == [0, 10, 20, 27]


def test_members_of_a_meeting_end_after_the_last_has_come() -> None:
    # Operators 0 and 1 start at 0 and 30; meeting 4; transfers of 12.
    program = built(3, [(4, 5, 30), (5, 2, 0), (0, 6, 0), (2, 6, 0), (6, 1, 12), (6, 3, 12)], others=1)
    assert times(program) == [0, 42, 30, 42, 0, 30, 30]


@pytest.mark.parametrize(("work", "expected"), [(40, 58), (49, 58), (50, 50), (51, 51), (60, 60)])
def test_only_who_waits_has_to_wake_up(work: int, expected: int) -> None:
    # The waiter works until `work`; what it waits for is there at 50, and waking up takes 8.
    program = built(3, [(0, 1, work), (4, 5, 50), (1, 2, 0)], [(5, 2, 0)], {2: 8})
    assert run(program).ns[2] == expected


def test_a_wide_operator_keeps_others_of_its_device_out_until_its_tail() -> None:
    # 0 is wide, from 0 to 100, with a tail of 10; 1 is ready at 20 on another lane; 2 at 20 on another device.
    lanes, devices = [7, 8, 9], [0, 0, 1]
    program = built(
        4, [(0, 1, 100), (2, 3, 5), (4, 5, 5), (6, 7, 20), (7, 2, 0), (7, 4, 0)],
        places=Places(*(np.array(c) for c in ([0, 1, 2], devices, lanes, [100, 5, 5], [10, -1, -1]))),
    )  # fmt: skip
    assert times(program)[:6] == [0, 100, 90, 95, 20, 25]


def test_a_server_serves_one_at_a_time_in_the_order_of_asking() -> None:
    # 0, 1, 2 ask at 30, 10 and 20, and take 15 each; 3 delays them.
    program = built(
        4, [(0, 1, 15), (2, 3, 15), (4, 5, 15), (6, 0, 30), (6, 2, 10), (6, 4, 20)],
        services=Services(np.array([0, 1, 2]), np.array([0, 0, 0])),
    )  # fmt: skip
    assert times(program)[:6] == [40, 55, 10, 25, 25, 40]


def test_events_behind_a_cycle_do_not_happen() -> None:
    program = built(3, [(0, 2, 1), (2, 3, 1), (3, 2, 1), (3, 4, 1), (4, 5, 1), (0, 1, 5)])
    assert run(program).happened.tolist() == [True, True, False, False, False, False]


def test_who_holds_a_server_for_ever_keeps_the_others_waiting() -> None:
    # 0 holds the server until 1 has ended, which waits for the server.
    program = built(2, [(0, 1, 1), (2, 3, 1), (3, 1, 0)], services=Services(np.array([0, 1]), np.array([0, 0])))
    assert run(program).happened.tolist() == [True, False, False, False]


def test_the_way_back_goes_along_what_held_each_event() -> None:
    program = built(3, [(0, 1, 10), (0, 2, 3), (2, 3, 2), (1, 4, 0), (3, 4, 0), (4, 5, 1)], [(2, 1, 0)], {1: 1})
    held = held_by(program, run(program))
    assert way_back(program, held, 5).tolist() == [0, 1, 4, 5]


@settings(max_examples=400)
@given(programs())
def test_it_agrees_with_a_slow_engine(program: Program) -> None:
    timeline = run(program)
    expected = slow_run(program)
    assert np.flatnonzero(timeline.happened).tolist() == sorted(expected)
    assert {event: int(timeline.ns[event]) for event in expected} == expected


@settings(max_examples=40)
@given(programs())
def test_machine_code_and_plain_python_agree(program: Program) -> None:
    plain = run(program)
    with mock.patch.object(kernels, "COMPILE_FROM", 0):
        compiled = run(program)
    assert plain.ns.tolist() == compiled.ns.tolist()
    assert plain.happened.tolist() == compiled.happened.tolist()
