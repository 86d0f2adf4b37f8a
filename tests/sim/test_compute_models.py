"""The cost models: what each says of an operator, from where and how sure; scaling there and back changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.sim.compute import Calibrated, CostModel, Measured, Predictions, Roofline, Scaled, Unpredicted, summary
from etgraph.sim.compute.formulas import modelled_ns, roofline_ns, work_ns
from etgraph.sim.compute.intervals import NINETY, UNCALIBRATED, WITHOUT_DIMS, bounds, total_interval
from etgraph.sim.compute.rates import rates_of
from etgraph.sim.compute.unit_times import KEPT, NOTHING_KNOWN, WORK_UNKNOWN
from etgraph.sim.compute.units import units_of
from etgraph.sim.profiles import Calibration, Device, FamilyFit
from support.build import build
from support.devices import H100, MI300X, V100, worked
from support.random_traces import traces

OPERATORS = {
    "attention": """
        aten::_flash_attention_forward {0} | {0} | {0} | - | - | 512 | 512 | 0.0 | false | false
          > flash_fwd {ns}""".replace("{0}", "4x512x8x64 c10::BFloat16"),
    "convolution": """
        aten::cudnn_convolution  8x64x56x56 float | 64x64x3x3 float | [1, 1] | [1, 1] | [1, 1] | 1
          > implicit_gemm {ns}""",
    "embedding": """
        aten::index_select  30000x512 float | 0 | 4096 long int
          > indexSelectLargeIndex {ns}""",
    "reduction": """
        aten::sum  4096x4096 float | [0]
          > reduce_kernel {ns}""",
    "normalisation": """
        aten::native_layer_norm  4096x1024 float | - | 1024 float | 1024 float | 1e-5
          > layer_norm_kernel {ns}""",
    "elementwise": """
        aten::add  4096x4096 float | 4096x4096 float | 1
          > elementwise_kernel {ns}""",
    "copy": """
        aten::copy_  4096x4096 float | 4096x4096 float
          > copy_kernel {ns}""",
    "matmul": """
        aten::mm  4096x1024 c10::BFloat16 | 1024x4096 c10::BFloat16
          > gemm {ns}""",
}
"""An operator of each family, with one kernel."""


def kernels(trace: Trace) -> np.ndarray:
    return np.flatnonzero(units_of(trace).of >= 0)


def one(model: CostModel, trace: Trace) -> Predictions:
    """The prediction of the only kernel."""
    found = model.predict(trace, kernels(trace))
    assert len(found.duration_ns) == 1
    return found


def said(found: Predictions) -> list[str]:
    return [found.sources[source] for source in found.source.tolist()]


@pytest.mark.parametrize("family", OPERATORS)
@pytest.mark.parametrize("target", [MI300X, V100], ids=lambda device: device.name)
def test_scaling_there_and_back_returns_the_measurement(family: str, target: Device) -> None:
    text = OPERATORS[family]
    kinds = units_of(worked(text.format(ns=1))).kinds
    here = rates_of(H100)
    floor, work = modelled_ns(kinds, H100, here) - work_ns(kinds, H100, here), work_ns(kinds, H100, here)
    for residual in (0.5, 1.0, 3.0):  # beyond a quarter and four times, a residual is not carried over
        measured = round(float((floor + residual * work)[0]))
        there = one(Scaled(H100, target), worked(text.format(ns=measured)))
        back = one(Scaled(target, H100), worked(text.format(ns=int(there.duration_ns[0]))))
        assert int(back.duration_ns[0]) == pytest.approx(measured, abs=3, rel=1e-3)


@pytest.mark.parametrize("family", OPERATORS)
def test_no_model_is_faster_than_the_roofline(family: str) -> None:
    trace = worked(OPERATORS[family].format(ns=900_000))
    least = roofline_ns(units_of(trace).kinds, MI300X)[0]
    for model in (Roofline(MI300X), Calibrated(MI300X), Scaled(H100, MI300X)):
        found = one(model, trace)
        assert found.duration_ns[0] >= least - 1
        assert found.low_ns[0] <= found.duration_ns[0] <= found.high_ns[0]
        assert found.known.all()


def test_the_floor_is_kept_apart_and_memory_scales_by_bandwidth() -> None:
    trace = worked(OPERATORS["elementwise"].format(ns=101_500))
    found = one(Scaled(H100, MI300X), trace)
    assert found.duration_ns[0] == round(2_500 + 100_000 * H100.memory_bandwidth / MI300X.memory_bandwidth)
    assert said(found) == ["scaled from H100 SXM to MI300X by their bandwidths"]


def test_a_residual_counts_four_times_at_most_and_a_quarter_at_least() -> None:
    rates = rates_of(H100)
    work = float(work_ns(units_of(worked(OPERATORS["copy"].format(ns=1))).kinds, H100, rates)[0])
    ratio = H100.memory_bandwidth / MI300X.memory_bandwidth
    for measured, counted in ((10_000_000, 4 * work), (1_600, work / 4)):
        found = one(Scaled(H100, MI300X), worked(OPERATORS["copy"].format(ns=measured)))
        assert found.duration_ns[0] == pytest.approx(2_500 + counted * ratio, abs=1)


@given(st.sampled_from(sorted(OPERATORS)), st.integers(0, 10**7), st.integers(0, 10**7))
def test_what_took_longer_is_predicted_to_take_no_less(family: str, first: int, second: int) -> None:
    times = (one(Scaled(H100, MI300X), worked(OPERATORS[family].format(ns=ns))) for ns in sorted((first, second)))
    shorter, longer = (int(found.duration_ns[0]) for found in times)
    assert shorter <= longer


LARGE = FamilyFit(1500, bandwidth=1.0e12, samples=3, smallest=1e8, largest=1e9)


def test_calibrated_bandwidths_replace_the_datasheets_where_both_were_measured_on_large_operators() -> None:
    trace = worked(OPERATORS["copy"].format(ns=101_500))
    here, there = Calibration({"copy": LARGE}), Calibration({"copy": LARGE})
    both = one(Scaled(H100, MI300X, here, there), trace)
    assert (both.duration_ns[0], both.extrapolated[0]) == (101_500, False)
    assert said(both) == ["scaled from H100 SXM to MI300X"]
    single = one(Scaled(H100, MI300X, here, None), trace)
    assert said(single) == ["scaled from H100 SXM to MI300X by their bandwidths"]
    assert single.extrapolated[0]
    assert single.high_ns[0] / single.low_ns[0] > both.high_ns[0] / both.low_ns[0]


def test_without_dims_the_family_of_the_kernel_says_how_to_scale_and_the_interval_is_wider() -> None:
    trace = build("""
        rank 0 | stream 7 | a: CatArrayBatchedCopy      0..101500
        rank 0 | stream 7 | b: ampere_sgemm        200000..304000
    """)
    found = Scaled(H100, MI300X).predict(trace, np.arange(2))
    bandwidths = H100.memory_bandwidth / MI300X.memory_bandwidth
    peaks = 0.73 * H100.matrix_flops["bf16"] / (0.5 * MI300X.matrix_flops["bf16"])
    copied, multiplied = 2_500 + 100_000 * bandwidths, 4_000 + 100_000 * (peaks * bandwidths) ** 0.5
    assert found.duration_ns.tolist() == pytest.approx([copied, multiplied], abs=1)
    assert said(found) == ["scaled from H100 SXM to MI300X by family: its work is not recorded"] * 2
    assert found.log_error.tolist() == [WITHOUT_DIMS] * 2
    assert found.extrapolated.all()


def test_what_the_device_does_not_compute_keeps_its_time_and_is_said_to_be_unknown() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::add          0..9
        rank 0 | stream 7 | all_reduce 4MB    10..20
        rank 0 | stream 7 | kernel            20..30
    """)
    found = Scaled(H100, MI300X).predict(trace, np.array([0, 1]))
    assert (found.duration_ns.tolist(), found.low_ns.tolist(), found.high_ns.tolist()) == ([9, 10],) * 3
    assert said(found) == [KEPT, KEPT]
    assert not found.known.any()


