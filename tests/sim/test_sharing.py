"""Fair sharing of links: against exact fractions, and by the laws that define it."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.sim.communication import sharing
from etgraph.sim.communication.sharing import fair_rates, share
from support import slow_sharing

LINKS = 5
networks = st.tuples(
    st.lists(st.lists(st.integers(0, LINKS - 1), unique=True, max_size=LINKS), min_size=1, max_size=8),
    st.lists(st.fractions(Fraction(1, 8), 100, max_denominator=8), min_size=LINKS, max_size=LINKS),
)


def rows(flows: list[list[int]]) -> tuple[Array, Array]:
    """Links of flows in compressed rows."""
    offsets = np.cumsum([0, *map(len, flows)])
    return offsets, np.array([link for links in flows for link in links], dtype=np.int64)


def test_a_link_is_shared_equally_and_what_others_cannot_use_is_left_to_who_can() -> None:
    # Flows a and b share link 0; b also passes link 1 with c, which is wide.
    offsets, links = rows([[0], [0, 1], [1]])
    assert fair_rates(offsets, links, np.array([10.0, 100.0])).tolist() == [5, 5, 95]


def test_a_transfer_slows_down_while_another_runs_and_not_longer() -> None:
    offsets, links = rows([[0], [0]])
    # 10 bytes/ns: alone until 50, half of it until b is through at 150, then alone again.
    end = share(np.array([0, 50]), np.array([2000, 500]), offsets, links, np.array([10.0]))
    assert end.tolist() == [250, 150]


def test_nothing_to_send_and_nowhere_to_pass_take_no_time() -> None:
    offsets, links = rows([[0], [], [0]])
    assert share(np.array([7, 8, 9]), np.array([0, 100, 10]), offsets, links, np.array([10.0])).tolist() == [7, 8, 10]


def test_an_end_within_a_nanosecond_is_rounded_up() -> None:
    offsets, links = rows([[0]])
    assert share(np.array([5]), np.array([10]), offsets, links, np.array([3.0])).tolist() == [9]


@given(networks)
def test_rates_are_max_min_fair(network: tuple[list[list[int]], list[Fraction]]) -> None:
    flows, capacity = network
    rates = fair_rates(*rows(flows), np.array([float(c) for c in capacity]))
    load = [sum(rate for rate, links in zip(rates, flows) if link in links) for link in range(LINKS)]
    for link in range(LINKS):
        assert load[link] <= float(capacity[link]) * (1 + 1e-9)
    for flow, links in enumerate(flows):
        if not links:
            assert np.isinf(rates[flow])
            continue
        # By definition: some link on its way is full, and nobody has more of it.
        assert any(
            load[link] >= float(capacity[link]) * (1 - 1e-9)
            and rates[flow] >= max(r for r, others in zip(rates, flows) if link in others) * (1 - 1e-9)
            for link in links
        )
    exact = slow_sharing.fair_rates(flows, capacity)
    assert [r for r in rates if np.isfinite(r)] == pytest.approx([float(e) for e, f in zip(exact, flows) if f])


@given(networks, st.data())
def test_ends_are_those_of_exact_arithmetic(
    network: tuple[list[list[int]], list[Fraction]], data: st.DataObject
) -> None:
    flows, capacity = network
    n = len(flows)
    start = data.draw(st.lists(st.sampled_from([0, 0, 10, 11, 500, 10**15]), min_size=n, max_size=n))
    size = data.draw(st.lists(st.sampled_from([0, 1, 37, 1000, 1000, 12_345, 10**9]), min_size=n, max_size=n))
    end = share(np.array(start), np.array(size), *rows(flows), np.array([float(c) for c in capacity]))
    for found, exact in zip(end.tolist(), slow_sharing.ends(start, size, flows, capacity)):
        assert found - 1 <= ceil(exact) <= found + 1
    again = np.random.default_rng(len(flows)).permutation(n)
    shuffled = share(
        np.array(start)[again], np.array(size)[again], *rows([flows[f] for f in again]),
        np.array([float(c) for c in capacity]),
    )  # fmt: skip
    assert np.abs(shuffled - end[again]).max() <= 1


@given(st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 10_000)), min_size=1, max_size=12))
def test_a_link_that_has_work_is_never_idle(transfers: list[tuple[int, int]]) -> None:
    start, size = (np.array(column) for column in zip(*transfers))
    end = share(start, size, *rows([[0]] * len(start)), np.array([4.0]))
    # However the link is shared, it ends when a queue would: work conservation.
    free = 0.0
    for moment, bytes in sorted(transfers):
        free = max(free, moment) + bytes / 4
    assert end.max() == pytest.approx(free, abs=1.01)
    assert (end - start >= np.floor(size / 4)).all()


def test_machine_code_and_plain_python_give_the_same() -> None:
    random = np.random.default_rng(0)
    flows = [random.choice(20, random.integers(1, 4), replace=False).tolist() for _ in range(200)]
    arguments = (
        random.integers(0, 5_000, 200), random.integers(0, 50_000, 200).astype(np.float64), *rows(flows),
        random.uniform(1, 50, 20), np.arange(200), 10**9, sharing.NEVER,
    )  # fmt: skip
    order = np.argsort(arguments[0], kind="stable")
    arguments = (*arguments[:5], order, *arguments[6:])
    for plain, compiled in zip(sharing._run.python(*arguments), sharing._run.compiled(*arguments)):
        assert plain.tolist() == compiled.tolist()


def test_a_link_without_capacity_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"link 1 has a capacity of 0.0 bytes/ns"):
        fair_rates(*rows([[0, 1]]), np.array([1.0, 0.0]))
    with pytest.raises(UsageError, match="passes link 3 of 2 links"):
        fair_rates(*rows([[3]]), np.array([1.0, 1.0]))
    with pytest.raises(UsageError, match="flow 0 has -1 bytes"):
        share(np.array([0]), np.array([-1]), *rows([[0]]), np.array([1.0]))


def test_a_transfer_ends_however_late_it_is_and_fast_the_link() -> None:
    # So late that the clock's last digit is longer than what rounding leaves to be sent.
    n = 40
    start, size = np.arange(n) * 10**14, np.full(n, 10**17 + 7)
    end = share(start, size, *rows([[0]] * n), np.array([900.0]))
    assert end.max() == pytest.approx(n * (10**17 + 7) / 900, rel=1e-9)
