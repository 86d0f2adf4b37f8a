"""Times of other simulators from CSV files: which columns, which units, and where a file is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etgraph.model import Trace
from etgraph.model.errors import InputError, NotFound, UsageError
from etgraph.sim.imported import imported
from etgraph.sim.profiles import load
from etgraph.sim.simulation import RankTimes
from support.build import build

TRACE = """
    rank 0 | stream 7 | gemm            0..1000
    rank 0 | stream 7 | all_reduce 4MB  1000..3000
    rank 1 | stream 7 | gemm            0..1500
    rank 1 | stream 7 | all_reduce 4MB  1500..3000
"""
ALL = "rank,index,start_ns,duration_ns\n0,0,0,800\n0,1,1200,1800\n1,0,0,1200\n1,1,1200,1800\n"

Write = Callable[[str], Path]


@pytest.fixture
def trace() -> Trace:
    """Two ranks of two operators each; node ids count down from 2**63 + 3 on each rank."""
    found = build(TRACE)
    ids = [2**63 + 3, 2**63 + 2, 2**63 + 3, 2**63 + 2]
    operators = found.operators.replace({"node_id": ids})
    return type(found)(**{**found.tables, "operators": operators}, metadata=found.metadata, trace_id=found.trace_id)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(text)`: a file of that text."""

    def written(text: str) -> Path:
        path = tmp_path / "astra.csv"
        path.write_text(text, "utf-8")
        return path

    return written


def test_every_operator_has_its_times(trace: Trace, write: Write) -> None:
    found = imported(trace, write(ALL))
    assert found.nodes["start_ns"].to_pylist() == [0, 1200, 0, 1200]
    assert found.nodes["duration_ns"].to_pylist() == [800, 1800, 1200, 1800]
    assert found.nodes["duration_low_ns"].null_count == 4
    assert set(found.nodes["source"].to_pylist()) == {"imported"}
    assert (found.simulator, found.profile, found.makespan_ns, found.measured_ns, found.error) == (
        "astra", None, 3000, 3000, 0.0
    )  # fmt: skip
    assert found.ranks == (RankTimes(0, 3000, 800, 1800), RankTimes(1, 3000, 1200, 1800))
    assert found.trust.warnings == ()


@pytest.mark.parametrize(
    "header",
    ["rank,index,start_us,end_us", "Rank,Index,Start (us),End (us)", "rank,index,startUs,endUs",
     "rank,index,start_time_us,end_time_µs"],
)  # fmt: skip
def test_headers_and_microseconds(trace: Trace, write: Write, header: str) -> None:
    found = imported(trace, write(f"{header}\n0,0,0.25,1.5\n"))
    assert found.nodes["start_ns"].to_pylist() == [250, None, None, None]
    assert found.nodes["duration_ns"].to_pylist() == [1250, None, None, None]


def test_operators_by_the_source_s_own_id(trace: Trace, write: Write) -> None:
    found = imported(trace, write(f"node_id,name,rank,end_ns,start_ns\n{2**63 + 2},x,1,9,4\n"))
    assert found.nodes["duration_ns"].to_pylist() == [None, None, None, 5]


def test_who_made_it_and_for_what(trace: Trace, write: Write) -> None:
    found = imported(trace, write(ALL), simulator="ASTRA-sim", profile=load("dgx-h100"))
    assert (found.simulator, found.profile, found.parameters) == ("ASTRA-sim", "dgx-h100", {"file": "astra.csv"})


def test_what_has_no_partner_is_told(trace: Trace, write: Write) -> None:
    found = imported(trace, write("rank,index,start_ns,end_ns\n0,0,0,500\n\n9,0,0,1\n0,7,0,1\n"))
    assert found.trust.warnings == (
        "2 of 3 rows of astra.csv are no operators of the trace, such as line 4: rank 9, index 0",
        "3 of 4 operators have no times in astra.csv, such as rank 0 operator 1 (all_reduce on stream 7)",
    )
    assert (found.makespan_ns, found.measured_ns, found.error) == (500, 1000, -0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found an empty file"),
        ("rank,index,start_ns\n", "without end or duration"),
        ("index,start_ns,end_ns\n0,0,1\n", "without rank"),
        ("rank,start_ns,end_ns\n0,0,1\n", "without node_id or index"),
        ("rank,index,start,end_ns\n0,0,0,1\n", "column 'start': found a time without its unit, expected start_ns or"),
        ("rank,index,start_ms,end_ms\n0,0,0,1\n", "found a time without its unit"),
        ("rank,rank,index,start_ns,end_ns\n0,0,0,0,1\n", "line 1: found column 'rank' again"),
        ("rank,index,start_ns,end_ns\n0,0,0,1\n\n0,1,x,1\n", "line 4, column 'start_ns': found 'x', expected a number"),
        ("rank,index,start_ns,end_ns\n0,-1,0,1\n", "line 2, column 'index': found '-1', expected a whole number"),
        ("rank,index,start_ns,end_ns\n0,1,,1\n", "line 2, column 'start_ns': found ''"),
        ("rank,index,start_ns,end_ns\n0,0,0,1\n0,1,2\n", "line 3: found 3 cells in '0,1,2', expected 4"),
        ("rank,index,start_ns,end_ns\n0,0,0,1\n0,1,5,2\n", "line 3: found an end 3 ns before the start"),
        ("rank,index,start_ns,end_ns\n0,0,0,1e30\n", "line 2, column 'end_ns': found 1e30, expected less than"),
        ("rank,index,start_ns,end_ns\n0,0,0,1\n0,0,0,2\n", "line 3: found rank 0, index 0 again, first on line 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(trace: Trace, write: Write, text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"^astra\.csv") as error:
        imported(trace, write(text))
    assert message in str(error.value)


def test_nothing_matches(trace: Trace, write: Write) -> None:
    with pytest.raises(UsageError, match="found 1 rows that are no operators of the trace, expected its ranks 0, 1"):
        imported(trace, write("rank,index,start_ns,end_ns\n5,0,0,1\n"))


def test_no_file(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        imported(trace, tmp_path / "nothing.csv")
