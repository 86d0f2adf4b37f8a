"""What `etgraph operators` and `etgraph memory` print, and under which names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result
from rich.console import Console

from etgraph.cli.views.memory import area, highest, memory_view
from etgraph.cli.views.operators import operators_view
from etgraph.model import Trust
from etgraph.queries import Memory, Operators
from etgraph.queries.memory import DeviceMemory, Holder

Run = Callable[..., Result]

ROW = {
    "key": "aten::mm\x1b[31m", "lane": "host", "count": 3, "total_ns": 9_000, "self_ns": 6_000, "device_ns": 90_000,
    "mean_ns": 3_000, "min_ns": 1_000, "p50_ns": 2_500, "p95_ns": 5_000, "max_ns": 5_000, "flops": 10**12,
    "bytes": 10**9, "flops_per_s": 1.5e12, "bytes_per_s": 2e9, "share": 0.75,
}  # fmt: skip
KERNEL = ROW | {"key": "gemm" * 30, "lane": "device", "device_ns": None, "flops": None, "bytes": None, "share": 1.0,
                "flops_per_s": None, "bytes_per_s": None}  # fmt: skip
BARE = dict.fromkeys(ROW) | {"lane": "host", "count": 2, "total_ns": 0, "self_ns": 2_000, "share": 0.25}

OPERATORS = Operators("name", 8_000, 6_000, pa.Table.from_pylist([ROW, KERNEL, BARE]), Trust())

MEMORY = Memory(
    peak_bytes=600,
    peak_ns=20_000,
    peak_rank=1,
    peak_device="cuda:0",
    devices=(
        DeviceMemory(1, "cuda:0", 600, 20_000, 400, 500, 1_000, 2, 1, 300),
        DeviceMemory(1, "cpu", 8, 10_000, 0, 0, None, 1, 1, 8),
    ),
    series=pa.table(
        {
            "rank": [1] * 4,
            "device": ["cuda:0"] * 3 + ["cpu"],
            "ns": [0, 20_000, 30_000, 0],
            "allocated_bytes": [400, 600, 500, 0],
            "reserved_bytes": [None, 1_000, 1_000, None],
        }
    ),
    holders=(
        Holder(1, "cuda:0", "before the recording", None, 400, None, 2 / 3),
        Holder(1, "cuda:0", "operator", "aten::mm\x1b[31m", 200, 1, 1 / 3),
        Holder(1, "cpu", "operator", "aten::item", 8, 1, 1.0),
    ),
    trust=Trust(explained_share=1 / 3),
)


@pytest.fixture(autouse=True)
def _answers(session: Any) -> None:
    session.answers |= {"operators": OPERATORS, "memory": MEMORY}


def drawn(view: Any, width: int) -> list[str]:
    console = Console(width=width, file=None, markup=False, highlight=False)
    with console.capture() as found:
        console.print(view)
    return found.get().splitlines()


def test_operators_have_the_promised_names(run: Run) -> None:
    answer = json.loads(run("operators", "gpt", "--json").stdout)
    assert set(answer) == {"by", "hostNs", "deviceNs", "rows", "trust", "profile"}
    assert len(answer["rows"]) == 3
    assert set(answer["rows"][0]) == {
        "key", "lane", "count", "totalNs", "selfNs", "deviceNs", "meanNs", "minNs", "p50Ns", "p95Ns", "maxNs", "flops",
        "bytes", "flopsPerS", "bytesPerS", "share",
    }  # fmt: skip
    assert (answer["rows"][0]["flops"], answer["rows"][1]["flops"]) == (10**12, None)


def test_memory_has_the_promised_names(run: Run) -> None:
    answer = json.loads(run("memory", "gpt", "--json").stdout)
    assert set(answer) == {"peakBytes", "peakNs", "peakRank", "peakDevice", "devices", "series", "holders", "trust"}
    assert answer["series"][0] == {
        "rank": 1, "device": "cuda:0", "ns": 0, "allocatedBytes": 400, "reservedBytes": None
    }  # fmt: skip
    assert answer["holders"][0] == {
        "rank": 1, "device": "cuda:0", "kind": "before the recording", "key": None, "bytes": 400, "count": None,
        "share": 2 / 3,
    }  # fmt: skip
    assert set(answer["devices"][0]) == {
        "rank", "device", "peakBytes", "peakNs", "startBytes", "endBytes", "reservedBytes", "allocations", "releases",
        "allocatedBytes",
    }  # fmt: skip


def test_what_was_asked_reaches_the_session(run: Run, session: Any) -> None:
    run("operators", "gpt", "--rank", "2", "--iteration", "4", "--window", "device", "--by", "shape", "--lane", "host")
    common = {"rank": 2, "iteration": 4, "window": "device", "save": False}
    assert session.asked[0] == ("operators", "gpt", common | {"by": "shape", "lane": "host", "profile": None})
    run("memory", "gpt", "--rank", "2", "--iteration", "4", "--window", "device", "--by", "scope")
    assert session.asked[2] == ("memory", "gpt", common | {"by": "scope"})


def test_operators_of_each_lane_are_a_table(run: Run) -> None:
    shown = run("operators", "gpt").stdout
    lines = shown.splitlines()
    assert lines[0] == "Operators of gpt"
    assert lines[1] == "device: 3 operators, 6.00 µs of their own; host: 5 operators, 8.00 µs of their own"
    device, host = (
        next(n for n, line in enumerate(lines) if line.startswith(f"{x}, by name")) for x in ("device", "host")
    )
    assert device < host
    (mm,) = [line for line in lines if line.startswith("aten::mm?[31m")]
    assert mm.split()[1:] == ["3", "6.00", "µs", "75.0%", "9.00", "µs", "90.0", "µs", "2.50", "µs", "1.50", "TFLOP/s",
                              "2.00", "GB/s"]  # fmt: skip
    assert any(line.startswith("(not recorded)") for line in lines)
    assert "\x1b" not in shown
    assert lines[-1] == "trust: nothing against it"


def test_rows_beyond_the_limit_are_summed_up(run: Run) -> None:
    (rest,) = [line for line in run("operators", "gpt", "--limit", "1").stdout.splitlines() if "more row" in line]
    assert rest.split()[1:] == ["and", "1", "more", "row", "2", "2.00", "µs", "25.0%"]
    assert "more row" not in run("operators", "gpt", "--limit", "1", "--all").stdout


def test_what_has_no_times_is_counted(run: Run, session: Any) -> None:
    rows = pa.Table.from_pylist([dict.fromkeys(ROW) | {"key": key, "lane": "host", "count": 2} for key in "ab"])
    session.answers["operators"] = replace(OPERATORS, rows=rows)
    lines = run("operators", "gpt", "--limit", "1").stdout.splitlines()
    assert lines[1] == "host: 4 operators"
    assert [line.split() for line in lines[5:7]] == [
        ["a", "2", "–", "–", "–", "–"], ["…", "and", "1", "more", "row", "2", "–", "–"]
    ]  # fmt: skip


def test_shapes_are_read_as_dims(run: Run, session: Any) -> None:
    keys = ['a {"dims":[[[2,3],[4]],[],[5]],"types":[]}', 'b {"dims":3}', 'c {"dims":[', "d"]
    rows = pa.Table.from_pylist([ROW | {"key": key} for key in keys])
    session.answers["operators"] = replace(OPERATORS, by="shape", rows=rows)
    lines = run("operators", "gpt", "--by", "shape").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[5:9]] == ["a [2x3 4] 5", 'b {"dims":3}', 'c {"dims":[', "d"]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_fit_the_terminal(width: int) -> None:
    many = pa.Table.from_pylist([KERNEL | {"self_ns": 10**9 + n} for n in range(40)] + [ROW] * 40)
    answer = replace(OPERATORS, rows=many)
    lines = drawn(partial(operators_view, limit=5)(answer, "Operators", width), width)
    assert max(map(len, lines)) <= width
    assert len([line for line in lines if "gemm" in line]) == 5
    assert len([line for line in lines if "35 more rows" in line]) == 2
    assert max(map(len, drawn(memory_view(MEMORY, "Memory", width), width))) <= width


def test_memory_is_a_chart_and_its_holders(run: Run) -> None:
    shown = run("memory", "gpt", "--iteration", "1").stdout
    lines = shown.splitlines()
    assert lines[0] == "Memory of gpt, iteration 1"
    assert lines[1] == "peak 600 B on cuda:0 of rank 1, at 20.0 µs"
    assert lines[3].startswith("    600 B ")
    assert lines[10].startswith("    400 B ▁")
    assert any(line.startswith("before the recording       –  400 B  66.7%") for line in lines)
    assert any(line.startswith("aten::mm?[31m              1  200 B  33.3%") for line in lines)
    assert not any("aten::item" in line for line in lines)
    assert any(line.split()[:3] == ["cpu", "1", "8"] for line in lines)
    assert "\x1b" not in shown
    assert lines[-1] == "trust: 33.3% explained"


def test_many_ranks_are_summed_up() -> None:
    devices = tuple(replace(MEMORY.devices[0], rank=rank, peak_bytes=600 - rank) for rank in range(64))
    lines = drawn(memory_view(replace(MEMORY, devices=(MEMORY.devices[0], *devices)), "Memory", 80), 80)
    assert any(line.startswith("… and 55 more") and "up to 591 B" in line for line in lines)
    assert len(lines) < 40


def test_a_level_holds_until_the_next_one() -> None:
    assert highest([(0, 5)], 3) == [5, 5, 5]
    assert highest([(0, 5), (10, 1), (30, 7)], 3) == [5, 1, 7]
    assert highest([(0, 0), (1, 9), (2, 0), (8, 0)], 4) == [9, 0, 0, 0]


def test_what_is_little_is_still_drawn() -> None:
    assert area([0, 1, 1000], 0, 1000, 2) == ["  █", " ▁█"]
    assert area([5, 5], 0, 5, 1) == ["██"]
    assert area([0], 0, 0, 1) == [" "]
