"""What `etgraph profile` prints, and the comparison with profiles in `hotspots` and `operators`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from etgraph.ingest import samples
from etgraph.sim.profiles import builtin_names, load, loads

Run = Callable[..., Result]


def test_list_has_every_profile(etgraph: Run) -> None:
    assert sorted(etgraph("profile", "list", "-q").stdout.split()) == sorted(builtin_names())
    table = etgraph("profile", "list").stdout
    assert all(f"\n{name} " in f"\n{table}" for name in builtin_names())
    assert max(map(len, table.splitlines())) <= 100
    listed = json.loads(etgraph("profile", "list", "--json").stdout)["profiles"]
    (h100,) = (each for each in listed if each["name"] == "h100-sxm")
    assert h100["device"]["matrixFlops"]["bf16"] == 989.4e12
    assert (h100["ranks"], h100["device"]["memoryBytes"], h100["tiers"]) == (1, 80_000_000_000, [])


def test_show_has_every_figure_with_its_source(etgraph: Run) -> None:
    text = etgraph("profile", "show", "dgx-h100").stdout
    assert "device.memory_bandwidth" in text
    assert "3.35 TB/s" in text
    assert "tiers.nvlink.bandwidth" in text
    assert "NVIDIA H100 datasheet" in text
    assert json.loads(etgraph("profile", "show", "dgx-h100", "--json").stdout)["profile"]["ranks"] == 8


def test_show_gives_a_file_to_write_ones_own_from(etgraph: Run, tmp_path: Path) -> None:
    text = etgraph("profile", "show", "dgx-h100-32", "--toml").stdout
    assert loads(text) == load("dgx-h100-32")
    assert json.loads(etgraph("profile", "show", "v100", "--toml", "--json").stdout)["toml"].startswith('name = "v100"')
    (tmp_path / "own.toml").write_text(text)
    assert "dgx-h100-32, 32 devices" in etgraph("profile", "check", tmp_path / "own.toml").stdout


def test_check_tells_all_problems_and_fails(etgraph: Run, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('extends = "h100-sxm"\n')
    bad.write_text('extends = "h100-sxm"\n[device]\nmemory_bandwith = "3 TB/s"\nmemory = "80"\n')
    assert etgraph("profile", "check", good).exit_code == 0
    found = etgraph("profile", "check", good, bad)
    assert found.exit_code == 3
    assert "good.toml: good, 1 device" in found.stdout
    assert "bad.toml: 2 problems" in found.stderr
    assert "line 3, device.memory_bandwith: found an unknown key" in found.stderr
    assert "did you mean 'memory_bandwidth'?" in found.stderr
    answer = etgraph("profile", "check", bad, tmp_path / "none.toml", "--json")
    assert answer.exit_code == 3
    checked = json.loads(answer.stdout)["checked"]
    assert [each["ok"] for each in checked] == [False, False]
    assert [problem["line"] for problem in checked[0]["problems"]] == [3, 4]


@pytest.mark.parametrize("command", ["hotspots", "operators"])
def test_a_profile_that_does_not_exist(etgraph: Run, command: str) -> None:
    found = etgraph(command, "gpt", "--profile", "h100-sxn")
    assert found.exit_code == 3
    assert "did you mean 'h100-sxm'?" in found.stderr


def test_hotspots_against_a_profile(etgraph: Run) -> None:
    path = samples.path("gpt_tp2_pp2")
    text = etgraph("hotspots", path, "--profile", "epyc-9654-gloo-8").stdout
    assert "as a part of the peaks of epyc-9654-gloo-8" in text
    assert "loopback" in text
    rows = json.loads(etgraph("hotspots", path, "--profile", "epyc-9654-gloo-8", "--json").stdout)["rows"]
    assert {row["tier"] for row in rows} == {"loopback"}
    assert all(row["busBandwidthShare"] == pytest.approx(row["busBandwidth"] / 2e9) for row in rows)
    assert "of peak" not in etgraph("hotspots", path).stdout


def test_operators_against_a_profile(etgraph: Run) -> None:
    path = samples.path("gpt_tp2_pp2")
    text = etgraph("operators", path, "--profile", "epyc-9654").stdout
    assert "shares of the peaks of epyc-9654" in text
    assert "roofline" in text
    answer = json.loads(etgraph("operators", path, "--profile", "epyc-9654", "--json").stdout)
    assert answer["profile"] == "epyc-9654"
    assert {row["bound"] for row in answer["rows"]} == {None, "compute", "memory"}
    plain = json.loads(etgraph("operators", path, "--json").stdout)
    assert {row["rooflineShare"] for row in plain["rows"]} == {None}


def test_fit_writes_a_profile_that_predicts(etgraph: Run, tmp_path: Path) -> None:
    target = tmp_path / "ours.toml"
    sample = str(samples.path("gpt_tp2_pp2"))
    found = etgraph("profile", "fit", sample, "--profile", "epyc-9654-gloo-8", "-o", str(target), "--json")
    assert found.exit_code == 0, found.stderr
    fits = json.loads(found.stdout)["profile"]["calibration"]["collectives"]
    assert {fit["type"] for fit in fits} >= {"all_reduce"}
    simulated = etgraph("simulate", sample, "--profile", str(target), "--json")
    assert json.loads(simulated.stdout)["profile"] == "ours"
    again = etgraph("profile", "fit", sample, "--profile", "epyc-9654-gloo-8", "-o", str(target))
    assert again.exit_code == 2
    assert "is there already" in again.stderr


def test_fit_of_an_unknown_device_says_what_to_do(etgraph: Run, tmp_path: Path) -> None:
    found = etgraph("profile", "fit", str(samples.path("gpt_tp2_pp2")), "-o", str(tmp_path / "ours.toml"))
    assert found.exit_code == 2
    assert "--profile P" in found.stderr
    assert not (tmp_path / "ours.toml").exists()
