"""Random programs of the engine."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from etgraph.sim.engine import Places, Program, ProgramBuilder, Services


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Random programs: edges along a hidden order (rarely against it), meetings, wake-ups, places and servers."""
    operators, others = draw(st.integers(1, 7)), draw(st.integers(0, 2))
    builder = ProgramBuilder(operators, others)
    order = draw(st.permutations(range(builder.events)))
    lag = st.integers(0, 12)
    for add, most in ((builder.plain, 14), (builder.wake_ups, 5)):
        for _ in range(draw(st.integers(0, most))):
            a, b = draw(st.integers(0, builder.events - 1)), draw(st.integers(0, builder.events - 1))
            if a == b:
                continue
            if order[a] > order[b] and draw(st.integers(0, 15)):
                a, b = b, a
            add(np.array([a]), np.array([b]), draw(lag))
    for event in range(builder.events):
        builder.after(np.array([event]), np.array([draw(lag)]))
        builder.floors(np.array([event]), np.array([draw(st.sampled_from([0, 0, 0, 5, 20]))]))
    rows = np.arange(operators)
    kind = np.array([draw(st.integers(0, 2)) for _ in rows])
    placed, served = rows[kind == 1], rows[kind == 2]
    durations = np.array([draw(st.integers(1, 30)) for _ in placed], dtype=np.int64)
    builder.plain(2 * placed, 2 * placed + 1, durations)
    rest = rows[kind != 1]
    builder.plain(2 * rest, 2 * rest + 1, np.array([draw(lag) for _ in rest], dtype=np.int64))
    lanes = np.array([draw(st.integers(0, 3)) for _ in placed], dtype=np.int64)
    tails = np.array([draw(st.integers(-1, 5)) for _ in placed], dtype=np.int64)
    builder.places = Places(placed, lanes % 2, lanes, durations, np.minimum(tails, durations))
    builder.services = Services(served, np.array([draw(st.integers(0, 1)) for _ in served], dtype=np.int64))
    return builder.program()