def test_what_the_formulas_do_not_know_keeps_its_time_and_a_trace_without_times_gets_floors() -> None:
    trace = build("rank 0 | stream 7 | mystery   0..777")
    found = Calibrated(MI300X).predict(trace, np.array([0]))
    assert (int(found.duration_ns[0]), bool(found.known[0]), said(found)) == (777, False, [WORK_UNKNOWN])
    untimed = trace.with_times(
        trace.operators["start_ns"], np.full(1, trace.operators.table.column("duration_ns").null), ""
    )
    for model in (Calibrated(MI300X), Scaled(H100, MI300X)):
        found = model.predict(untimed, np.array([0]))
        assert (int(found.duration_ns[0]), bool(found.known[0]), said(found)) == (2_500, False, [NOTHING_KNOWN])


def test_a_trace_of_a_host_is_predicted_by_formulas() -> None:
    trace = worked("500 aten::add   4096x4096 float | 4096x4096 float | 1")
    by_formulas, scaled = (
        Calibrated(H100).predict(trace, np.array([0])),
        Scaled(V100, H100).predict(trace, np.array([0])),
    )
    assert scaled.duration_ns.tolist() == by_formulas.duration_ns.tolist()
    assert said(scaled) == ["formulas for H100 SXM: no time was measured"]


