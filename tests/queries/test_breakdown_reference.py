"""Breakdown beside other tools, cell by cell: equal to 0.1 %, or explained one by one on its page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from etgraph.model import TABLES, Category, Columns, Trace
from etgraph.model.arrivals import arrivals
from etgraph.model.intervals import Spans
from etgraph.queries import breakdown
from etgraph.queries.activity import Activity, activities, stretches
from support import hta_rule
from support.collection import read_once

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries" / "breakdown.md"
SAME = 0.001
HTA = (
    "hta/trace_diff/control/control.json.gz",
    "hta/trace_diff/test/test.json.gz",
    "hta/nccl_parser_config/nccl_data.json.gz",
    "param/dlrm_kineto",
    "hta/trace_filter",
    "hta/ns_resolution_trace",
)
TRACELENS = (
    "tracelens/h100/gaunernst_bert-small-uncased__1016001.json.gz",
    "tracelens/h100/Falconsai_nsfw_image_detection__1016002.json.gz",
    "tracelens/mi300/gaunernst_bert-small-uncased__1016001.json.gz",
    "tracelens/mi300/Falconsai_nsfw_image_detection__1016002.json.gz",
)
PERCENT = {"idle_time_pctg": "idle", "compute_time_pctg": "compute", "non_compute_time_pctg": "non_compute"}

Cells = dict[tuple[str, str], float]
"""Value by (rank, cell); the kernel types are of all ranks together, `all`."""


def explained() -> dict[tuple[str, str, str], tuple[float, float]]:
    """The cells that the page explains: (file, rank, cell) and our value and theirs."""
    row = re.compile(r"^\| (\S+) \| (\d+|all) \| ([^|]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)
    found = row.findall(PAGE.read_text("utf-8"))
    return {(file, rank, cell): (float(ours), float(theirs)) for file, rank, cell, ours, theirs in found}


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def same_window(trace: Trace) -> Trace:
    """The trace without its last step, as the tool has it, and without steps: the window is all that is left."""
    if len(trace.iteration_indices) > 1:
        trace = trace.select_iterations(trace.iteration_indices[:-1])
    return replace(trace, iterations=Columns.empty(TABLES["iterations"]))


def ours(trace: Trace) -> Cells:
    """The same cells from our answers, in µs and per cent."""
    cells: Cells = {}
    for one in breakdown(trace, window="device").windows:
        length = one.end_ns - one.start_ns
        of_rank = {
            "idle": one.idle_ns,
            "compute": one.computation_ns,
            "non_compute": one.exposed_communication_ns + one.exposed_memory_ns,
            "kernel": length,
        }
        cells |= {(str(one.rank), name): ns / 1e3 for name, ns in of_rank.items()}
        cells |= {(str(one.rank), name): 100 * of_rank[cell] / length for name, cell in PERCENT.items()}
        if one.communication_ns:
            cells[str(one.rank), "comp_comm_overlap_pctg"] = 100 * one.overlap_ns / one.communication_ns
    return cells | combined(trace)


def combined(trace: Trace) -> Cells:
    """How long each combination of activities runs on devices, over all ranks."""
    cells: Cells = {}
    busy = stretches(trace, activities(trace, arrivals(trace)), trace.ranks)
    for rank in trace.ranks:
        times = {activity: busy[rank].of(activity) for activity in Activity}
        for several in (c for n in (1, 2, 3) for c in combinations(Activity, n)):
            common: Spans = times[several[0]]
            for activity in several[1:]:
                common = common.common(times[activity])
            for activity in set(Activity) - set(several):
                common = common.without(times[activity])
            key = ("all", " overlapping ".join(activity.name for activity in several))
            cells[key] = cells.get(key, 0.0) + common.ns / 1e3
    return cells


def reference(figures: Mapping[str, object]) -> Cells:
    cells: Cells = {}
    for row in figures["temporal"]:  # type: ignore[attr-defined]
        rank = str(row["rank"])
        cells |= {(rank, name): row[f"{name}_time(us)"] for name in ("idle", "compute", "non_compute", "kernel")}
        cells |= {(rank, name): row[name] for name in PERCENT}
    for row in figures["overlap"]:  # type: ignore[attr-defined]
        if row["comp_comm_overlap_pctg"] is not None:
            cells[str(row["rank"]), "comp_comm_overlap_pctg"] = row["comp_comm_overlap_pctg"]
    for row in figures["kernel_types"]:  # type: ignore[attr-defined]
        cells["all", row["kernel_type"]] = row["sum"]
    return cells


def by_rule(folder: Path, *, rounded: bool, ranks: list[str]) -> Cells:
    """The tool's cells as its rule gives them from the files."""
    cells: Cells = {}
    for rank, file in zip(ranks, files(folder), strict=True):
        for name, value in hta_rule.breakdown(file, rounded=rounded).items():
            whose = "all" if name.split()[0] in hta_rule.TYPES else rank
            cells[whose, name] = cells.get((whose, name), 0.0) + value
        cells |= {(rank, name): 100 * cells[rank, cell] / cells[rank, "kernel"] for name, cell in PERCENT.items()}
    return cells


