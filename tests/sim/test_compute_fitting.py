"""Calibration: known numbers are found again, priors hold where nothing was measured, versions are kept and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from etgraph.model import Metadata, Source, Trace
from etgraph.model.errors import MissingData
from etgraph.sim.compute import fit
from etgraph.sim.compute.formulas import modelled_ns
from etgraph.sim.compute.libraries import libraries_of
from etgraph.sim.compute.rates import NUMBERS, is_calibrated, priors, rates_from, rates_of
from etgraph.sim.compute.units import units_of
from support.build import build
from support.devices import H100, MI300X, worked
from support.kinds import kind, matmul


def adding(rows: int, ns: int) -> str:
    return f"""
        aten::add   {rows}x1024 float | {rows}x1024 float | 1
          > elementwise_kernel {ns}"""


def multiplying(m: int, n: int, k: int, ns: int) -> str:
    return f"""
        aten::mm   {m}x{k} c10::BFloat16 | {k}x{n} c10::BFloat16
          > gemm {ns}"""


def on_a_device_with(numbers: dict[str, float], lines: Sequence[Callable[[int], str]]) -> Trace:
    """The trace of a device with those numbers, all others as expected; its times follow the formulas."""
    logs, _ = priors(H100)
    for name, value in numbers.items():
        logs[list(NUMBERS).index(name)] = np.log(value)
    units = units_of(worked("".join(line(1) for line in lines)))
    times = modelled_ns(units.kinds, H100, rates_from(logs, H100))[units.kind].tolist()
    return worked("".join(line(round(ns)) for line, ns in zip(lines, times, strict=True)))


def test_known_numbers_are_found_again() -> None:
    lines = [partial(adding, rows) for rows in (*range(1, 31), *range(1 << 17, (1 << 17) + 60))]
    found = fit(on_a_device_with({"memory": 0.65, "floor of elementwise": 2_500}, lines), H100).families["elementwise"]
    assert found.floor_ns == pytest.approx(2_500, rel=0.02)
    assert found.bandwidth == pytest.approx(0.65 * H100.memory_bandwidth, rel=0.02)
    assert (found.samples, found.smallest, found.largest) == (90, 3 * 4 * 1024, 3 * 4 * 1024 * ((1 << 17) + 59))
    assert found.log_error == 0.2  # the least that is ever told of an operator that was not measured


def test_a_device_slower_in_products_is_found_to_be_slower() -> None:
    lines = [partial(multiplying, 8192, n, 8192) for n in range(4096, 8192, 64)]
    found = fit(on_a_device_with({"matmul": 0.5}, lines), H100).families["matmul"]
    assert found.flops is not None
    assert found.flops / H100.matrix_flops["bf16"] == pytest.approx(0.5, rel=0.02)
    assert found.misalignment is None


def test_one_small_operator_moves_little_and_only_its_family() -> None:
    found = fit(worked(adding(1, 6_000)), H100)
    assert set(found.families) == {"elementwise"}
    floor = found.families["elementwise"].floor_ns
    assert 1_500 < floor < 6_000
    assert found.families["elementwise"].bandwidth == pytest.approx(0.87 * H100.memory_bandwidth, rel=0.01)


def test_an_outlier_pulls_no_harder_the_further_it_lies() -> None:
    usual = "".join(adding(rows, 1_600) for rows in (1, 2, 3, 4, 5, 6))
    near, far = (
        fit(worked(usual + adding(7, ns)), H100).families["elementwise"].floor_ns for ns in (20_000, 2_000_000)
    )
    assert far == pytest.approx(near, rel=0.01)


def test_several_traces_are_fitted_together_and_repetitions_count_once() -> None:
    first, second = worked(adding(1, 1_800)), worked(adding(1 << 16, 400_000))
    both = fit([first, second], H100)
    assert both.families["elementwise"].samples == 2
    assert fit(worked(adding(1, 1_800) * 50), H100).families == fit(first, H100).families
    assert fit([first, worked(adding(1, 1_800) * 2)], H100).families == fit(first, H100).families


def test_without_recorded_dims_there_is_nothing_to_fit() -> None:
    with pytest.raises(MissingData, match="recorded dims"):
        fit(build("rank 0 | stream 7 | gemm   0..20"), H100)


def test_calibrated_is_what_was_measured_in_family_size_and_alignment() -> None:
    trace = worked(multiplying(1024, 1024, 1024, 9_000) + multiplying(4096, 4096, 4096, 200_000) + adding(64, 2_000))
    rates = rates_of(H100, fit(trace, H100))
    inside, larger, smaller = matmul(2048, 2048, 2048), matmul(8192, 8192, 8192), matmul(512, 512, 512)
    misaligned, other = matmul(2048, 2047, 2048, aligned=False), kind("copy", 0, 1e6)
    assert [bool(is_calibrated(k, rates)[0]) for k in (inside, larger, smaller, misaligned, other)] == [True] + [
        False
    ] * 4
    assert not is_calibrated(inside, rates_of(MI300X))[0]


DOCUMENT = {
    "cuda_runtime_version": 12040,
    "metadata": {
        "system": {
            "torch_env_info": {"torch_version": "2.6.0+cu124", "hip_compiled_version": "N/A"},
            "pip_packages": ["numpy==1.26.4", "nvidia-cublas-cu12==12.4.5.8", "triton==3.2.0"],
            "env": {"SECRET": "x", "torch_version": "of another", "pip_packages": ["triton==0"]},
        }
    },
}


def test_versions_of_libraries_are_kept_and_nothing_else() -> None:
    trace = worked(adding(1, 1_800))
    source = Source("a.json", "kineto", 0, 1, "0" * 64, document=DOCUMENT)
    metadata = Metadata(sources=(source,), device_model="NVIDIA H100")
    found = fit(replace(trace, metadata=metadata), H100)
    assert found.libraries == {
        "cuda runtime": "12040", "nvidia-cublas-cu12": "12.4.5.8", "torch": "2.6.0+cu124", "triton": "3.2.0",
    }  # fmt: skip
    assert found.fitted_on == "NVIDIA H100"
    assert libraries_of([trace]) == {}
