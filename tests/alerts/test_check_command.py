"""`etgraph check` and `etgraph rules`: exit codes, reports, and what a reader of a build's log is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etgraph.cli.main import main
from etgraph.ingest import samples
from etgraph.store import connect
from support.steps import steps

Call = Callable[..., Result]
BEFORE, AFTER = "gpt@before", "gpt@after"
COLLECTIVES = """
[[rules]]
id = "collectives"
metric = 'sum(changes[kind="collective"].added)'
budget = {max = 0}
"""
TIME = """
[[rules]]
id = "time"
metric = "iterations.durationNs"
budget = {max = "60 s"}
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of branch main, and one of branch work with an all-gather more."""
    folder = tmp_path_factory.mktemp("alerts") / "store"
    before = steps([100_000, 110_000])
    after = steps([120_000, 105_000], extra="gloo:all_gather 8MB")
    with connect(folder) as store:
        for trace, branch, tag in ((before, "main", "before"), (after, "work", "after")):
            store.publish(trace, workload="gpt", branch=branch, labels={"which": tag})
            store.tag(f"gpt@which={tag}", tag)
    return folder


@pytest.fixture
def etgraph(filled: Path, tmp_path: Path) -> Call:
    """Call etgraph in this process, on a store of its own."""
    own = shutil.copytree(filled, tmp_path / "store")

    def call(*args: str | Path) -> Result:
        return CliRunner().invoke(main, [*map(str, args), "--store", str(own)], prog_name="etgraph")

    return call


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[str], Path]:
    """A file of rules of that text."""

    def write(text: str) -> Path:
        path = tmp_path / "rules.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_what_is_broken_ends_with_1_and_what_is_not_with_0(etgraph: Call, rules: Callable[[str], Path]) -> None:
    file = rules(COLLECTIVES)
    result = etgraph("check", AFTER, "--baseline", BEFORE, "--rules", file)
    assert result.exit_code == 1
    assert "+1 × all_gather (0 to 1 a step and rank, 8.39 MB each)" in " ".join(result.stdout.split())
    assert f"{file}:2" in result.stdout
    result = etgraph("check", BEFORE, "--baseline", AFTER, "--rules", file)
    assert (result.exit_code, "improved" in result.stdout) == (0, True)
    assert etgraph("check", f"{BEFORE}#0", "--baseline", f"{BEFORE}#1", "--rules", file).exit_code == 0
    result = etgraph("check", BEFORE, "--baseline", BEFORE, "--rules", file)
    assert (result.exit_code, "is on both sides" in result.stdout) == (3, True)


def test_reports_go_to_files_and_to_stdout_at_once(etgraph: Call, rules: Callable[[str], Path], tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    result = etgraph(
        "check",
        AFTER,
        "--baseline",
        BEFORE,
        "--rules",
        rules(COLLECTIVES + TIME),
        "--output",
        f"junit={junit}",
        "--json",
    )
    document = json.loads(result.stdout)
    assert (document["status"], [each["rule"] for each in document["findings"]]) == (
        "regressed",
        ["collectives", "time"],
    )
    (first, _) = document["findings"]
    assert [each["key"] for each in first["responsible"]] == ["all_gather"]
    assert first["command"] == f"etgraph compare {BEFORE} {AFTER}"
    assert len(list(ET.parse(junit).iter("testcase"))) == 2
    result = etgraph("check", BEFORE, "--rules", rules(TIME), "--output", f"junit={junit}")
    assert (result.exit_code, "passed: time" in result.stdout) == (0, True)
    result = etgraph("check", BEFORE, "--rules", rules(TIME), "-q")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("args", "text", "code", "told"),
    [
        ([AFTER], "[[rules]]\nid = 'a'\nmetric = 'breakdown.idle'\nbudget = {max = 0}", 2, "did you mean 'idleNs'?"),
        ([AFTER], "[[rules]\n", 2, "rules.toml: line 1"),
        ([AFTER], COLLECTIVES, 2, "rule 'collectives' compares with a baseline, and none is named"),
        ([AFTER, "--baseline", "last:0"], COLLECTIVES, 2, "expected last:N"),
        (["run/", "--baseline", "branch:main"], COLLECTIVES, 2, "--workload"),
        ([BEFORE, "--baseline", "last:3"], COLLECTIVES, 3, "workload 'gpt' has no earlier trace"),
        ([AFTER, "--baseline", "gpt@baselin"], COLLECTIVES, 3, "answers to 'baselin'"),
        ([AFTER, "--output", "pdf"], TIME, 2, "pdf"),
        (["missing/"], TIME, 3, "missing"),
        (["corrupt.json"], TIME, 3, "corrupt.json"),
        ([AFTER], "[[rules]]\nid = 'a'\nmetric = 'memory.peakBytes'\nbudget = {max = '1 GB'}", 3, "cannot be measured"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_never_a_pass(
    etgraph: Call, rules: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    args: list[str], text: str, code: int, told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corrupt.json").write_text('{"traceEvents": [{"ph": "X", ')
    (tmp_path / "run").symlink_to(samples.path("gpt_ddp_5steps"))
    result = etgraph("check", *args, "--rules", rules(text))
    assert result.exit_code == code
    assert told in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_a_store_that_cannot_be_reached_ends_with_4(rules: Callable[[str], Path]) -> None:
    result = CliRunner().invoke(
        main, ["check", "gpt", "--rules", str(rules(TIME)), "--store", "bolt://127.0.0.1:1"], prog_name="etgraph"
    )
    assert result.exit_code == 4
    assert "127.0.0.1:1" in result.stderr


def test_paths_are_checked_without_a_store(rules: Callable[[str], Path]) -> None:
    run = str(samples.path("gpt_ddp_5steps"))
    call = ["check", f"{run}#1,3", "--baseline", f"{run}#0,2,4", "--rules", str(rules(COLLECTIVES + TIME))]
    result = CliRunner().invoke(main, [*call, "--store", "bolt://127.0.0.1:1"], prog_name="etgraph")
    assert (result.exit_code, "passed: collectives, time" in result.stdout) == (0, True)


def test_undecided_is_a_warning_unless_it_is_to_fail(etgraph: Call, rules: Callable[[str], Path]) -> None:
    file = rules(TIME.replace('budget = {max = "60 s"}', 'regression = {max_increase = "1%", min_samples = 2}'))
    call = ["check", f"{BEFORE}#0", "--baseline", f"{BEFORE}#1", "--rules", str(file)]
    assert etgraph(*call).exit_code == 0
    assert etgraph(*call, "--fail-on", "undecided").exit_code == 1


# Baselines of a store


@pytest.mark.parametrize("baseline", ["branch:main", "last:1", "last:5", "last:1:main", "gpt@before"])
def test_a_baseline_is_a_branch_the_last_runs_or_a_tag(
    etgraph: Call, rules: Callable[[str], Path], baseline: str
) -> None:
    result = etgraph("check", "gpt", "--baseline", baseline, "--rules", rules(COLLECTIVES), "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["status"], document["findings"][0]["baselineRuns"]) == (1, "regressed", 1)
    file = rules(COLLECTIVES + f'baseline = ["{baseline}"]')
    assert etgraph("check", "gpt", "--rules", file).exit_code == 1


def test_a_path_is_compared_with_the_runs_of_a_workload(etgraph: Call, rules: Callable[[str], Path]) -> None:
    run = samples.path("gpt_ddp_5steps")
    etgraph("ingest", run, "--workload", "five", "--branch", "main", "-q")
    args = ["check", run, "--rules", rules(COLLECTIVES), "--workload", "five", "--baseline"]
    result = etgraph(*args, "branch:main")  # the same trace: nothing to compare with
    assert (result.exit_code, "workload 'five' has no trace on branch 'main'" in result.stderr) == (3, True)


@pytest.mark.parametrize(("branch", "most", "status"), [("main", 4, "passed"), ("main", 3, "broken"),
                                                        ("work", 3, "undecided")])  # fmt: skip
def test_so_many_runs_in_a_row_go_back_in_the_branch(
    etgraph: Call, rules: Callable[[str], Path], tmp_path: Path, branch: str, most: int, status: str
) -> None:
    with connect(tmp_path / "store") as store:  # 4 operators a step, then 6
        for trace, own in ((steps([100]), "main"), (steps([100], extra="aten::ones"), branch)):
            store.publish(trace, workload="row", branch=own)
    text = '[[rules]]\nid = "a"\nmetric = "sum(structure.operators.count)"\nfor = 2\n'
    result = etgraph("check", "row", "--rules", rules(f"{text}budget = {{max = {most}}}"), "--json")
    assert json.loads(result.stdout)["findings"][0]["status"] == status
    assert result.exit_code == (status == "broken")


# Rules


def test_rules_are_written_from_a_run_and_hold_of_it(etgraph: Call, tmp_path: Path) -> None:
    file = tmp_path / "first.toml"
    result = etgraph("rules", "init", BEFORE, "-o", file, "--baseline", "gpt@baseline")
    assert result.exit_code == 0
    assert "# measured: " in file.read_text()
    assert 'baseline = ["gpt@baseline"]' in file.read_text()
    assert etgraph("rules", "lint", file).stdout.startswith(f"{file}: 15 rules")
    assert etgraph("rules", "init", BEFORE, "-o", file).exit_code == 2
    own = file.with_stem("comparing")
    assert etgraph("rules", "init", BEFORE, "-o", own, "--comparing").exit_code == 0
    assert "\nbaseline = " not in own.read_text("utf-8")
    assert etgraph("check", AFTER, "--baseline", BEFORE, "--rules", own).exit_code == 1
    assert etgraph("check", AFTER, "--rules", own).exit_code == 2
    file.unlink()
    assert etgraph("rules", "init", BEFORE, "-o", file, "--json").exit_code == 0
    result = etgraph("check", BEFORE, "--rules", file, "--json")
    assert result.exit_code == 0
    assert {each["status"] for each in json.loads(result.stdout)["findings"]} == {"passed"}


def test_lint_and_explain_say_what_is_wrong_and_what_is_meant(etgraph: Call, rules: Callable[[str], Path]) -> None:
    file = rules(TIME.replace("durationNs", "duration"))
    result = etgraph("rules", "lint", file)
    assert result.exit_code == 2
    assert f"{file}: line 4, rules.time.metric: found no field 'duration'" in result.stderr
    assert "did you mean 'durationNs'?" in result.stderr
    result = etgraph("rules", "explain", "step-time")
    assert (result.exit_code, "may grow by 1% beside the baseline" in result.stdout) == (0, True)
    result = etgraph("rules", "explain", "time", "--rules", rules(TIME), "--json")
    assert json.loads(result.stdout)["rule"]["measured in"] == "ns"
    result = etgraph("rules", "explain", "stp-time")
    assert (result.exit_code, "did you mean 'step-time'?" in result.stderr) == (2, True)
    result = etgraph("rules", "lint", "default", "--json")
    assert len(json.loads(result.stdout)["rules"]) == 15


TESTS = f"""
rules = ["rules.toml"]

