"""Formulas of work: monotone, above the roofline, with the effects that products are known for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.families import FAMILIES
from etgraph.sim.compute.formulas import modelled_ns, roofline_ns, work_ns
from etgraph.sim.compute.kinds import Kinds
from etgraph.sim.compute.products import FP8, FP32, FP64, HALF, TF32
from etgraph.sim.compute.rates import NUMBERS, peak, priors, rates_from, rates_of, vector_peak
from etgraph.sim.profiles import Calibration, Device, FamilyFit
from support.devices import H100, MI300X, V100
from support.kinds import kind, kinds, matmul

DEVICES = (H100, MI300X, V100)


def work(kinds: Kinds, device: Device = H100) -> float:
    return float(work_ns(kinds, device, rates_of(device))[0])


@given(kinds(), st.sampled_from(DEVICES), st.lists(st.floats(-2.0, 2.0), min_size=len(NUMBERS), max_size=len(NUMBERS)))
def test_no_work_is_done_faster_than_the_datasheet_allows(kinds: Kinds, device: Device, away: list[float]) -> None:
    """Whatever a fit may give: shares of a peak stay below one."""
    logs, spread = priors(device)
    rates = rates_from(logs + spread * np.array(away), device)
    least, found = roofline_ns(kinds, device), work_ns(kinds, device, rates)
    assert np.isfinite(found).tolist() == kinds.known.tolist()
    assert (found >= least * (1 - 1e-9))[kinds.known].all()


@given(kinds(), st.sampled_from(DEVICES), st.sampled_from(["flops", "bytes", "m", "n", "k", "batch"]), st.floats(1, 9))
def test_more_work_takes_no_less_time(kinds: Kinds, device: Device, what: str, factor: float) -> None:
    more = replace(kinds, **{what: getattr(kinds, what) * factor})
    if what in ("m", "n", "k", "batch") and np.isfinite(getattr(kinds, what)[0]):
        more = replace(more, flops=more.flops * factor)
    assert work(more, device) >= work(kinds, device) * (1 - 1e-9) or not kinds.known[0]


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"matmul", "convolution", "attention"}))
def test_what_memory_limits_takes_time_in_proportion_to_its_bytes(family: str) -> None:
    once, twice = (work(kind(family, 0, size)) for size in (1e9, 2e9))
    assert twice == pytest.approx(2 * once)
    assert 1e9 / H100.memory_bandwidth * 1e9 < once < 3 * 1e9 / H100.memory_bandwidth * 1e9


def test_large_products_and_streams_reach_the_published_shares_of_the_peaks() -> None:
    for device, share, stream in ((H100, 0.73, 0.87), (MI300X, 0.50, 0.80)):
        large = matmul(16384, 16384, 16384)
        reached = float(large.flops[0]) / work(large, device) * 1e9
        assert reached / device.matrix_flops["bf16"] == pytest.approx(share, rel=0.05)
        assert 1e9 / work(kind("copy", 0, 1e9), device) * 1e9 / device.memory_bandwidth == pytest.approx(stream)


def test_one_tile_more_than_there_are_units_takes_another_wave() -> None:
    """133 tiles of 256×256 keep one SM of 132 busy for as long again as the rest."""
    full, more = matmul(132 * 256, 256, 8192), matmul(133 * 256, 256, 8192)
    assert work(more) > 1.05 * work(full)
    assert work(matmul(2 * 132 * 256, 256, 8192)) == pytest.approx(2 * work(full), rel=0.01)


def test_small_products_use_small_tiles_to_fill_the_device() -> None:
    """A product of 128×128 on one SM alone would take as long as one of 16 times as many tiles."""
    alone = 2 * 128 * 128 * 4096 / (0.73 * H100.matrix_flops["bf16"] / H100.units) * 1e9
    assert work(matmul(128, 128, 4096)) < 0.5 * alone


def test_misaligned_rows_cost_a_factor_and_more_kernels_more_floors() -> None:
    assert work(matmul(4096, 4095, 4096, aligned=False)) == pytest.approx(2 * work(matmul(4096, 4095, 4096)))
    one, three = (modelled_ns(kind("copy", 0, 1e6, kernels=n), H100, rates_of(H100))[0] for n in (1, 3))
    assert three - one == pytest.approx(2 * 1500)
    alone, helped = (
        modelled_ns(replace(matmul(8, 8, 8), kernels=np.array([1 + n]), helpers=np.array([n])), H100, rates_of(H100))[0]
        for n in (0, 2)
    )
    assert helped - alone == pytest.approx(2 * 1500)


def test_the_queries_of_an_attention_decide_how_many_units_work() -> None:
    few, many = (kind("attention", 1e10, 1e6, (rows, np.nan, np.nan, np.nan)) for rows in (128.0, 128.0 * 132))
    assert work(few) == pytest.approx(132 * work(many))


def test_the_peak_of_a_number_format() -> None:
    assert peak(H100, HALF) == 989.4e12
    assert peak(MI300X, FP32) == 163.4e12
    assert (peak(V100, TF32), peak(V100, FP8), peak(V100, HALF)) == (15.7e12, 125e12, 125e12)
    assert vector_peak(V100, FP64) == 7.8e12
    bare = replace(V100, matrix_flops={}, vector_flops={})
    assert np.isinf([peak(bare, HALF), vector_peak(bare, HALF)]).all()


def test_a_calibration_replaces_what_is_expected_family_by_family() -> None:
    fitted = FamilyFit(2000, bandwidth=1e12, flops=494.7e12, misalignment=3.0, feed=10.0, samples=2)
    rates, expected = rates_of(H100, Calibration({"matmul": fitted})), rates_of(H100)
    at, other = FAMILIES.index("matmul"), FAMILIES.index("copy")
    assert (rates.floor_ns[at], rates.bandwidth[at], rates.efficiency[at]) == (2000, 1e12, 0.5)
    assert (rates.misalignment[at], rates.feed[at], rates.fitted[at], rates.fitted[other]) == (3.0, 10.0, True, False)
    assert (rates.floor_ns[other], rates.bandwidth[other]) == (expected.floor_ns[other], expected.bandwidth[other])


def test_a_profile_may_name_floors() -> None:
    named = replace(H100, floors_ns={"matmul": 9000})
    assert rates_of(named).floor_ns[FAMILIES.index("matmul")] == pytest.approx(9000)


def test_kinds_without_known_work_have_no_time_of_their_own() -> None:
    nothing = kind("matmul", np.nan, 1e6)
    assert np.isnan([work(nothing), roofline_ns(nothing, H100)[0]]).all()
