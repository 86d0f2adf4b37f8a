"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from etgraph.alerts import pytest_plugin
from etgraph.alerts.calling import CheckError
from etgraph.alerts.pytest_plugin import assert_no_regression
from etgraph.ingest import samples
from support.torch_environment import TorchPython

pytest_plugins = "pytester"
ROOT = Path(__file__).resolve().parents[2]
RULES = """
[[rules]]
id = "no-more-collectives"
metric = 'sum(changes[kind="collective"].added)'
budget = {max = 0}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "perf.toml"
    path.write_text(RULES)
    return path


@pytest.fixture
def loaded() -> list[str]:
    """Options that load the plugin, where the installation that runs these tests does not."""
    found = importlib.metadata.entry_points(group="pytest11")
    return [] if any(each.value == pytest_plugin.__name__ for each in found) else ["-p", pytest_plugin.__name__]


def test_an_installation_loads_the_plugin() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert declared == {"etgraph": pytest_plugin.__name__}


def test_loading_the_plugin_imports_nothing_but_itself() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import etgraph.alerts.pytest_plugin; "
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name or name.startswith('etgraph')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"etgraph", "etgraph.alerts", "etgraph.alerts.pytest_plugin"}


def test_a_regression_fails_with_the_report_and_none_passes(
    pytester: pytest.Pytester, loaded: list[str], rules: Path
) -> None:
    pytester.makepyfile(f"""
        from etgraph.alerts.pytest_plugin import assert_no_regression
        from etgraph.ingest import samples

        def test_same():
            steps = samples.path("gpt_ddp_5steps")
            assert_no_regression(f"{{steps}}#1", f"{{steps}}#2,3", rules={str(rules)!r})

        def test_worse():
            assert_no_regression(samples.path("gpt_ddp_regressed"), [samples.path("gpt_ddp")], [{str(rules)!r}])
    """)
    result = pytester.runpytest_inprocess(*loaded, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: etgraph check: regressed*",
            "E*ERROR no-more-collectives: *",
            "E*due to *all_reduce*",
            "E*all_gather*",
            "E*barrier*",
        ]
    )
    result.stdout.no_fnmatch_line("*subprocess.run*")


@pytest.mark.parametrize(("missing", "exit_code"), [("trace", 3), ("rules", 2)])
def test_what_cannot_be_checked_is_an_error_with_the_commands_words(
    missing: str, exit_code: int, rules: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "nothing.json" if missing == "trace" else samples.path("gpt_ddp")
    if missing == "rules":
        rules.write_text("[[rules]]\nid = 3\n")
    with pytest.raises(CheckError) as caught:
        assert_no_regression(trace, rules=rules)
    assert caught.value.exit_code == exit_code
    assert (trace if missing == "trace" else rules).name in caught.value.message


def test_what_goes_to_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert_no_regression(
        [Path("runs/1"), "-x"], ["gpt@a", "last:3"], [Path("a.toml"), "default"],
        workload="gpt", fail_on_undecided=True, store="folder",
    )  # fmt: skip
    (command,) = seen
    report = next(word for word in command if word.startswith("--output="))
    assert command[1:] == [
        "-m", "etgraph.cli", "--quiet", "check", "--baseline", "gpt@a", "--baseline", "last:3", "--rules", "a.toml",
        "--rules", "default", "--workload", "gpt", "--fail-on", "undecided", "--store", "folder", report, "--",
        "runs/1", "-x",
    ]  # fmt: skip


RECORDS = """
    import pathlib, pytest
    from etgraph.alerts.pytest_plugin import assert_no_regression

    RULE = '''[[rules]]
    id = "gemms"
    metric = "sum(structure.operators[name='aten::addmm'].count)"
    regression = {max_increase = "0%"}
    '''

    @pytest.mark.parametrize("size", [16])
    def test_step(etgraph_trace, size, tmp_path):
        import torch
        (tmp_path / "rules.toml").write_text(RULE)
        product = torch.nn.Linear(size, size)

        def recorded(name):
            with etgraph_trace(name, warmup=1, steps=2) as recording:
                for step in range(3):
                    product(torch.ones(size, size)).sum().backward()
                    recording.step()
            return recording

        before, recording = recorded("before"), recorded("step")
        assert len(recording.files) == 2
        assert_no_regression(recording, baseline=before, rules=tmp_path / "rules.toml")

    def test_no_step_ends(etgraph_trace):
        with etgraph_trace(wait=1, steps=1):
            pass
"""


def test_a_block_is_recorded_and_checked(torch_python: TorchPython, tmp_path: Path, loaded: list[str]) -> None:
    (tmp_path / "test_it.py").write_text("\n".join(line[4:] for line in RECORDS.splitlines()))
    # PyTorch is its interpreter's own; pytest and the rest are those of these tests.
    path = [str(ROOT / each) for each in ("model", "ingest", "store", "queries", "sim", "alerts", "graphql", "cli")]
    path.append(sysconfig.get_path("purelib"))
    command = [torch_python.path, "-m", "pytest", *loaded, "-p", "no:cacheprovider", "--etgraph-traces", "kept"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(
        [*command, "test_it.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "nothing was recorded" in done.stdout
    (folder,) = [each for each in (tmp_path / "kept").iterdir() if list(each.glob("step/*"))]
    assert folder.name == "test_it.py-test_step-16"
    assert sorted(path.name for path in (folder / "step").glob("*")) == ["et_rank0.json.gz", "kineto_rank0.json.gz"]
