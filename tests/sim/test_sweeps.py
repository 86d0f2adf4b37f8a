"""Sweeps: what points give, in whatever number of processes; what is kept, what fails, what plots show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from etgraph.ingest import read, samples
from etgraph.model import Trace
from etgraph.model.drawing import HeatMap, Points
from etgraph.model.errors import MissingData, StoreError, UsageError
from etgraph.model.workers import LostWorker
from etgraph.queries import breakdown, critical_path
from etgraph.queries.sweep_measures import MEASURES, parts_of_windows, shares_of_path
from etgraph.queries.tables import from_table, to_table
from etgraph.sim.predict import Mismatch, predict
from etgraph.sim.profiles import Calibration, CollectiveFit, FamilyFit, load, with_overrides
from etgraph.sim.profiles.figures import value_at, with_values
from etgraph.sim.sweeps import Grid, KeptPoints, Measure, Setting, Sweep, loads, running, sweep
from etgraph.sim.sweeps.carrying import carried
from etgraph.sim.sweeps.charts import response_of, scatter_of, unit_for
from etgraph.sim.sweeps.plots import plot
from etgraph.sim.sweeps.shipping import ship, unship
from etgraph.sim.sweeps.study import Study, step_ns
from support.build import build

GRID = """
profiles = ["dgx-h100"]
[grid]
tiers.nvlink.bandwidth = ["x0.01", "x0.1", "x1"]
placement = ["in-order", "spread"]
[[points]]
name = "cheaper"
device.price = "1 USD/h"
"""
TWO_STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#1    0..100
    rank 0 | thread 1 | iteration ProfilerStep#2  100..300
    rank 1 | thread 1 | iteration ProfilerStep#1    0..140
    rank 1 | thread 1 | iteration ProfilerStep#2  140..260
    rank 0 | thread 1 | launch    0..10   -> all_reduce
    rank 0 | thread 1 | other  110..290
    rank 1 | thread 1 | launch   20..30   -> r
    rank 1 | thread 1 | other  150..250
    rank 0 | stream 7 | all_reduce 4MB   12..60
    rank 1 | stream 7 | r: all_reduce 4MB   32..60
"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    return read(samples.path("dlrm_alltoall"))


@pytest.fixture(scope="module")
def found(trace: Trace) -> Sweep:
    return sweep(trace, loads(GRID), measures=MEASURES, workers=1)


def plain(found: Sweep) -> list[object]:
    return [replace(point, measures=dict(point.measures)) for point in found.points]


# Points


def test_a_point_is_the_prediction_on_its_profile(trace: Trace, found: Sweep) -> None:
    base = load("dgx-h100")
    for point in found.points[:-1]:
        target = with_overrides(base, {"tiers.nvlink.bandwidth": point.parameters["tiers.nvlink.bandwidth"]})
        expected = predict(trace, target)
        assert point.makespan_ns == expected.makespan_ns
        assert point.step_ns == max(window.simulated_ns for window in expected.windows)
    assert len({point.makespan_ns for point in found.points}) == 3  # on one node, placements are alike


def test_the_base_comes_first_and_what_is_equal_to_it_is_not_there_twice(found: Sweep) -> None:
    price = found.base.parameters["device.price"]
    assert [tuple(point.parameters.values()) for point in found.points] == [
        ("450 GB/s", "in-order", price),
        ("4.5 GB/s", "in-order", price),
        ("4.5 GB/s", "spread", price),
        ("45 GB/s", "in-order", price),
        ("45 GB/s", "spread", price),
        ("450 GB/s", "spread", price),
        ("450 GB/s", "in-order", "1 USD/h"),
    ]


def test_price_and_energy_are_those_of_all_devices_for_a_step(found: Sweep) -> None:
    device = load("dgx-h100").device
    assert device.price_per_hour is not None
    assert device.power_watts is not None
    base = found.base
    assert base.step_ns is not None
    assert (base.devices, base.price_per_hour) == (4, 4 * device.price_per_hour)
    assert base.step_price == pytest.approx(4 * device.price_per_hour / 3600 * base.step_ns / 1e9)
    assert base.step_energy == pytest.approx(4 * device.power_watts * base.step_ns / 1e9)
    assert found.objectives == ("stepNs", "stepPrice")
    assert [point.number for point in found.points if point.front] == [6]


def test_without_a_price_there_is_none(trace: Trace) -> None:
    text = 'profiles = ["epyc-9654-gloo-8"]\n[grid]\ntiers.loopback.bandwidth = ["x0.1", "x1"]'
    found = sweep(trace, loads(text), workers=1)
    assert [(point.step_price, point.price_per_hour) for point in found.points] == [(None, None)] * 2
    assert found.objectives == ("stepNs", "networkBandwidth")
    assert all(point.front for point in found.points)


def test_the_step_is_the_median_of_the_slowest_ranks_windows() -> None:
    assert step_ns(build(TWO_STEPS)) == (140 + 200) // 2
    assert step_ns(build("rank 0 | stream 7 | k  0..10")) is None


def test_measures_are_those_of_the_predicted_timeline(trace: Trace, found: Sweep) -> None:
    slow = found.points[1]
    target = with_overrides(load("dgx-h100"), {"tiers.nvlink.bandwidth": "4.5 GB/s"})
    moved = predict(trace, target).on(trace)
    assert slow.measures == {**parts_of_windows(moved), **shares_of_path(moved)}
    windows = breakdown(moved).windows
    assert sum(slow.measures[name] for name in ("computation_ns", "exposed_communication_ns", "exposed_memory_ns",
                                                "idle_ns")) == pytest.approx(
        sum(w.end_ns - w.start_ns for w in windows) / len(windows))  # fmt: skip
    shares = {name: share for name, share in slow.measures.items() if name.endswith("_share")}
    assert sum(shares.values()) == pytest.approx(1.0)
    communication = sum(c.share for c in critical_path(moved).by_category if c.category == "communication")
    assert shares["path_communication_share"] == pytest.approx(communication)


def test_a_grid_names_the_measures_that_it_wants(trace: Trace) -> None:
    text = 'profiles = ["dgx-h100"]\nmeasures = ["{}"]\nobjectives = ["idleNs"]\n[[points]]\nsharing = false'
    found = sweep(trace, loads(text.format("breakdown")), measures=MEASURES, workers=1)
    assert {*found.base.measures} == {"computation_ns", "exposed_communication_ns", "exposed_memory_ns", "idle_ns"}
    with pytest.raises(UsageError, match="no measure 'breakdwn'"):
        sweep(trace, loads(text.format("breakdwn")), measures=MEASURES)
    with pytest.raises(UsageError, match="no objective 'idleNs'"):
        sweep(trace, loads(text.format("critical-path")), measures=MEASURES)


def test_a_trace_without_times_has_no_measures_and_says_so(tmp_path: Path) -> None:
    for file in samples.path("gpt_ddp").glob("et_*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = 'profiles = ["dgx-h100-32"]\n[grid]\nplacement = ["in-order", "spread"]'
    found = sweep(read(tmp_path), loads(text), measures=MEASURES, workers=1)
    near, far = found.points
    assert (near.step_ns, near.measures) == (near.makespan_ns, {})
    assert (far.step_ns or 0) > (near.step_ns or 0)  # over four nodes rather than one
    assert "no breakdown: the trace has no times on threads and streams" in found.trust.warnings
    assert found.measured_ns is None


# Failures


def test_a_point_that_fails_is_a_row_with_its_error(trace: Trace) -> None:
    grid = loads("""
        profiles = ["dgx-h100"]
        [[points]]
        name = "small"
        tiers.nvlink.size = 2
        [[points]]
        algorithms.all_to_all = "tree"
        [[points]]
        tiers.nvlink.bandwidth = "x2"
    """)
    found = sweep(trace, grid, workers=1)
    _, small, tree, good = found.points
    assert small.error == (
        "device 3 does not exist: the profile's tiers join 2 "
        "(add a tier, or enlarge one, so that the profile joins all ranks)"
    )
    assert (small.step_ns, small.step_price, small.front) == (None, None, False)
    assert tree.error is not None
    assert tree.error.startswith("algorithm 'tree' cannot do all_to_all over 4 ranks")
    assert good.error is None
    assert any(warning.startswith("2 of 4 points failed: device 3") for warning in found.trust.warnings)


def broken(trace: Trace) -> Mapping[str, float]:
    raise ZeroDivisionError("somewhere")


def test_a_defect_is_one_points_error_too(trace: Trace) -> None:
    grid = loads('profiles = ["dgx-h100"]\n[[points]]\nsharing = false')
    found = sweep(trace, grid, measures=[Measure("broken", broken)], workers=1)
    assert [point.error for point in found.points] == ["ZeroDivisionError: somewhere"] * 2
    assert found.headline() == "2 points, none of which could be predicted"


# Processes


def test_processes_give_the_same_in_the_same_order(trace: Trace, found: Sweep) -> None:
    several = sweep(trace, loads(GRID), measures=MEASURES, workers=2)
    assert plain(several) == plain(found)
    assert (several.id, several.trust, several.objectives) == (found.id, found.trust, found.objectives)
    usual = sweep(trace, loads(GRID), measures=MEASURES)
    assert plain(usual) == plain(found)


def test_a_study_comes_out_of_its_folder_as_it_went_in(trace: Trace, tmp_path: Path) -> None:
    ship(Study(trace, loads(GRID), MEASURES), tmp_path)
    study = unship(tmp_path)
    for name, columns in trace.tables.items():
        assert columns.equals(study.trace.tables[name]), name
    assert not study.trace.operators["start_ns"].flags.writeable
    settings = loads(GRID).settings
    assert [study.key(s) for s in settings] == [Study(trace, loads(GRID), MEASURES).key(s) for s in settings]


# What is kept


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """The settings that are predicted from now on."""
    seen: list[Setting] = []
    evaluate = Study.evaluate
    monkeypatch.setattr(Study, "evaluate", lambda self, setting: (seen.append(setting), evaluate(self, setting))[1])
    return seen


def kept_run(trace: Trace, text: str, file: Path, *, resume: bool = True, measures: Sequence[Measure] = ()) -> Sweep:
    return sweep(trace, loads(text), measures=measures, workers=1, kept=KeptPoints(file, resume=resume))


def test_a_second_run_predicts_what_is_missing(
    trace: Trace, found: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "folder" / "points.jsonl"
    first = kept_run(trace, GRID, file, measures=MEASURES)
    assert (plain(first), first.reused) == (plain(found), 0)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:4]) + lines[4][:50])  # it broke off while it wrote
    seen = counted(monkeypatch)
    second = kept_run(trace, GRID, file, measures=MEASURES)
    assert (plain(second), second.reused, len(seen)) == (plain(found), 4, 3)
    third = kept_run(trace, GRID, file, measures=MEASURES)
    assert (plain(third), third.reused, len(seen)) == (plain(found), 7, 3)
    assert kept_run(trace, GRID, file, resume=False, measures=MEASURES).reused == 0


@pytest.mark.parametrize(
    ("old", "new", "reused"),
    [
        ('"x0.01", ', "", 5),  # fewer points: all of them are there
        ('"x0.01"', '"4500 MB/s"', 7),  # the same in other words
        ('"cheaper"', '"dear"', 7),
        ('"x0.01"', '"x0.02"', 5),
        ('"1 USD/h"', '"2 USD/h"', 6),
        ("[grid]", 'source = "v100"\n[grid]', 0),
        ('"dgx-h100"', '"dgx-h200"', 0),
    ],
)
def test_another_grid_takes_only_its_own_points(trace: Trace, tmp_path: Path, old: str, new: str, reused: int) -> None:
    kept_run(trace, GRID, tmp_path / "points.jsonl")
    assert kept_run(trace, GRID.replace(old, new), tmp_path / "points.jsonl").reused == reused


def test_another_trace_measure_or_code_takes_nothing(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "points.jsonl"
    kept_run(trace, GRID, file)
    assert kept_run(trace.select_ranks([0, 1]), GRID, file).reused == 0
    assert kept_run(trace, GRID, file, measures=MEASURES).reused == 0
    assert kept_run(trace, GRID, file, measures=[replace(MEASURES[0], version=9)]).reused == 0
    monkeypatch.setattr("etgraph.sim.sweeps.study.code_version", lambda: "another")
    assert kept_run(trace, GRID, file).reused == 0


def test_traces_without_an_id_are_told_apart_by_their_columns() -> None:
    grid = loads('profiles = ["dgx-h100"]\n[[points]]\nsharing = false')
    texts = (TWO_STEPS, TWO_STEPS, TWO_STEPS.replace("290", "291"), TWO_STEPS.replace("other", "another", 1))
    keys = [Study(replace(build(text), trace_id=""), grid).key(grid.settings[0]) for text in texts]
    assert keys[0] == keys[1]
    assert len({*keys}) == 3


def test_an_interrupt_tells_how_many_points_are_kept(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, left = Study.evaluate, [1, 2, 3]

    def interrupted(study: Study, setting: Setting) -> object:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return evaluate(study, setting)

    monkeypatch.setattr(Study, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        kept_run(trace, GRID, tmp_path / "points.jsonl")
    assert caught.value.__notes__ == ["3 of 7 points are kept: --resume goes on from there"]
    monkeypatch.setattr(Study, "evaluate", evaluate)
    assert kept_run(trace, GRID, tmp_path / "points.jsonl").reused == 3


def test_points_that_failed_are_tried_again(trace: Trace, tmp_path: Path) -> None:
    text = 'profiles = ["dgx-h100"]\n[[points]]\ntiers.nvlink.size = 2'
    for _ in range(2):
        found = kept_run(trace, text, tmp_path / "points.jsonl")
        assert found.points[1].error is not None
    assert found.reused == 1


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="points cannot be kept"):
        KeptPoints(tmp_path / "file" / "points.jsonl")


def test_a_script_without_a_main_guard_may_sweep_in_processes(tmp_path: Path) -> None:
    """Processes do not run the caller's program again."""
    script = tmp_path / "script.py"
    script.write_text(
        "from etgraph.ingest import read, samples\n"
        "from etgraph.sim.sweeps import loads, sweep\n"
        f"found = sweep(read(samples.path('dlrm_alltoall')), loads({GRID!r}), workers=2)\n"
        "print(found.headline())\n"
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("7 points, 1 on the front")


# Fits


def test_fits_keep_their_share_of_other_peaks() -> None:
    base = load("dgx-h100")
    fit = FamilyFit(3_000, bandwidth=2e12, flops=5e14)
    base = replace(base, calibration=Calibration({"matmul": fit}))
    faster = with_values(base, {"device.memory_bandwidth": 6.7e12, "device.matrix_flops.bf16": 2 * 989.4e12})
    found = carried(faster, base).calibration
    assert found is not None
    assert (found.families["matmul"].bandwidth, found.families["matmul"].flops) == pytest.approx((4e12, 1e15))
    assert found.families["matmul"].floor_ns == 3_000


def test_fits_of_collectives_follow_their_tier() -> None:
    base = load("dgx-h100-32")
    fits = (
        CollectiveFit("all_reduce", 8, 1_000, 2.0, tier="nvlink"),
        CollectiveFit("all_reduce", 32, 1_000, 2.0, tier="infiniband"),
        CollectiveFit("all_gather", 32, 1_000, 0.0, tier="infiniband", scale=1.5),
    )
    base = replace(base, calibration=Calibration(collectives=fits))
    changed = with_values(base, {"tiers.infiniband.bandwidth": 100e9, "tiers.infiniband.latency": 6_000})
    found = carried(changed, base).calibration
    assert found is not None
    assert found.collectives == (fits[0], replace(fits[1], alpha_ns=3_000, beta_ns_per_byte=1.0), fits[2])
    joined = carried(with_values(base, {"tiers.infiniband.topology": "ring"}), base).calibration
    assert joined is not None
    assert joined.collectives == fits[:1]


def test_values_by_path() -> None:
    base = load("dgx-h100-32")
    for path, text, value in (
        ("device.memory_bandwidth", "x2", 6.7e12),
        ("tiers.infiniband.latency", "1 us", 1_000),
        ("device.matrix_flops.bf16", "1 TFLOP/s", 1e12),
        ("calibration.fitted_on", "nothing", "nothing"),
        ("description", "ours", "ours"),
    ):
        expected = with_overrides(base, {path: text})
        assert value_at(expected, path) == value
        assert with_values(base, {path: value}) == expected


# Store and plots


def test_a_sweep_is_a_table_and_back(found: Sweep) -> None:
    assert from_table(to_table(found, "points"), Sweep, "points") == found
    assert found.to_pandas()["step_ns"].tolist() == [point.step_ns for point in found.points]
    assert "7 points, 1 on the front" in found._repr_html_()


def test_units_of_plots() -> None:
    scatter = scatter_of(replace(loaded_sweep(), objectives=("stepNs", "networkBandwidth")))
    assert (scatter.x.label, scatter.y.label) == ("bandwidth of the outermost tier, GB/s", "step, ms")
    (front,) = scatter.marks
    assert isinstance(front, Points)
    assert (front.name, front.x, front.y) == ("front", [1.0, 2.0], [3.0, 2.0])
    assert front.texts[0] == "p, tiers.a.bandwidth 1 GB/s\n3 (step, ms), 1 (bandwidth of the outermost tier, GB/s)"
    from etgraph.model.settings.units import SIZE, TIME

    assert [unit_for(TIME, 2e3), unit_for(SIZE, 8e10), unit_for(SIZE, 0)] == [("us", 1e3), ("GB", 1e9), ("B", 1.0)]


def loaded_sweep() -> Sweep:
    from etgraph.model import Trust
    from etgraph.sim.sweeps import SweepPoint

    points = tuple(
        SweepPoint(
            number, "", "p", {"tiers.a.bandwidth": f"{number + 1} GB/s"}, {"tiers.a.bandwidth": (number + 1) * 1e9}, 8,
            1e12, (number + 1) * 1e9, (3 - number) * 10**6, (3 - number) * 10**6, front=True,
        )
        for number in range(2)
    )  # fmt: skip
    return Sweep("", points, ("tiers.a.bandwidth",), ("stepNs", "networkBandwidth"), None, 0, Trust())


def test_one_parameter_is_a_line_two_are_lines_or_a_map(trace: Trace, found: Sweep) -> None:
    alone = response_of(loaded_sweep())
    assert alone is not None
    assert alone.x.label == "tiers.a.bandwidth, GB/s"
    (line,) = alone.marks
    assert isinstance(line, Points)
    assert (line.x, line.y, line.name) == ((1.0, 2.0), [3.0, 2.0], "")
    by_placement = response_of(found)
    assert by_placement is not None
    lines = [mark for mark in by_placement.marks if isinstance(mark, Points)]
    assert [line.name for line in lines] == ["in-order", "spread"]
    assert lines[0].x == (4.5, 45.0, 450.0)
    text = """
        profiles = ["dgx-h100"]
        [grid]
        tiers.nvlink.bandwidth = ["1 GB/s", "450 GB/s"]
        tiers.nvlink.latency = ["1 us", "1 ms", "500 ns"]
    """
    both = response_of(sweep(trace, loads(text), workers=1))
    assert both is not None
    assert (both.x.label, both.y.label) == ("tiers.nvlink.bandwidth, GB/s", "tiers.nvlink.latency, ms")
    assert (both.x.places, both.y.places) == (("1", "450"), ("0.0005", "0.001", "1"))
    (heat,) = both.marks
    assert isinstance(heat, HeatMap)
    assert len(heat.rows) == 3
    assert heat.rows[2][0] is not None
    assert heat.rows[0][1] is not None
    assert heat.rows[2][0] > heat.rows[0][1]


@pytest.mark.parametrize("ending", [".png", ".html"])
def test_plots_are_written(found: Sweep, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"sweep{ending}"
    plot(found, file, "Sweep of <x>")
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG") if ending == ".png" else b"plotly" in data


def test_what_cannot_be_plotted(found: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"found the ending '.gif', expected .png, .svg, .pdf or .html"):
        plot(found, tmp_path / "a.gif", "")
    failed = replace(found, points=tuple(replace(point, error="no") for point in found.points))
    with pytest.raises(MissingData, match="nothing to plot"):
        plot(failed, tmp_path / "a.png", "")
    for name, ending in (("matplotlib", ".png"), ("plotly", ".html")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UsageError, match=f"needs {name}, which is not installed") as caught:
            plot(found, tmp_path / f"a{ending}", "")
        assert caught.value.hint == "pip install 'etgraph[plots]'"


def test_more_processes_are_started_only_where_they_pay(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven points of some milliseconds are done before another process has started."""
    monkeypatch.setattr(running, "_in_processes", lambda *_: pytest.fail("a process was started"))
    grid: Grid = loads(GRID)
    assert len(sweep(trace, grid).points) == 7


def test_what_no_point_can_do_without_is_told_at_once(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise Mismatch("ranks do not agree", ())

    monkeypatch.setattr("etgraph.sim.sweeps.study.Predictor", refused)
    with pytest.raises(Mismatch):
        sweep(trace, loads(GRID), workers=1)


def kills_slow_ones(trace: Trace) -> Mapping[str, float]:
    """Ends its process at a point with a slow network."""
    if (step_ns(trace) or 0) > 180e6:
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_a_lost_process_tells_what_is_kept(trace: Trace, tmp_path: Path) -> None:
    file, measure = tmp_path / "points.jsonl", Measure("killing", kills_slow_ones)
    fast = GRID.replace('"x0.01", ', "")
    assert len(kept_run(trace, fast, file, measures=[measure]).points) == 5
    slow = GRID.replace('"x0.01"', '"x0.0001"')
    with pytest.raises(LostWorker, match="ended by signal SIGKILL") as caught:
        sweep(trace, loads(slow), measures=[measure], workers=2, kept=KeptPoints(file, resume=True))
    assert "5 of 7 points are kept: --resume goes on from there" in (caught.value.hint or "")
