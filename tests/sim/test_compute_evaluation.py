"""Cross-hardware prediction: how two devices' traces are aligned, and how good predictions of real ones are."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.errors import MissingData
from etgraph.sim.compute import Calibrated, Measured, Scaled, fit
from etgraph.sim.compute.evaluation import CrossHardware, computation_rows, cross_hardware
from etgraph.sim.profiles import Device
from support.build import build
from support.devices import H100, MI300X, worked

ONE = """
    aten::_convolution          8x64x56x56 float | 64x64x3x3 float
      aten::cudnn_convolution   8x64x56x56 float | 64x64x3x3 float | [1, 1] | [1, 1] | [1, 1] | 1
        > nchwToNhwc 5000
        > implicit_gemm 90000
      aten::add_                8x64x56x56 float | 1x64x1x1 float
        > elementwise_kernel 6000
    aten::cat                   - | 0
      > CatArrayBatchedCopy 4000
"""
OTHER = """
    aten::_convolution           8x64x56x56 float | 64x64x3x3 float
      aten::miopen_convolution   8x64x56x56 float | 64x64x3x3 float | [1, 1] | [1, 1] | [1, 1] | 1
        > igemm_fwd 60000
        aten::add_               8x64x56x56 float | 1x64x1x1 float
          > elementwise_kernel 7000
    aten::cat                    - | 0
      > CatArrayBatchedCopy_contig 3000
      > CatArrayBatchedCopy_rest 3000
"""


def test_devices_align_by_the_launching_operator_whatever_libraries_and_kernels() -> None:
    found = cross_hardware(worked(ONE), worked(OTHER), Measured(), H100, MI300X)
    assert (found.operators, found.unaligned_share) == (3, 0.0)
    assert (found.predicted_ns, found.measured_ns) == (105_000, 73_000)
    assert found.operator_error == pytest.approx(np.mean([95 / 60 - 1, 1 - 6 / 7, 1 - 4 / 6]))
    assert found.naive["same time"] == pytest.approx(105 / 73 - 1)
    assert found.naive["ratio of bandwidths"] == pytest.approx(105 / 73 * 3.35 / 5.3 - 1)


def test_what_only_one_device_runs_is_told() -> None:
    found = cross_hardware(
        worked(ONE), worked(OTHER + "aten::neg  4 float\n      > neg 7300"), Measured(), H100, MI300X
    )
    assert (found.operators, found.measured_ns) == (3, 80_300)
    assert found.unaligned_share == pytest.approx(7_300 / 80_300)


def test_traces_of_different_models_are_refused() -> None:
    with pytest.raises(MissingData, match="in common"):
        cross_hardware(worked(ONE), worked("    aten::neg  4 float\n      > neg 7300"), Measured(), H100, MI300X)


def test_the_truth_is_what_an_iteration_launched_without_copies() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1   100..200
        rank 0 | thread 1 | aten::mm                   110..140
        rank 0 | thread 1 | cudaLaunchKernel           120..130   -> gemm
        rank 0 | stream 7 | before                      10..105
        rank 0 | stream 7 | gemm                       150..170
        rank 0 | stream 7 | Memset                     180..185
        rank 0 | stream 7 | Memcpy                     190..195
    """)
    names = [trace.operators.value("name", row) for row in computation_rows(trace).tolist()]
    assert "Memcpy" not in names
    assert "gemm" in names
    assert cross_hardware(trace, trace, Measured(), H100, H100).left_over_ns >= 95


MODELS = {"bert": "gaunernst_bert-small-uncased__1016001", "nsfw": "Falconsai_nsfw_image_detection__1016002"}
DEVICES: dict[str, Device] = {"h100": H100, "mi300": MI300X}


@cache
def recorded(folder: Path, device: str, model: str) -> Trace:
    return read(folder / "tracelens" / device / f"{MODELS[model]}.json.gz")


def held_out(folder: Path, here: str, there: str, model: str, *, scaled: bool = True) -> CrossHardware:
    """Predict a model on another device; both devices are calibrated on the other model only."""
    (other,) = set(MODELS) - {model}
    source, target = (fit(recorded(folder, device, other), DEVICES[device]) for device in (here, there))
    cost = Scaled(DEVICES[here], DEVICES[there], source, target) if scaled else Calibrated(DEVICES[there], target)
    traces = recorded(folder, here, model), recorded(folder, there, model)
    return cross_hardware(*traces, cost, DEVICES[here], DEVICES[there])


CASES = [(here, there, model) for here, there in itertools.permutations(DEVICES, 2) for model in MODELS]


def test_the_truth_of_the_recorded_models(collection_dir: Path) -> None:
    measured = {
        (device, model): round(float(trace.operators["duration_ns"][computation_rows(trace)].sum()) / 1e6, 4)
        for device in DEVICES
        for model in MODELS
        for trace in [recorded(collection_dir, device, model)]
    }
    assert measured == {
        ("h100", "bert"): 0.3072, ("h100", "nsfw"): 1.2253, ("mi300", "bert"): 0.3883, ("mi300", "nsfw"): 1.7163,
    }  # fmt: skip


def test_another_models_calibration_predicts_computation_within_12_per_cent(collection_dir: Path) -> None:
    """Calibrated on one model, predicted for the other, both directions; every operator has its partner."""
    found = [held_out(collection_dir, *case) for case in CASES]
    assert np.mean([abs(one.error) for one in found]) <= 0.12
    assert all(one.holds for one in found)
    assert [one.unaligned_share for one in found] == [0.0] * 4
    assert all(one.unknown_share == 0 and 0 < one.extrapolated_share < 0.6 for one in found)
    for name in found[0].naive:
        assert np.mean([abs(one.naive[name]) for one in found]) > 2 * np.mean([abs(one.error) for one in found])


def test_intervals_of_operators_hold_nine_times_of_ten(collection_dir: Path) -> None:
    found = [held_out(collection_dir, *case) for case in CASES]
    covered = sum(one.covered * one.operators for one in found) / sum(one.operators for one in found)
    assert 0.8 <= covered <= 0.97


def test_formulas_alone_are_within_their_intervals(collection_dir: Path) -> None:
    found = [held_out(collection_dir, *case, scaled=False) for case in CASES]
    assert np.mean([abs(one.error) for one in found]) <= 0.12
    assert all(one.holds for one in found)
