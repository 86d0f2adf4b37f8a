"""`etgraph simulate` and `simulations`, and analyses on a simulated timeline: end to end on a recorded trace."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from etgraph.cli.output import console
from etgraph.cli.views.simulations import proof_view
from etgraph.ingest import read, samples
from etgraph.store import Store, connect

Run = Callable[..., Result]
FILE = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which everything takes half as long, but for the last operators, which are missing."""
    path = tmp_path_factory.mktemp("times") / "other.sim.csv"
    o = read(FILE).operators
    columns = (o[name].tolist() for name in ("rank", "index", "start_ns", "duration_ns"))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rank", "index", "start_us", "duration_us"])
        writer.writerows([r, i, start / 2000, length / 2000] for r, i, start, length in list(zip(*columns))[:-3])
    return path


@pytest.fixture
def ask(etgraph: Run, tmp_path: Path) -> Callable[..., Any]:
    """`ask(*words)`: the JSON of a command on a store that holds the trace as `dlrm`."""
    etgraph("ingest", FILE, "--workload", "dlrm", "--store", tmp_path / "store")

    def asked(*words: object) -> Any:
        result = etgraph(*words, "--json", "--store", tmp_path / "store")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return asked


def test_imported_times_are_kept_listed_and_asked(ask: Callable[..., Any], times: Path) -> None:
    made = ask("simulate", "dlrm", "--import", times, "--save")
    assert set(made) >= {
        "id", "saved", "simulator", "profile", "makespanNs", "measuredNs", "error", "ranks", "parameters", "versions",
        "trust",
    }  # fmt: skip
    assert "nodes" not in made
    assert (made["simulator"], made["profile"], made["saved"]) == ("other", None, True)
    assert made["error"] == pytest.approx(-0.5, abs=1e-4)
    assert set(made["ranks"][0]) == {"rank", "endNs", "computationNs", "communicationNs"}
    assert any("3 of 754 operators have no times" in warning for warning in made["trust"]["warnings"])

    listed = ask("simulations", "dlrm")
    (summary,) = listed["simulations"]
    assert (summary["id"], summary["predicted"]) == (made["id"], 751)
    assert summary["durationError"] == pytest.approx(0.5, abs=0.01)
    assert summary["intervalShare"] is None
    assert "operators" not in listed
    assert ask("show", "dlrm")["trace"]["simulations"] == listed["simulations"]

    row = ask("simulations", "dlrm", "--operators")["operators"][0]
    assert row[f"{made['id']}.durationNs"] == pytest.approx(row["durationNs"] / 2, abs=1)

    measured, simulated = ask("breakdown", "dlrm"), ask("breakdown", "dlrm", "--simulation", made["id"][:6])
    lengths = [sum(w["endNs"] - w["startNs"] for w in each["windows"]) for each in (measured, simulated)]
    assert lengths[1] < 0.6 * lengths[0]
    assert simulated["trust"]["warnings"][-1] == f"times are predicted, by simulation {made['id']}"
    assert ask("breakdown", "dlrm") == measured


def test_a_measured_and_a_predicted_step_are_compared(
    ask: Callable[..., Any], etgraph: Run, times: Path, tmp_path: Path
) -> None:
    made = ask("simulate", "dlrm", "--import", times, "--save")["id"]
    found = ask("compare", "dlrm", "dlrm", "--simulation", made[:6])
    assert found["alignedShare"] == 1
    assert found["otherNs"] == ask("critical-path", "dlrm", "--simulation", made)["lengthNs"] < found["baseNs"]
    assert found["baseNs"] == ask("critical-path", "dlrm")["lengthNs"]
    refused = etgraph("compare", "dlrm", FILE, "--simulation", made, "--store", tmp_path / "store")
    assert "takes traces of the store" in refused.stderr


def test_a_simulation_is_removed_with_the_answers_on_its_timeline(
    ask: Callable[..., Any], etgraph: Run, times: Path, tmp_path: Path
) -> None:
    gone, stays = (
        ask("simulate", "dlrm", "--import", times, "--save", "--simulator", name)["id"] for name in ("one", "two")
    )
    for options in (("--simulation", gone), ("--simulation", stays), ()):
        ask("breakdown", "dlrm", "--save", *options)
    assert ask("simulations", "dlrm", "--remove", gone[:6]) == {"removed": [{"id": gone}]}
    assert [each["id"] for each in ask("simulations", "dlrm")["simulations"]] == [stays]
    store: Store
    with connect(tmp_path / "store") as store:
        assert sorted(each.kind for each in store.artefacts(store.find("dlrm").id)) == [
            "breakdown", "breakdown", "simulation",
        ]  # fmt: skip
    told = etgraph("simulations", "dlrm", "--remove", gone, "--store", tmp_path / "store")
    assert (told.exit_code, f"no simulation '{gone}'" in told.stderr) == (3, True)
    assert f"there are {stays}" in told.stderr


