"""`etgraph export`: what a user types, where the words go, and what happens when it cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from click.testing import Result

from etgraph.cli.commands.export import export
from etgraph.cli.session import NEO4J_FORMAT
from etgraph.ingest import samples
from etgraph.ingest.writers import WRITERS

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def sample() -> Path:
    """One rank of a bundled sample."""
    return samples.path("gpt_ddp") / "kineto_rank0.json.gz"


def test_the_command_offers_the_formats_that_there_are() -> None:
    (option,) = (p for p in export.params if p.name == "format")
    assert list(option.type.choices) == [*WRITERS, NEO4J_FORMAT]  # type: ignore[attr-defined]


@pytest.mark.parametrize("format", list(WRITERS))
def test_an_export_is_written_and_told_of(etgraph: Run, sample: Path, tmp_path: Path, format: str) -> None:
    result = etgraph("export", sample, "--format", format, "-o", tmp_path / "x")
    assert (result.exit_code, result.stdout) == (0, "")
    dependencies = "0 dependencies" if format == "speedscope" else "4,791 dependencies"
    assert result.stderr.startswith(f"wrote 3,793 operators and {dependencies} to ")
    assert (tmp_path / "x").exists()
    assert etgraph("export", sample, "--format", format, "--output", tmp_path / "x", "-q").output == ""


def test_a_stored_trace_and_a_part_of_it(etgraph: Run, tmp_path: Path) -> None:
    five_steps = samples.path("gpt_ddp_5steps") / "kineto_rank0.json.gz"
    assert etgraph("ingest", five_steps, "--workload", "gpt", "--store", tmp_path / "store").exit_code == 0
    sizes = []
    for reference in ("gpt", "gpt#0"):
        result = etgraph(
            "export", reference, "--store", tmp_path / "store", "--format", "networkx", "-o", tmp_path / "x", "--json"
        )
        told = json.loads(result.stdout)["export"]
        graph = nx.node_link_graph(json.loads((tmp_path / "x").read_text("utf-8")), edges="edges")
        assert told == {
            "format": "networkx",
            "path": str(tmp_path / "x"),
            "operators": len(graph),
            "dependencies": graph.number_of_edges(),
            "bytes": (tmp_path / "x").stat().st_size,
            "replacedCharacters": 0,
            "notes": [],
        }
        sizes.append(len(graph))
    assert sizes[0] > sizes[1] > 0


def trace_events(path: Path) -> list[dict[str, Any]]:
    """The slices of a timeline of trace events, processes by name."""
    events: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    return [e | {"pid": names[e["pid"]]} for e in events if e["ph"] == "X"]


def test_a_timeline_shows_the_critical_path(etgraph: Run, sample: Path, tmp_path: Path) -> None:
    result = etgraph("export", sample, "--format", "chrome", "-o", tmp_path / "x.json")
    assert "no critical path" not in result.stderr
    told = json.loads(etgraph("critical-path", sample, "--segments", "--json").stdout)["segments"]
    shown = [e for e in trace_events(tmp_path / "x.json") if e["pid"] == "critical path"]
    assert [(e["name"], e["cat"], e["args"]["detail"]) for e in shown] == [
        (s["name"] or s["detail"], s["category"], s["detail"]) for s in told
    ]


def test_a_timeline_of_iterations_shows_their_path_if_they_follow_each_other(etgraph: Run, tmp_path: Path) -> None:
    five_steps = samples.path("gpt_ddp_5steps") / "kineto_rank0.json.gz"
    counts = {}
    for part in ("#1", "#0,2"):
        result = etgraph("export", f"{five_steps}{part}", "--format", "chrome", "-o", tmp_path / "x.json")
        assert result.exit_code == 0
        counts[part] = sum(e["pid"] == "critical path" for e in trace_events(tmp_path / "x.json"))
        assert ("! no critical path: iterations 0, 2 have 1 between them" in result.stderr) == (part == "#0,2")
    assert counts["#1"] > 0 == counts["#0,2"]


def test_the_page_shows_what_an_export_prints(etgraph: Run, tmp_path: Path) -> None:
    result = etgraph("export", samples.path("gpt_tp2_pp2"), "--format", "perfetto", "-o", tmp_path / "gpt.pftrace")
    page = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text("utf-8")
    for line in result.stderr.splitlines():
        assert line.replace(f"{tmp_path}/", "") in page


def test_a_timeline_of_a_trace_without_times_is_refused(etgraph: Run, tmp_path: Path) -> None:
    execution_trace = samples.path("gpt_ddp") / "et_rank0.json.gz"
    result = etgraph("export", execution_trace, "--format", "perfetto", "-o", tmp_path / "x")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "operators of this trace has a start and a duration" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_stdout_gets_the_export_and_nothing_else(sample: Path) -> None:
    command = [sys.executable, "-m", "etgraph.cli", "export", str(sample), "--format", "networkx", "-o", "-"]
    result = subprocess.run(command, capture_output=True, check=True, timeout=120)
    assert len(json.loads(result.stdout)["nodes"]) == 3793
    assert result.stderr.startswith(b"wrote 3,793 operators")


def test_a_reader_who_leaves_is_no_error(sample: Path) -> None:
    command = [sys.executable, "-m", "etgraph.cli", "export", str(sample), "--format", "graphml", "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


@pytest.mark.parametrize(
    ("args", "exit_code", "says"),
    [
        (["--format", "svg", "-o", "x"], 2, "'svg' is not one of"),
        (["--format", "dot"], 2, "Missing option '-o'"),
        (["-o", "x"], 2, "Missing option '--format'"),
        (["--format", "parquet", "-o", "-"], 2, "cannot be written to a stream"),
        (["--format", "dot", "-o", "-", "--json"], 2, "cannot take both"),
        (["--format", "dot", "-o", "missing/x"], 3, "there is no folder"),
        (["--format", "dot", "-o", "."], 3, "is a folder"),
    ],
)
def test_what_cannot_be_is_refused(
    etgraph: Run,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    exit_code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = etgraph("export", sample, *args)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_target_is_looked_at_before_the_trace(
    etgraph: Run, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etgraph.cli.local._read", lambda path: pytest.fail("the trace was read"))
    result = etgraph("export", sample, "--format", "dot", "-o", tmp_path, "--json")
    assert json.loads(result.stderr.splitlines()[-1])["error"]["code"] == "EXPORT"


def test_replaced_characters_are_told(etgraph: Run, tmp_path: Path) -> None:
    event = {"ph": "X", "cat": "cpu_op", "name": "a\x01b", "pid": 1, "tid": 1, "ts": 1, "dur": 2, "args": {}}
    (tmp_path / "t.json").write_text(json.dumps({"traceEvents": [event]}), "utf-8")
    result = etgraph("export", tmp_path / "t.json", "--format", "graphml", "-o", tmp_path / "x")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "replaced 1 character that graphml cannot hold by U+FFFD" in result.stderr
