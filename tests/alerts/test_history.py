"""Since when a metric is another one: changes of series, and of the runs of a workload by the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.alerts.statistics import change_points
from etgraph.alerts.statistics.levels import steps_of
from etgraph.alerts.statistics.ordered import CORRELATIONS, shift_of_the_last
from etgraph.cli.main import main
from etgraph.cli.views.history import sparkline
from etgraph.model.errors import MissingData
from etgraph.store import connect
from support.build import build

NOISE = np.random.default_rng(8).normal(0, 1, 60)


def levels(*parts: tuple[int, float]) -> list[float]:
    values = np.concatenate([np.full(count, level) for count, level in parts])
    return (values + NOISE[: len(values)]).tolist()


def test_a_shift_is_found_at_its_run_with_the_levels_beside_it() -> None:
    values = levels((15, 100.0), (10, 110.0))
    (point,) = change_points(values)
    assert point.first == 15
    assert (point.before, point.after) == (np.median(values[:15]), np.median(values[15:]))
    assert point.change == pytest.approx((point.after - point.before) / point.before)
    assert point.p_value == 0.002


def test_several_shifts_and_one_that_is_taken_back() -> None:
    assert [point.first for point in change_points(levels((20, 100), (15, 120), (20, 100)))] == [20, 35]


@pytest.mark.parametrize("values", [
    [], [5.0], [1.0, 9.0], [7.0] * 40, levels((40, 100)), [*levels((20, 100)), 150.0, *levels((20, 100))],
    levels((3, 100), (3, 150)),
])  # fmt: skip
def test_no_change_where_there_is_none_or_where_it_is_one_run_or_too_few(values: list[float]) -> None:
    assert change_points(values) == ()


def test_what_is_no_number_is_an_error() -> None:
    with pytest.raises(MissingData):
        change_points([1.0, float("nan")])


def test_values_without_noise_change_where_they_differ() -> None:
    assert [(p.first, p.before, p.after, p.change) for p in steps_of([3, 3, 4, 0, 0])] == [
        (2, 3.0, 4.0, 1 / 3),
        (3, 4.0, 0.0, -1.0),
    ]
    assert steps_of([]) == ()


@settings(max_examples=25)
@given(st.lists(st.floats(-5, 5), min_size=8, max_size=20).filter(lambda v: np.ptp(v) > 0.1), st.data())
def test_shifts_are_those_of_generalised_least_squares(values: list[float], data: st.DataObject) -> None:
    """The same by matrices: inverse of the correlations, normal equations, restricted likelihood, mixture."""
    count, length = data.draw(st.integers(1, len(values) - 1)), len(values)
    y, place, degrees = np.array(values), np.arange(length), length - 3
    columns = np.column_stack([np.ones(length), place >= length - count, place])
    shift, variance, rest, factor = [], [], [], []
    for rho in CORRELATIONS:
        correlation = rho ** np.abs(place[:, None] - place)
        inverse = np.linalg.inv(correlation)
        information = columns.T @ inverse @ columns
        fit = np.linalg.solve(information, columns.T @ inverse @ y)
        shift.append(fit[1])
        variance.append(np.linalg.inv(information)[1, 1])
        rest.append((y - columns @ fit) @ inverse @ (y - columns @ fit))
        factor.append(-np.linalg.slogdet(correlation)[1] / 2 - np.linalg.slogdet(information)[1] / 2)
    if min(rest) < 1e-4:
        return
    weight = np.exp(np.array(factor) - degrees / 2 * np.log(rest))
    weight /= weight.sum()
    centre = weight @ np.array(shift)
    spread = np.array(variance) * rest / (degrees - 2) + (np.array(shift) - centre) ** 2
    expected = (centre, np.sqrt(weight @ spread * (degrees - 2) / degrees), degrees)
    found = shift_of_the_last(y, count)
    assert (found.centre, found.error, found.degrees) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_the_sparkline_keeps_the_newest_runs() -> None:
    assert sparkline([9, *range(8)], 8) == "▁▂▃▄▅▆▇█"


# The command


Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs of a workload whose step takes 100 ns, from the eighth on 150; one more of another branch."""
    folder = tmp_path_factory.mktemp("store")
    steps = [100, 102, 99, 101, 98, 103, 100, 150, 152, 149, 151, 148]
    with connect(str(folder)) as opened:
        for number, step in enumerate([*steps, 500]):
            trace = build(f"""
                rank 0 | thread 1 | iteration ProfilerStep#0  0..{step}
                rank 0 | thread 1 | a    0..{step - number % 3}
            """)
            branch = "main" if step < 500 else "try"
            trace = replace(trace, trace_id=f"{number:064x}")
            opened.publish(trace, workload="gpt", commit=f"c0ffee{number:02}", branch=branch)
    return folder


@pytest.fixture
def ask(store: Path) -> Ask:
    return lambda *words: CliRunner().invoke(main, ["--store", str(store), "history", *words])


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_since_which_commit_and_by_how_much(ask: Ask) -> None:
    found = document(ask("gpt", "iterations.durationNs", "--branch", "main", "--json"))
    (change,) = found["changes"]
    assert (change["commit"], change["previousCommit"]) == ("c0ffee07", "c0ffee06")
    assert (change["before"], change["after"], change["change"]) == (100.0, 150.0, 0.5)
    assert change["trace"] == found["runs"][7]["trace"]
    assert [run["value"] for run in found["runs"]][:3] == [100.0, 102.0, 99.0]
    assert [run["level"] for run in found["runs"]] == [100.0] * 7 + [150.0] * 5
    assert (found["unit"], found["workload"], found["trust"]["warnings"]) == ("ns", "gpt", [])


def test_the_last_runs_of_all_branches(ask: Ask) -> None:
    found = document(ask("gpt", "iterations.durationNs", "--last", "3", "--json"))
    assert [run["value"] for run in found["runs"]] == [151.0, 148.0, 500.0]
    assert found["changes"] == []
    assert found["trust"]["warnings"] == ["changes are looked for from 8 runs on"]


def test_what_a_reader_sees(ask: Ask) -> None:
    text = ask("gpt", "iterations.durationNs", "--branch", "main").stdout
    assert "▁▁▁▁▁▁▁███" in text.replace("▇", "█")
    assert "12 runs, oldest first, 98 ns … 152 ns" in text
    assert "+50.0%" in text
    assert "what changed last: etgraph compare" in text
    assert "no change beyond noise" in ask("gpt", "iterations.durationNs", "--last", "5").stdout


@pytest.mark.parametrize("name", ["history.svg", "history.html"])
def test_its_picture(ask: Ask, tmp_path: Path, name: str) -> None:
    result = ask("gpt", "iterations.durationNs", "--branch", "main", "--plot", str(tmp_path / name))
    assert result.exit_code == 0, result.stderr
    assert "c0ffee07" in (tmp_path / name).read_text("utf-8")


@pytest.mark.parametrize(("words", "code", "said"), [
    (["gpt", "steps"], 2, "no question 'steps'"),
    (["gpt", "compare.differenceNs"], 2, "compares runs with a baseline"),
    (["gpt", "memory.peakBytes"], 3, "none of 13 runs has memory.peakBytes"),
    (["bert", "iterations.durationNs"], 3, "workload 'bert' has no trace"),
    (["gpt", "iterations.durationNs", "--branch", "none"], 3, "on branch 'none'"),
    (["gpt", "iterations.durationNs", "--last", "0"], 2, "0"),
])  # fmt: skip
def test_what_cannot_be_told(ask: Ask, words: Sequence[str], code: int, said: str) -> None:
    result = ask(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
