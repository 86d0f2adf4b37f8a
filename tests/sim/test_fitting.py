"""α–β fits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import CommType
from etgraph.sim.communication import fit
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.communication.fitting import line
from etgraph.sim.communication.levels import span_of
from etgraph.sim.communication.libraries import NCCL, cheapest
from etgraph.sim.communication.transfers import Measured
from support.communication import NVLINK, profile, timed

PAIR = (0, 1)


def all_reduces(sizes: list[int], cost: Callable[[int], float], library: str = "gloo") -> Measured:
    return timed([(CommType.ALL_REDUCE, size, PAIR, round(cost(size))) for size in sizes], library)


def test_exact_times_give_the_parameters_back() -> None:
    (found,) = fit(all_reduces([1000, 5000, 20_000], lambda size: 300 + 0.5 * size))
    # Of two ranks' all-reduce, each sends the whole size.
    assert (found.alpha_ns, found.beta_ns_per_byte) == (pytest.approx(300), pytest.approx(0.5))
    assert (found.type, found.size, found.library, found.samples) == ("all_reduce", 2, "gloo", 3)
    assert (found.smallest, found.largest, found.assumed) == (1000, 20_000, "")


def test_the_slope_is_that_of_the_bytes_moved() -> None:
    rows = [(CommType.ALL_GATHER, size, range(4), 100 + size) for size in (4000, 16_000)]
    (found,) = fit(timed(rows))
    assert found.beta_ns_per_byte == pytest.approx(4 / 3)  # three quarters of the gathered size come from others


def test_a_third_of_the_times_far_too_long_change_nothing() -> None:
    random = np.random.default_rng(0)
    sizes = np.repeat([1_000, 4_000, 16_000, 64_000], 30)
    late = random.random(len(sizes)) < 1 / 3
    (found,) = fit(timed([
        (CommType.ALL_REDUCE, int(size), PAIR, int((2_000 + size) * random.normal(1, 0.01) + 90_000 * stalled))
        for size, stalled in zip(sizes, late)
    ]))  # fmt: skip
    assert found.alpha_ns == pytest.approx(2_000, rel=0.05)
    assert found.beta_ns_per_byte == pytest.approx(1, rel=0.05)
    assert found.above_ns > 50_000  # and the interval says that stalls happen


@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.integers(1, 10**9)), min_size=1, max_size=12),
    st.sampled_from([int(CommType.ALL_REDUCE), int(CommType.BROADCAST), MESSAGE]), st.sampled_from(["nccl", "gloo"]),
)  # fmt: skip
def test_no_parameter_is_ever_below_zero(samples: list[tuple[int, int]], type: int, library: str) -> None:
    measured = timed([(type, size, PAIR, ns) for size, ns in samples], library)
    for tiers in ((), (NVLINK,)):
        for found in fit(measured, profile(*tiers)):
            assert found.alpha_ns >= 0
            assert found.beta_ns_per_byte >= 0
            assert found.scale is None or found.scale >= 0
            assert found.log_error > 0
            assert 0 < found.low <= 1 <= found.high


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), min_size=2, max_size=9))
def test_no_line_through_two_samples_is_better(samples: list[tuple[int, int]]) -> None:
    work, time = (np.array(column, dtype=np.float64) for column in zip(*samples))
    work += np.arange(len(work)) * 1e-3  # all of another size, so that medians are the samples
    found = line(work, time)
    for i in range(len(work)):
        for j in range(i):
            slope = (time[i] - time[j]) / (work[i] - work[j])
            alpha = time[i] - slope * work[i]
            if slope >= 0 and alpha >= 0:
                assert found.error <= np.abs(np.log((alpha + slope * work) / time)).mean() + 1e-9


def test_sizes_that_are_nearly_equal_do_not_tell_latency_from_slope() -> None:
    (found,) = fit(all_reduces([2_000_000, 2_100_000, 2_200_000], lambda size: 2.5e6 - size))
    assert found.assumed == "alpha"
    assert found.alpha_ns == 200_000  # two steps of what is assumed of gloo
    assert found.beta_ns_per_byte > 0


def test_where_protocols_bend_the_line_their_shape_is_scaled() -> None:
    ranks, v100 = range(8), profile(NVLINK)
    span = span_of([NVLINK], ranks)

    def cost(size: float) -> float:
        modelled = cheapest(NCCL, CommType.ALL_REDUCE, span, np.array([size]))
        assert modelled is not None
        return 3_000 + 1.5 * float(modelled.duration_ns[0])

    sizes = [256, 65_536, 1 << 20, 8 << 20]
    measured = timed([(CommType.ALL_REDUCE, s, ranks, round(cost(s))) for s in sizes], "nccl")
    (found,) = fit(measured, v100)
    assert (found.scale, found.alpha_ns) == (pytest.approx(1.5, rel=1e-3), pytest.approx(3_000, rel=1e-2))
    assert found.tier == "nvlink"
    (straight,) = fit(measured)
    assert straight.scale is None


def test_few_samples_are_not_taken_for_certain() -> None:
    (two,) = fit(all_reduces([1000, 9000], lambda size: size))
    (many,) = fit(all_reduces([1000, 9000] * 100, lambda size: size))
    assert two.log_error > 5 * many.log_error > 0


def test_groups_types_and_tiers_are_fitted_apart() -> None:
    tiers = (NVLINK, NVLINK.__class__("ib", "switch", 2, 25e9, 2_000))
    rows = [(CommType.ALL_REDUCE, 1000, (0, 1), 10), (CommType.ALL_REDUCE, 1000, (0, 8), 99),
            (CommType.ALL_GATHER, 1000, (0, 1), 10), (MESSAGE, 1000, (1, 0), 10)]  # fmt: skip
    found = fit(timed(rows), profile(*tiers))
    assert sorted((one.type, one.tier) for one in found) == [
        ("all_gather", "nvlink"), ("all_reduce", "ib"), ("all_reduce", "nvlink"), ("message", "nvlink"),
    ]  # fmt: skip


def test_nothing_measured_gives_no_fit() -> None:
    assert fit(timed([])) == ()