[[tests]]
name = "an all-gather"
traces = ["{AFTER}"]
baseline = ["{BEFORE}"]
status = "regressed"
findings = [
    {{rule = "collectives", status = "broken", value = 1, responsible = ["all_gather"], message = "all_gather"}},
    {{rule = "time", status = "passed"}},
]

[[tests]]
name = "no trace"
traces = ["missing"]
error = "NOT_FOUND"
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", ""),
        ('"regressed"', '"ok"', "found regressed, expected ok"),
        ('"broken"', '"passed"', "collectives: found broken"),
        ("value = 1", "value = 6", "collectives: found 1, expected 6"),
        ("value = 1", "value = '7 ms'", "expected an amount"),
        ('["all_gather"]', '["broadcast"]', "to be responsible, expected broadcast"),
        ('message = "all_gather"', 'message = "broadcast"', "expected 'broadcast' in it"),
        ('rule = "time"', 'rule = "tme"', "no rule 'tme' among collectives, time"),
        ('"NOT_FOUND"', '"CORRUPT"', "found error NOT_FOUND"),
        ('traces = ["missing"]', f'traces = ["{BEFORE}"]\nbaseline = ["{AFTER}"]', "found ok, expected error"),
    ],
)  # fmt: skip
def test_rules_are_tried_on_traces(
    etgraph: Call, rules: Callable[[str], Path], tmp_path: Path, old: str, new: str, told: str
) -> None:
    rules(COLLECTIVES + TIME)
    file = tmp_path / "tests.toml"
    file.write_text(TESTS.replace(old, new) if old else TESTS)
    result = etgraph("rules", "test", file)
    assert result.exit_code == (1 if told else 0)
    assert told in result.stdout
    assert result.stdout.splitlines()[-1] == f"2 tests, {1 if told else 0} failed"


def test_the_process_ends_with_the_code(rules: Callable[[str], Path], filled: Path) -> None:
    command = [sys.executable, "-m", "etgraph.cli", "check", AFTER, "--baseline", BEFORE, "--rules",
               str(rules(COLLECTIVES)), "--store", str(filled)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("etgraph check: regressed.")
    assert not done.stderr
