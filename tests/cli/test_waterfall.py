"""What `etgraph waterfall` and `etgraph workloads` ask, print and promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from etgraph.cli.views.waterfall import waterfall_view, waterfalls_view
from etgraph.cli.views.workloads import workloads_view
from etgraph.ingest import samples
from etgraph.model import Trust
from etgraph.queries.utilization import Utilization
from etgraph.queries.waterfall import LostTime, Waterfall, normalised, together
from etgraph.queries.workloads import TeamSummary, Workloads, WorkloadSummary

from .conftest import FakeSession

Run = Callable[..., Result]

FALL = Waterfall(
    trace="f" * 64,
    measured_ns=100_000_000,
    steps=(
        LostTime("replay", -1_000_000), LostTime("late ranks", 21_000_000), LostTime("exposed communication", 0),
        LostTime("host", 30_000_000), LostTime("below roofline", 25_000_000),
    ),
    ideal_ns=25_000_000,
    model_flops_utilization=0.03,
    exposed_share=0.19,
    wait_share=0.965,
    bus_bandwidth_share=None,
    trust=Trust(0.99, warnings=("peaks are those of v100",)),
    ranks=8,
    profile="v100",
    known_share=0.9,
    utilization=Utilization(0.03, 0.6, 0.4, 0.125, 10**12, 1.25e14, "16 bit", 8),
)  # fmt: skip
ROW = WorkloadSummary(
    "gpt\x1b[31m", ("ads",), 3, "2026-01-05T12:30:00+00:00", "1f0c9a", ("baseline",), 4, 8, "NVIDIA H100", 45_600_000,
    20_000_000, normalised(FALL),
)  # fmt: skip
WORKLOADS = Workloads(
    (ROW, replace(ROW, workload="dlrm", teams=(), waterfall=None, step_ns=None)),
    (TeamSummary("ads", 1, 3, ROW.created, 0.25, 0.03), TeamSummary(None, 1, 3, ROW.created, None, None)),
    Trust(),
)


@pytest.fixture(autouse=True)
def _answers(session: FakeSession) -> None:
    session.answers |= {"waterfall": FALL, "workloads": WORKLOADS}


def drawn(view: Any, width: int) -> list[str]:
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as found:
        console.print(view)
    return found.get().splitlines()


def test_a_waterfall_has_the_promised_names(run: Run) -> None:
    answer = json.loads(run("waterfall", "gpt", "dlrm", "--json").stdout)
    assert set(answer) == {"rows", "trust"}
    assert [row["trace"] for row in answer["rows"]] == ["gpt", "dlrm"]
    for row in answer["rows"]:
        assert set(row) == {
            "trace", "measuredNs", "steps", "idealNs", "modelFlopsUtilization", "exposedShare", "waitShare",
            "busBandwidthShare", "trust", "iterations", "ranks", "replayable", "profile", "knownShare", "utilization",
        }  # fmt: skip
        assert row["measuredNs"] - sum(step["ns"] for step in row["steps"]) == row["idealNs"]
        assert set(row["utilization"]) == {
            "share", "computingShare", "rooflineShare", "peakShare", "flops", "peakFlops", "precision", "ranks",
        }  # fmt: skip


def test_every_trace_is_asked_by_itself(run: Run, session: FakeSession) -> None:
    assert run("waterfall", "gpt", "dlrm#3", "--rank", "1", "--window", "device", "--save").exit_code == 0
    choices = {"save": True, "rank": 1, "iteration": None, "window": "device", "profile": None}
    assert session.asked[:2] == [("waterfall", "gpt", choices), ("waterfall", "dlrm#3", choices)]


def test_a_waterfall_needs_a_trace(run: Run) -> None:
    assert run("waterfall").exit_code == 2


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_bars_hang_from_each_other(width: int) -> None:
    lines = drawn(waterfall_view(FALL, "Lost time of gpt", width), width)
    assert all(len(line) <= width for line in lines)
    bars = {
        name: next(line for line in lines if line.startswith(name)) for name in ("measured", "late", "host", "ideal")
    }
    assert bars["late"].index("█") >= bars["host"].rindex("█")
    assert bars["host"].index("█") > bars["ideal"].rindex("█") > bars["ideal"].index("█") == bars["measured"].index("█")
    assert "-1.00 ms" in next(line for line in lines if line.startswith("replay"))


def test_the_utilization_is_explained(run: Run) -> None:
    printed = run("waterfall", "gpt").stdout
    for said in (
        "3.0% of 125 TFLOP/s (16 bit) on 8 ranks", "60.0% of the time spent computing",
        "40.0% of its roofline reached", "12.5% of the time on the roofline",
        "96.5% of the communication is waiting", "trust: 99.0% explained",
    ):  # fmt: skip
        assert said in printed


@pytest.mark.parametrize("width", [72, 80, 160])
def test_workloads_are_rows_in_parts_of_the_measured_time(width: int) -> None:
    doubtful = replace(FALL, trace="runs/" + 30 * "x" + "/step12", replayable=False, steps=FALL.steps[:-1])
    lines = drawn(waterfalls_view(together([FALL, doubtful]), "Lost time", width), width)
    assert all(len(line) <= width for line in lines)
    row = next(line for line in lines if "step12 !" in line)
    assert ("21.0%" in row, "–" in row) == (True, True)
    assert any("not replayable" in line for line in lines)


def test_workloads_have_the_promised_names(run: Run) -> None:
    answer = json.loads(run("workloads", "--json").stdout)
    assert set(answer) == {"workloads", "teams", "trust"}
    assert set(answer["workloads"][0]) == {
        "workload", "teams", "traces", "created", "newest", "tags", "ranks", "worldSize", "deviceModel", "spanNs",
        "stepNs", "waterfall",
    }  # fmt: skip
    assert set(answer["teams"][0]) == {
        "team", "workloads", "traces", "created", "idealShare", "modelFlopsUtilization",
    }  # fmt: skip


@pytest.mark.parametrize("width", [80, 140])
def test_workloads_and_teams_are_tables(width: int) -> None:
    lines = drawn(workloads_view(WORKLOADS, width), width)
    assert all(len(line) <= width for line in lines)
    assert not any("\x1b" in line for line in lines)
    row = next(line for line in lines if line.startswith("gpt?"))
    assert [share in row for share in ("20.0 ms", "21.0%", "30.0%", "25.0%")] == [True] * 4
    assert ("@baseline" in row, "NVIDIA H100" in row) == (width == 140,) * 2
    assert any(line.startswith("(no team)") for line in lines)


def test_quiet_workloads_are_their_names_only(run: Run, session: FakeSession) -> None:
    assert run("workloads", "-q").stdout.splitlines()[1] == "dlrm"
    session.answers["workloads"] = Workloads((), (), Trust())
    nobody = run("workloads", "--team", "nobody")
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    assert "team nobody has published nothing" in nobody.stderr


def test_what_is_saved_of_a_workload_stands_in_its_row(etgraph: Callable[..., Result], tmp_path: Path) -> None:
    store = ("--store", tmp_path / "store")
    folder = samples.path("dlrm_alltoall")
    assert etgraph("ingest", folder, "--workload", "dlrm", "--team", "ads", *store).exit_code == 0
    (before,) = json.loads(etgraph("workloads", "--json", *store).stdout)["workloads"]
    assert before["waterfall"] is None
    told = json.loads(etgraph("waterfall", "dlrm", "--save", "--json", *store).stdout)["rows"][0]
    (after,) = json.loads(etgraph("workloads", "--team", "ads", "--json", *store).stdout)["workloads"]
    assert after["waterfall"]["measuredNs"] == told["measuredNs"]
    assert after["waterfall"]["ideal"] == pytest.approx(told["idealNs"] / told["measuredNs"])