def test_times_of_every_operator(ask: Callable[..., Any], times: Path) -> None:
    made = ask("simulate", "dlrm", "--import", times, "--nodes", "--simulator", "ASTRA-sim", "--profile", "epyc-9654")
    assert (made["simulator"], made["profile"], made["saved"]) == ("ASTRA-sim", "epyc-9654", False)
    assert len(made["nodes"]) == 754
    assert set(made["nodes"][0]) == {
        "rank", "index", "nodeId", "startNs", "durationNs", "durationLowNs", "durationHighNs", "source", "extrapolated",
    }  # fmt: skip
    assert ask("simulations", "dlrm")["simulations"] == []


def test_for_a_reader(etgraph: Run, ask: Callable[..., Any], times: Path, tmp_path: Path) -> None:
    store = ("--store", tmp_path / "store")
    told = etgraph("simulate", "dlrm", "--import", times, "--save", *store)
    assert "Simulation of dlrm, by other\n" in told.stdout
    assert "measured: -50.0%" in told.stdout
    assert "imported" in told.stdout
    assert "trust: 3 of 754 operators" in told.stdout
    assert "--simulation" in told.stderr
    shown = etgraph("simulations", "dlrm", "--operators", "--limit", "2", *store).stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert "2 operators of 754" in shown
    assert "-50.0%" in etgraph("show", "dlrm", *store).stdout
    (identity,) = etgraph("simulations", "dlrm", "-q", *store).stdout.split()
    assert len(identity) == 16


def test_a_path_is_simulated_and_not_kept(etgraph: Run, times: Path, tmp_path: Path) -> None:
    told = etgraph("simulate", FILE, "--import", times, "--json", "--store", tmp_path / "store")
    assert json.loads(told.stdout)["saved"] is False
    for words in (("simulate", FILE, "--import", times, "--save"), ("breakdown", FILE, "--simulation", "abcdef")):
        refused = etgraph(*words, "--store", tmp_path / "store")
        assert refused.exit_code == 2
        assert "takes traces of the store" in refused.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--replay", "--profile", "h100-sxm"), "--replay and --profile mean different simulators"),
        (("--import", "x.csv", "--astra-system", "s.json"), "--import and --astra-… mean different simulators"),
        (("--astra-network", "n.yml"), "--astra-network without --astra-system"),
        (("--simulator", "me"), "--simulator is for --import"),
        (("--profile", "no-such-profile"), "no-such-profile"),
    ],
)
def test_options_that_contradict_each_other(run: Run, words: tuple[str, ...], message: str) -> None:
    result = run("simulate", "gpt", *words)
    assert result.exit_code != 0
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "simulator", "inputs"),
    [
        ((), "replay", {}),
        (("--replay",), "replay", {}),
        (("--astra-system", "s", "--astra-network", "n", "--astra-backend", "aware", "--astra-arg", "a-b=2"),
         "astra-sim", {"astra_system": Path("s"), "astra_network": Path("n"), "astra_arg": {"a-b": "2"},
                       "astra_backend": "aware"}),
        (("--import", "x.csv"), "import", {"path": Path("x.csv"), "simulator": None, "profile": None}),
    ],
)  # fmt: skip
def test_which_simulator_is_meant(run: Run, session: Any, words: tuple[str, ...], simulator: str, inputs: Any) -> None:
    assert run("simulate", "gpt", *words, "--save").exit_code == 0
    assert ("simulate", "gpt", simulator, True, inputs) in session.asked


def test_a_profile_is_what_is_predicted_on(run: Run, session: Any) -> None:
    assert run("simulate", "gpt", "--profile", "dgx-h100", "--json").exit_code == 0
    (asked,) = (each for each in session.asked if each[0] == "simulate")
    assert (asked[2], asked[4]["profile"].name) == ("predict", "dgx-h100")


def test_a_proof_in_words() -> None:
    proof = SimpleNamespace(
        verdict="replayable: 0.10% of the windows is waiting that nothing recorded explains", mean_error=0.012,
        worst_error=-0.03, crossed_error=0.02, off_host_share=0.4, device_start_mean_ns=1500.4,
        device_start_median_ns=20.0, causes=(SimpleNamespace(rank=1, index=7, name="gemm", ns=-2000),),
    )  # fmt: skip
    drawn = console(io.StringIO())
    drawn.print(proof_view(proof))
    text = " ".join(drawn.file.getvalue().split())  # type: ignore[attr-defined]
    assert "proof replayable: 0.10%" in text
    assert "mean error 1.200%, worst -3.000%; 2.000% with constants of the other half" in text
    assert "1.50 µs from the measured in the mean, 20 ns in the median" in text
    assert "rank 1 operator 7 (gemm) -2.00 µs" in text
