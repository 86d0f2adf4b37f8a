"""What `etgraph sweep` prints, writes and keeps."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import samples
from etgraph.queries.tables import from_table
from etgraph.sim.sweeps import Sweep
from etgraph.store import Store, connect

Run = Callable[..., Result]
TRACE = samples.path("dlrm_alltoall")
GRID = """
profiles = ["dgx-h100"]
[grid]
tiers.nvlink.bandwidth = ["x0.01", "x0.1", "x1"]
tiers.nvlink.latency = ["1 us", "1 ms"]
[[points]]
name = "two devices"
tiers.nvlink.size = 2
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("etgraph.cli.local._kept_points_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_has_every_point(etgraph: Run, grid: Path) -> None:
    found = document(etgraph("sweep", TRACE, "--grid", grid, "--workers", "1", "--json"))
    base, *others, failed = found["points"]
    assert len(others) == 6
    assert base["parameters"]["tiers.nvlink.bandwidth"] == "450 GB/s"
    assert base["values"] == {"tiers.nvlink.bandwidth": 450e9, "tiers.nvlink.latency": 700, "tiers.nvlink.size": 8}
    parts = ("computationNs", "exposedCommunicationNs", "exposedMemoryNs", "idleNs")
    assert all(base[part] >= 0 for part in parts)
    assert {"makespanNs", "stepNs", "stepPrice", "stepEnergy", "pathCommunicationShare"} <= {*base}
    assert (base["base"], base["front"], base["error"]) == (True, True, None)
    assert (failed["name"], failed["makespanNs"], failed["front"]) == ("two devices", None, False)
    assert failed["error"].startswith("device 3 does not exist")
    assert found["objectives"] == ["stepNs", "networkBandwidth"]
    assert found["trust"]["warnings"][-1].startswith("1 of 8 points failed: device 3")
    assert (found["reused"], found["measuredNs"] > 0) == (0, True)


def test_the_table_fits_and_marks_the_front(etgraph: Run, grid: Path) -> None:
    result = etgraph("sweep", TRACE, "--grid", grid, "--workers", "1")
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "8 points, 1 of them failed" in text
    assert max(map(len, text.split("trust:")[0].splitlines())) <= 100
    rows = [line for line in text.splitlines() if "GB/s" in line and "/s " in line]
    assert len(rows) == 8
    assert rows[0].split()[:2] == ["*", "base"]
    assert "failed" in rows[-1]
    front = [line for line in rows if line.startswith("*")]
    steps = [float(line.split(" ms")[0].rsplit(maxsplit=1)[1]) for line in front[1:]]
    assert steps == sorted(steps)


def test_few_rows_are_shown_unless_all_are_asked_for(etgraph: Run, tmp_path: Path) -> None:
    grid = tmp_path / "many.toml"
    values = ", ".join(f'"{number} us"' for number in range(1, 31))
    grid.write_text(f'profiles = ["dgx-h100"]\n[grid]\ntiers.nvlink.latency = [{values}]\n')
    few = etgraph("sweep", TRACE, "--grid", grid, "--workers", "1").stdout
    assert "more points: --all prints them" in few
    assert few.count(" us ") < 20
    every = etgraph("sweep", TRACE, "--grid", grid, "--workers", "1", "--resume", "--all").stdout
    assert every.count(" us ") == 30
    assert "31 taken from an earlier run" in every


def test_a_folder_gets_the_points_as_they_come_and_a_table(etgraph: Run, grid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    found = document(etgraph("sweep", TRACE, "--grid", grid, "--workers", "1", "-o", folder, "--json"))
    assert len((folder / "points.jsonl").read_text().splitlines()) == 8
    with open(folder / "points.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["tiers.nvlink.latency"] for row in rows] == [
        p["parameters"]["tiers.nvlink.latency"] for p in found["points"]
    ]
    assert [int(row["stepNs"]) for row in rows[:-1]] == [p["stepNs"] for p in found["points"][:-1]]
    again = document(etgraph("sweep", TRACE, "--grid", grid, "-o", folder, "--resume", "--json"))
    assert again.pop("reused") == 7
    found.pop("reused")
    assert again == found


def test_points_in_the_cache_are_taken_only_where_that_is_asked(etgraph: Run, grid: Path, own_cache: Path) -> None:
    call = ("sweep", TRACE, "--grid", grid, "--workers", "1", "--json")
    assert [document(etgraph(*call, *more))["reused"] for more in ((), (), ("--resume",))] == [0, 0, 7]
    assert len(list(own_cache.glob("*.jsonl"))) == 1


def test_a_sweep_is_kept_beside_a_stored_trace(etgraph: Run, grid: Path, tmp_path: Path) -> None:
    store_at = tmp_path / "store"
    etgraph("ingest", TRACE, "--workload", "dlrm", "--store", store_at)
    call = ("sweep", "dlrm", "--grid", grid, "--workers", "1", "--store", store_at, "--json")
    found = document(etgraph(*call, "--save"))
    document(etgraph(*call))
    store: Store
    with connect(store_at) as store:
        trace_id = store.find("dlrm").id
        (kept,) = store.artefacts(trace_id)
        assert (kept.kind, kept.key) == ("sweep", found["id"])
        table = store.get_artefact(trace_id, kept.kind, kept.key)
    assert table is not None
    again = from_table(table, Sweep, "points")
    assert [point.step_ns for point in again.points] == [point["stepNs"] for point in found["points"]]


@pytest.mark.parametrize(
    ("reference", "message"), [(str(TRACE), "is read from disk"), ("dlrm#0", "names iterations of a trace")]
)
def test_what_is_not_stored_whole_cannot_be_kept(
    etgraph: Run, grid: Path, tmp_path: Path, reference: str, message: str
) -> None:
    result = etgraph("sweep", reference, "--grid", grid, "--save", "--store", tmp_path / "store")
    assert result.exit_code == 2
    assert message in result.stderr


def test_plots_are_written_and_refused_before_anything_is_predicted(etgraph: Run, grid: Path, tmp_path: Path) -> None:
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    result = etgraph("sweep", TRACE, "--grid", grid, "--workers", "1", "--plot", picture, "--plot", page)
    assert result.exit_code == 0, result.output
    assert f"wrote {page}" in result.stderr.replace("\n", "")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert page.stat().st_size > 1_000_000  # it needs no network
    refused = etgraph("sweep", "no such trace", "--grid", grid, "--plot", tmp_path / "a.bmp")
    assert refused.exit_code == 2
    assert "found the ending '.bmp'" in refused.stderr


def test_a_bad_grid_is_told_by_line(etgraph: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('profiles = ["dgx-h100"]\n[grid]\ntiers.nvlink.bandwith = ["x2"]\n')
    result = etgraph("sweep", TRACE, "--grid", bad)
    assert result.exit_code == 3
    assert "bad.toml: line 3, grid.tiers.nvlink.bandwith: found a path that there is not" in result.stderr
    assert "did you mean 'tiers.nvlink.bandwidth'?" in result.stderr


def test_where_all_points_fail_the_exit_code_says_so(etgraph: Run, tmp_path: Path) -> None:
    grid = tmp_path / "small.toml"
    grid.write_text('profiles = ["h100-sxm"]\n[[points]]\nplacement = "spread"\nalgorithm = "ring"\n')
    (tmp_path / "ours.toml").write_text('extends = "dgx-h100"\n[[tiers]]\nname = "nvlink"\nsize = 2\n')
    grid.write_text('profiles = ["ours.toml"]\n[[points]]\nsharing = false\n')
    result = etgraph("sweep", TRACE, "--grid", grid, "--workers", "1", "--plot", tmp_path / "a.png")
    assert result.exit_code == 3
    assert "2 points, 2 of them failed" in result.stdout
    assert not (tmp_path / "a.png").exists()


def test_columns_that_names_of_points_tell_make_room(etgraph: Run, tmp_path: Path) -> None:
    grid = tmp_path / "wide.toml"
    grid.write_text("""
        profiles = ["dgx-h100"]
        [grid]
        tiers.nvlink.topology = ["switch", "fully-connected"]
        device.price = ["x1", "x0.5"]
        [[points]]
        name = "a choice of everything"
        placement = "spread"
        library = "any"
        sharing = false
        algorithm = "ring"
        device.power = "1 kW"
        tiers.nvlink.links = 9
    """)
    text = etgraph("sweep", TRACE, "--grid", grid, "--workers", "1").stdout.split("trust:")[0]
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if "USD/h " in line]
    assert len(rows) == 5
    assert "algorithm" not in text
    assert all(len(line.split(" ms ")) == 2 for line in rows)  # no cell is folded