def test_a_unit_is_shared_among_its_kernels_as_it_was_measured() -> None:
    text = """
        aten::copy_   4096x4096 float | 4096x4096 float
          > a {}
          > b {}"""
    split, whole = worked(text.format(30_000, 60_000)), worked(text.format(45_000, 45_000))
    first = Scaled(H100, MI300X).predict(split, kernels(split)).duration_ns
    second = Scaled(H100, MI300X).predict(whole, kernels(whole)).duration_ns
    assert first.tolist() == pytest.approx([first.sum() / 3, 2 * first.sum() / 3], abs=1)
    assert first.sum() == pytest.approx(second.sum(), abs=2)


def test_a_summary_names_what_could_not_be_predicted_and_what_was_assumed() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB      0..300
        rank 0 | stream 7 | mystery           300..400
        rank 0 | stream 7 | mystery           400..500
        rank 0 | stream 7 | all_reduce 4MB    500..600
    """)
    rows = np.arange(4)
    found = summary(trace, rows, Calibrated(H100).predict(trace, rows))
    assert found.unpredicted == (Unpredicted("all_reduce", 2, 400, KEPT), Unpredicted("mystery", 2, 200, WORK_UNKNOWN))
    assert (found.duration_ns, found.unknown_share, found.extrapolated_share) == (600, 1.0, pytest.approx(1 / 3))
    assert found.by_source == {KEPT: pytest.approx(2 / 3), WORK_UNKNOWN: pytest.approx(1 / 3)}
    assert found.low_ns < 600 < found.high_ns


@given(traces())
def test_every_row_of_every_trace_gets_a_prediction(trace: Trace) -> None:
    rows = np.arange(len(trace))
    for model in (Measured(), Roofline(MI300X), Calibrated(MI300X), Scaled(H100, MI300X)):
        found = model.predict(trace, rows)
        assert (found.low_ns <= found.duration_ns).all()
        assert (found.duration_ns <= found.high_ns).all()
        assert {found.sources[s] for s in found.source.tolist()} <= set(found.sources)
        assert model.name in found.sources
    recorded = ~trace.operators.is_null("duration_ns")
    measured = Measured().predict(trace, rows)
    assert (measured.duration_ns == np.where(recorded, trace.operators["duration_ns"], 0)).all()
    assert (measured.known == recorded).all()


def predicted(ns: list[float], kind: list[int], family: list[int], error: float = UNCALIBRATED) -> Predictions:
    duration = np.array(ns)
    low, high = bounds(duration, np.full(len(ns), error))
    nothing = np.zeros(len(ns), dtype=np.int8)
    return Predictions(
        duration, low, high, nothing, nothing > 0, nothing == 0, ("",), np.array(kind), np.array(family),
        np.full(len(ns), error),
    )  # fmt: skip


def relative(found: Predictions) -> float:
    """Half the width of the total's interval, in spreads of the logarithm."""
    total, low, high = total_interval(found)
    assert total / low == pytest.approx(high / total)
    return float(np.log(high / total) / NINETY)


def test_errors_of_one_kind_are_one_of_a_family_correlate_by_a_half_and_of_two_are_independent() -> None:
    assert relative(predicted([1, 1], [0, 0], [0, 0])) == pytest.approx(UNCALIBRATED)
    assert relative(predicted([1, 1], [0, 1], [0, 0])) == pytest.approx(UNCALIBRATED * (0.75**0.5))
    assert relative(predicted([1, 1], [0, 1], [0, 1])) == pytest.approx(UNCALIBRATED * (0.5**0.5))
    assert total_interval(predicted([], [], [])) == (0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.floats(1, 1e6), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_interval_of_a_total_is_no_wider_than_that_of_its_parts(parts: list[tuple[float, int]]) -> None:
    """Families are kinds modulo two, so that all correlations occur."""
    ns, kind = [p for p, _ in parts], [k for _, k in parts]
    found = predicted(ns, kind, [k % 2 for k in kind])
    exact = sum(
        a * b * UNCALIBRATED**2 * (1.0 if j == k else 0.5 if j % 2 == k % 2 else 0.0)
        for a, j in parts
        for b, k in parts
    )
    assert relative(found) == pytest.approx(exact**0.5 / sum(ns))
    assert relative(found) <= UNCALIBRATED * (1 + 1e-9)
