"""A profile fitted on measured traces: kernels and collectives, and what cannot be fitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from etgraph.ingest import read
from etgraph.model.errors import MissingData, UsageError
from etgraph.sim.calibrating import calibrated
from etgraph.sim.predict import predict
from etgraph.sim.profiles import dump, load, loads
from support.build import build


def test_a_trace_of_kernels_calibrates_families(collection_dir: Path) -> None:
    folder = collection_dir / "tracelens" / "h100"
    trace = read(sorted(folder.iterdir())[0])
    found = calibrated([trace])
    assert found.device == load("h100-sxm").device
    assert found.calibration is not None
    assert found.calibration.families["matmul"].samples > 0
    assert found.calibration.libraries
    assert loads(dump(found)).calibration == found.calibration


def test_ranks_that_meet_calibrate_collectives(collection_dir: Path) -> None:
    trace = read(collection_dir / "param" / "dlrm_kineto")
    found = calibrated([trace, trace], load("dgx-v100"), "ours")
    assert found.name == "ours"
    assert found.calibration is not None
    assert {(fit.type, fit.samples) for fit in found.calibration.collectives} == {("all_reduce", 6), ("all_to_all", 10)}
    assert predict(trace, found).trust.explained_share == pytest.approx(1, abs=0.05)


def test_an_unknown_device_has_to_be_named() -> None:
    trace = build("rank 0 | stream 7 | all_reduce 4MB 0..9\nrank 1 | stream 7 | all_reduce 4MB 5..9")
    with pytest.raises(UsageError, match="expected one device"):
        calibrated([trace])
    fit = calibrated([trace], load("dgx-h100")).calibration
    assert fit is not None
    assert len(fit.collectives) == 1


def test_a_trace_that_tells_nothing_is_refused() -> None:
    with pytest.raises(MissingData, match=r"recorded dims.*no collective"):
        calibrated([build("rank 0 | stream 7 | k 0..9")], load("h100-sxm"))