def differences(one: Cells, other: Cells, *, digits: int) -> dict[tuple[str, str], tuple[float, float]]:
    """Cells that differ by more than 0.1 % and the other's rounding; one that is missing is 0."""
    return {
        key: (one.get(key, 0.0), other.get(key, 0.0))
        for key in one.keys() | other.keys()
        if abs(one.get(key, 0.0) - other.get(key, 0.0))
        > max(SAME * abs(other.get(key, 0.0)), 0.51 * 10.0 ** (-2 if key[1].endswith("pctg") else -digits))
    }


@pytest.mark.parametrize("name", HTA)
def test_beside_holistic_trace_analysis(name: str, collection_dir: Path, reference_dir: Path) -> None:
    figures = json.loads((reference_dir / "breakdown.json").read_text())["hta"]
    assert set(figures) == set(HTA)
    theirs = reference(figures[name])
    ranks = [str(row["rank"]) for row in figures[name]["temporal"]]
    assert differences(by_rule(collection_dir / name, rounded=True, ranks=ranks), theirs, digits=0) == {}
    own = ours(same_window(read_once(collection_dir / name)))
    assert differences(own, by_rule(collection_dir / name, rounded=False, ranks=ranks), digits=3) == {}
    told = {(rank, cell): v for (file, rank, cell), v in explained().items() if file == name}
    found = differences(own, theirs, digits=0)
    assert set(found) == set(told)
    for key, values in found.items():
        assert told[key] == pytest.approx(values, abs=0.006 if key[1].endswith("pctg") else 0.6)


@pytest.mark.parametrize("name", TRACELENS)
def test_beside_tracelens(name: str, collection_dir: Path, reference_dir: Path) -> None:
    figures = json.loads((reference_dir / "breakdown.json").read_text())["tracelens"]
    assert set(figures) == set(TRACELENS)
    own = tracelens_cells(same_window(read_once(collection_dir / name)))
    found = {
        (rank, cell): (value, figures[name][cell])
        for (rank, cell), value in own.items()
        if abs(value - figures[name][cell]) > max(SAME * figures[name][cell], 1e-5)
    }
    told = {(rank, cell): v for (file, rank, cell), v in explained().items() if file == name}
    assert set(found) == set(told)
    for key, values in found.items():
        assert told[key] == pytest.approx(values, abs=1e-6)


def test_tracelens_counts_fills_as_computation(collection_dir: Path, reference_dir: Path) -> None:
    """That is the cause of all deviations from it: with fills as kernels there is none."""
    name = TRACELENS[1]
    figures = json.loads((reference_dir / "breakdown.json").read_text())["tracelens"][name]
    trace = same_window(read_once(collection_dir / name))
    o = trace.operators
    fills = o["category"] == int(Category.MEMSET)
    assert fills.any()
    kinds = {"category": o["category"].copy(), "kind": o["kind"].copy()}
    kinds["category"][fills], kinds["kind"][fills] = int(Category.KERNEL), 4
    own = tracelens_cells(replace(trace, operators=o.replace(kinds)))
    assert {cell: value for (_, cell), value in own.items()} == pytest.approx(figures, rel=SAME, abs=1e-5)


def tracelens_cells(trace: Trace) -> Cells:
    (one,) = breakdown(trace, window="device").windows
    length = one.end_ns - one.start_ns
    ns = {
        "computation_time": one.computation_ns,
        "exposed_comm_time": one.exposed_communication_ns,
        "exposed_memcpy_time": one.exposed_memory_ns,
        "busy_time": length - one.idle_ns,
        "idle_time": one.idle_ns,
        "total_time": length,
        "total_comm_time": one.communication_ns,
        "total_memcpy_time": one.memory_ns,
    }
    return {(str(one.rank), name): value / 1e6 for name, value in ns.items()}
