"""Timelines: a trace, and what Perfetto, a viewer of trace events and speedscope show of it."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read, samples
from etgraph.ingest.writers import TIMELINES, ExportError, write
from etgraph.model import TABLES, Columns, DependencyKind, LaneKind, Trace
from etgraph.model.errors import EtgraphError, MissingData, UsageError
from etgraph.queries import critical_path
from support.any_traces import any_traces
from support.build import build
from support.random_traces import traces
from support.timelines import PATH, Slice, Timeline, read_chrome, read_perfetto, read_speedscope

READERS: dict[str, Callable[[bytes], Timeline]] = {
    "perfetto": read_perfetto, "chrome": read_chrome, "speedscope": read_speedscope
}  # fmt: skip
WITH_ARROWS = ["perfetto", "chrome"]
both = pytest.mark.parametrize("format", WITH_ARROWS)
every = pytest.mark.parametrize("format", list(TIMELINES))

SMALL = """
    rank 0 | thread 1 | aten::mm           0..20
    rank 0 | thread 1 | cudaLaunchKernel   5..10   -> gemm
    rank 0 | stream 7 | gemm              15..60   -SYNC-> wait
    rank 0 | thread 1 | wait              30..65
    rank 0 | stream 7 | all_reduce 4MB    70..90
    rank 1 | stream 7 | all_reduce 4MB    75..90
"""


def exported(trace: Trace, format: str, path: pa.Table | None = None) -> tuple[Timeline, tuple[str, ...]]:
    """What a viewer shows of an export, and the notes that came with it."""
    stream = io.BytesIO()
    written = write(trace, stream, format, path=path)
    assert (written.format, written.bytes) == (format, len(stream.getvalue()))
    return READERS[format](stream.getvalue()), written.notes


def arrows(timeline: Timeline) -> list[str]:
    """The arrows by their numbers, as names of slices; those that touch the path are marked."""

    def name(s: Any) -> str:
        return f"path:{s.name}" if s.process == PATH else str(s.name)

    return [f"{name(a)} -> {name(b)}" for _, (a, b) in sorted(timeline.arrows.items())]


@both
def test_ranks_lanes_and_nesting(format: str) -> None:
    timeline, notes = exported(build(SMALL), format)
    assert timeline.tracks == [("rank 0", "thread 1"), ("rank 0", "stream 7"), ("rank 1", "stream 7")]
    assert sorted(timeline.lines()) == [
        "rank 0 | stream 7 | all_reduce 70..90",
        "rank 0 | stream 7 | gemm 15..60",
        "rank 0 | thread 1 |   cudaLaunchKernel 5..10",
        "rank 0 | thread 1 | aten::mm 0..20",
        "rank 0 | thread 1 | wait 30..65",
        "rank 1 | stream 7 | all_reduce 75..90",
    ]
    assert notes == ()


@both
def test_an_arrow_for_each_dependency_and_from_the_last_member_of_a_collective(format: str) -> None:
    trace = build(SMALL)
    timeline, _ = exported(trace, format)
    names = [trace.operators.value("name", row) for row in range(len(trace))]
    kept = [f"{names[a]} -> {names[b]}" for a, b in zip(trace.dependencies["src"], trace.dependencies["dst"])]
    assert "gemm -> wait" in kept  # although `wait` begins later than the kernel, or before it, as below
    assert arrows(timeline) == [*kept, "all_reduce -> all_reduce"]
    source, target = timeline.arrows[len(kept) + 1]
    assert (source.process, target.process) == ("rank 1", "rank 0")


@both
def test_what_began_before_its_cause_takes_the_arrow_at_its_end(format: str) -> None:
    timeline, notes = exported(build("""
        rank 0 | thread 1 | cudaDeviceSynchronize   0..50
        rank 0 | stream 7 | gemm                   10..45   -SYNC-> cudaDeviceSynchronize
    """), format)  # fmt: skip
    assert (arrows(timeline), notes) == (["gemm -> cudaDeviceSynchronize"], ())


@both
def test_an_arrow_to_what_encloses_its_source_from_the_same_moment(format: str) -> None:
    timeline, notes = exported(build("""
        rank 0 | thread 1 | inner    0..5   -SYNC-> outer
        rank 0 | thread 1 | outer    0..20
    """), format)  # fmt: skip
    assert timeline.lines() == ["rank 0 | thread 1 | outer 0..20", "rank 0 | thread 1 |   inner 0..5"]
    assert set(arrows(timeline)) == {"inner -> outer"}
    assert notes == ()


@both
def test_an_arrow_against_time_leads_back_and_is_told(format: str) -> None:
    timeline, notes = exported(build("""
        rank 0 | thread 1 | late    30..40   -DATA-> early
        rank 0 | thread 2 | early    0..20
    """), format)  # fmt: skip
    assert arrows(timeline) == ["early -> late"]
    assert notes == ("arrows that lead back, as the target had ended when the source began: 1",)


@every
def test_what_overlaps_on_a_stream_is_on_a_further_track(format: str) -> None:
    timeline, notes = exported(build("""
        rank 0 | stream 7 | k1    0..50
        rank 0 | stream 7 | k2   10..60
        rank 0 | stream 7 | k3   20..30
        rank 0 | stream 7 | k4   55..70
    """), format)  # fmt: skip
    assert sorted(timeline.lines()) == [
        "rank 0 | stream 7 | k1 0..50",
        "rank 0 | stream 7 | k4 55..70",
        "rank 0 | stream 7, overlapping 1 | k2 10..60",
        "rank 0 | stream 7, overlapping 2 | k3 20..30",
    ]
    assert notes[0] == "operators that overlap others of their lane, on further tracks of it: 2"


@both
def test_a_kernel_without_duration_goes_before_one_that_begins_with_it(format: str) -> None:
    trace = build("rank 0 | stream 7 | k1    0..10\nrank 0 | stream 7 | k2    0..0")
    timeline, notes = exported(trace, format)
    assert timeline.lines() == ["rank 0 | stream 7 | k2 0..0", "rank 0 | stream 7 | k1 0..10"]
    assert notes == ()


@both
def test_a_segment_without_duration_has_its_place_on_the_path(format: str) -> None:
    trace = build("rank 0 | thread 1 | a    0..20")
    path = segments((0, "a", "operator", 0, 20), (None, None, "host-gap", 20, 20), (None, None, "unexplained", 20, 30))
    timeline, notes = exported(trace, format, path)
    assert timeline.tracks[1:] == [(PATH, PATH)]
    assert arrows(timeline) == ["a -> path:a", "path:a -> path:host-gap", "path:host-gap -> path:unexplained"]
    assert notes == ()


@every
def test_a_child_that_outlives_its_parent_takes_its_own_children_along(format: str) -> None:
    timeline, _ = exported(build("""
        rank 0 | thread 1 | parent   0..50
        rank 0 | thread 1 | child   10..60
        rank 0 | thread 1 | inner   20..30
        rank 0 | thread 1 | later   55..58
        rank 0 | thread 1 | next    60..70
    """), format)  # fmt: skip
    assert sorted(timeline.lines()) == [
        "rank 0 | thread 1 | later 55..58",
        "rank 0 | thread 1 | next 60..70",
        "rank 0 | thread 1 | parent 0..50",
        "rank 0 | thread 1, overlapping 1 |   inner 20..30",
        "rank 0 | thread 1, overlapping 1 | child 10..60",
    ]


def annotated(trace: Trace, *marks: tuple[str, int, int, int], kind: int = 0) -> Trace:
    """A trace with annotations of name, lane, start and end."""
    names, lanes, starts, ends = zip(*marks)
    data = {"rank": np.zeros(len(marks)), "kind": [kind] * len(marks), "name": np.arange(len(marks)), "lane": lanes,
            "start_ns": starts, "duration_ns": np.subtract(ends, starts)}  # fmt: skip
    return replace(trace, annotations=Columns(TABLES["annotations"], data, {"name": list(names)}))


@both
def test_annotations_enclose_operators_and_make_way_where_they_cross(format: str) -> None:
    trace = build("""
        rank 0 | thread 1 | a    0..20
        rank 0 | thread 1 | b   30..50
        rank 0 | stream 7 | k   10..60
    """)
    thread, stream = (int(np.flatnonzero(trace.lanes["kind"] == int(kind))[0]) for kind in LaneKind)
    marks = (("step", thread, 0, 50), ("crosses", thread, 5, 40), ("none", -1, 1, 2), ("on device", stream, 10, 60))
    timeline, notes = exported(annotated(trace, *marks), format)
    assert sorted(timeline.lines()) == [
        "rank 0 | no lane, annotations | none 1..2",
        "rank 0 | stream 7 | k 10..60",
        "rank 0 | stream 7, annotations | on device 10..60",
        "rank 0 | thread 1 |   a 0..20",
        "rank 0 | thread 1 |   b 30..50",
        "rank 0 | thread 1 | step 0..50",
        "rank 0 | thread 1, overlapping 1 | crosses 5..40",
    ]
    assert notes == ("annotations that overlap operators or each other, on further tracks: 1",)
    assert {s.category for s in timeline.slices} == {"user", "cpu_op", "kernel"}


def test_speedscope_has_profiles_of_tracks_with_operators_and_tells_what_it_leaves_out() -> None:
    trace = annotated(build(SMALL), ("step", 0, 0, 65), ("on device", 1, 0, 9))
    instant = Columns(TABLES["instants"], {"rank": [0], "name": [0], "time_ns": [3]}, {"name": ["mark"]})
    timeline, notes = exported(replace(trace, instants=instant), "speedscope")
    assert timeline.tracks == [("rank 0", "thread 1"), ("rank 0", "stream 7"), ("rank 1", "stream 7")]
    assert "rank 0 | thread 1 |   aten::mm 0..20" in timeline.lines()
    left_out = f"dependencies ({len(trace.dependencies)}), annotations on tracks without operators (1), instants (1)"
    assert notes == (f"left out, as speedscope has no place for them: {left_out}",)


def segments(*rows: tuple[int | None, str | None, str, int, int]) -> pa.Table:
    """A path of rank 0 on thread 1: index, name, detail, start and end of each segment."""
    index, name, detail, start, end = zip(*rows)
    return pa.table({
        "rank": pa.array([0] * len(rows), pa.int32()), "lane": ["thread 1"] * len(rows),
        "index": pa.array(index, pa.int32()), "name": pa.array(name, pa.string()).dictionary_encode(),
        "category": ["cpu"] * len(rows), "detail": detail, "start_ns": start, "end_ns": end,
        "via": pa.array([None] * len(rows), pa.string()),
    })  # fmt: skip


@both
def test_the_critical_path_is_a_process_whose_arrows_lead_through_the_operators(format: str) -> None:
    trace = build("""
        rank 0 | thread 1 | a    0..20
        rank 0 | thread 1 | b   30..50
    """)
    path = segments((0, "a", "operator", 0, 20), (None, None, "host-gap", 20, 30), (1, "b", "operator", 30, 50),
                    (7, "gone", "operator", 50, 60))  # fmt: skip
    timeline, _ = exported(trace, format, path)
    found = [s for s in timeline.slices if s.process == PATH]
    assert [str(s) for s in found] == [
        "critical path | critical path | a 0..20",
        "critical path | critical path | host-gap 20..30",
        "critical path | critical path | b 30..50",
        "critical path | critical path | gone 50..60",
    ]
    assert found[0].category == "cpu"
    assert found[0].args == {"detail": "operator", "lane": "thread 1", "rank": 0, "index": 0}
    assert found[1].args == {"detail": "host-gap", "lane": "thread 1", "rank": 0}
    assert arrows(timeline)[1:] == [
        "a -> path:a", "b -> path:b", "path:a -> path:host-gap", "path:host-gap -> path:b", "path:b -> path:gone"
    ]  # fmt: skip


def test_speedscope_has_the_critical_path_as_a_profile() -> None:
    path = segments((0, "aten::mm", "operator", 0, 20), (None, None, "host-gap", 20, 30))
    timeline, _ = exported(build(SMALL), "speedscope", path)
    assert timeline.tracks[-1] == (PATH, PATH)
    assert timeline.lines()[-2:] == ["critical path | critical path | aten::mm 0..20",
                                     "critical path | critical path | host-gap 20..30"]  # fmt: skip


@both
def test_values_of_an_operator(format: str) -> None:
    trace = build(SMALL)
    filled = {"shapes": [0, -1, 1, -1, -1, -1], "flops": [2**60, -(2**63), 5, -(2**63), 0, -(2**63)],
              "waves": [np.nan, np.nan, 0.25, np.nan, np.inf, np.nan]}  # fmt: skip
    ids = np.array([2**64 - 1, 0, 0, 0, 0, 0], dtype=np.uint64)
    operators = trace.operators.replace(filled | {"node_id": ids}, {"shapes": ["[[1,2]]", 'a"b']}, {"node_id": ids > 0})
    timeline, _ = exported(replace(trace, operators=operators), format)
    args = timeline.operators[0, 0].args
    assert args == {"index": 0, "node_id": 2**64 - 1, "kind": "comp", "shapes": "[[1,2]]", "flops": 2**60}
    assert timeline.operators[0, 2].args["shapes"] == 'a"b'
    waves = [timeline.operators[rank, index].args.get("waves") for rank, index in ((0, 2), (0, 4), (1, 0))]
    assert list(map(float, waves[:2])) == [0.25, np.inf]
    assert waves[2] is None
    assert timeline.operators[0, 1].args["parent"] == 0
    assert timeline.operators[1, 0].args["comm_bytes"] == 4 << 20
    assert timeline.operators[1, 0].args["comm_type"] == "all_reduce"


def with_moments(trace: Trace) -> Trace:
    """A trace with two samples of a counter (and one that is no number), memory of two devices, an instant."""
    counters = {"rank": [0] * 3, "name": [0] * 3, "time_ns": [5, 1, 7], "value": [0.5, 0.25, float("inf")]}
    memory = {"rank": [0] * 4, "time_ns": [1, 2, 3, 4], "bytes": [10, 20, 7, -5], "device_type": [1, 1, 0, 0],
              "device": [0, 0, -1, -1], "allocated": [10, 30, -(2**63), -(2**63)]}  # fmt: skip
    instants = {"rank": [0, 0], "name": [0, 1], "lane": [0, -1], "time_ns": [3, 4]}
    return replace(
        trace,
        counters=Columns(TABLES["counters"], counters, {"name": ["GPU utilisation"]}),
        memory_events=Columns(TABLES["memory_events"], memory),
        instants=Columns(TABLES["instants"], instants, {"name": ["mark", "of the rank"]}),
    )


@both
def test_counters_memory_and_instants(format: str) -> None:
    timeline, _ = exported(with_moments(build(SMALL)), format)
    assert dict(timeline.counters) == {
        ("rank 0", "memory allocated, CUDA 0"): [(1, 10), (2, 30)],
        ("rank 0", "memory allocated since the recording began, CPU"): [(3, 7), (4, 2)],
        ("rank 0", "GPU utilisation"): [(1, 0.25), (5, 0.5)],
    }
    assert timeline.instants == [("rank 0", "thread 1", "mark", 3), ("rank 0", "", "of the rank", 4)]


@every
def test_times_before_zero_move_all_times(format: str) -> None:
    trace = with_moments(build("rank 0 | thread 1 | a  -100..20\nrank 0 | thread 1 | b  30..50"))
    timeline, notes = exported(trace, format, segments((0, "a", "operator", -100, 20)))
    assert {line.split("|")[-1].strip() for line in timeline.lines()} == {"a 0..120", "b 130..150"}
    assert "times are later than the trace's, which begins before its zero: by 100 ns" in notes
    if format != "speedscope":
        assert timeline.counters["rank 0", "GPU utilisation"][0][0] == 101
        assert timeline.instants[0][-1] == 103


NULL = -(2**63)


@every
def test_what_has_no_times_is_left_out_and_told(format: str) -> None:
    trace = build(SMALL)
    operators = trace.operators.replace({"duration_ns": [20, NULL, 45, 35, 20, 15]})
    timeline, notes = exported(replace(trace, operators=operators), format)
    assert len(timeline.slices) == 5
    assert notes[0] == "operators without times, left out: 1"
    if format != "speedscope":
        touching = int(((trace.dependencies["src"] == 1) | (trace.dependencies["dst"] == 1)).sum())
        assert notes[1] == f"dependencies of operators without times, left out: {touching}"


@every
def test_a_trace_without_times_and_one_of_all_times_are_refused(format: str, tmp_path: Path) -> None:
    trace = build(SMALL)
    timeless = replace(trace, operators=trace.operators.replace({"start_ns": [NULL] * 6}))
    with pytest.raises(MissingData, match="none of the 6 operators of this trace has a start and a duration"):
        write(timeless, tmp_path / "x", format)
    with pytest.raises(MissingData, match="none of the 0 operators"):
        write(Trace(Columns.empty(TABLES["operators"])), tmp_path / "x", format)
    for start, duration in ((2**63 - 1, 20), (-(2**63) + 1, 20)):
        far = trace.operators.replace(
            {"start_ns": [start, 5, 15, 30, 70, 75], "duration_ns": [duration, 5, 45, 35, 20, 15]}
        )
        with pytest.raises(ExportError, match="do not fit a timeline"):
            write(replace(trace, operators=far), tmp_path / "x", format)
    assert list(tmp_path.iterdir()) == []


def test_a_path_needs_a_timeline_and_its_columns() -> None:
    path = segments((0, "a", "operator", 0, 20))
    with pytest.raises(UsageError, match="format 'dot' cannot show a critical path"):
        write(build(SMALL), io.BytesIO(), "dot", path=path)
    with pytest.raises(UsageError, match="the segments of a path need a column 'via'"):
        write(build(SMALL), io.BytesIO(), "chrome", path=path.drop_columns(["via"]))


@every
def test_names_can_hold_anything(format: str) -> None:
    names = ['say "hi"', "line\nfeed\x00", "\u2028 \x85", "100%s %d {,[]}", "", "ünï \U0001f600"]
    trace = build("\n".join(f"rank 0 | thread 1 | op{n}: x  {n * 10}..{n * 10 + 5}" for n in range(len(names))))
    operators = trace.operators.replace({"name": np.arange(len(names))}, {"name": names})
    trace = replace(trace, operators=operators, lanes=trace.lanes.replace({"name": [0]}, {"name": ['"\x01{,']}))
    stream = io.BytesIO()
    replaced = write(trace, stream, format).replaced
    timeline = READERS[format](stream.getvalue())
    if format == "perfetto":
        names = ['say "hi"', "line\ufffdfeed\ufffd", "\ufffd \ufffd", *names[3:]]
    assert [s.name for s in timeline.slices] == names
    assert replaced == (5 if format == "perfetto" else 0)
    assert timeline.tracks == [("rank 0", 'thread 1 ("\ufffd{,)' if format == "perfetto" else 'thread 1 ("\x01{,)')]


@every
def test_the_same_trace_is_the_same_bytes(format: str) -> None:
    trace = with_moments(build(SMALL))
    first, second = io.BytesIO(), io.BytesIO()
    write(trace, first, format, path=critical_path(trace).segments)
    write(replace(trace), second, format, path=critical_path(trace).segments)
    assert first.getvalue() == second.getvalue()


def check(trace: Trace, format: str, path: pa.Table | None) -> tuple[Timeline, tuple[str, ...]]:
    """Compare an export with the trace: each operator with times once, each dependency between two such as an arrow."""
    timeline, notes = exported(trace, format, path)
    o, d = trace.operators, trace.dependencies
    has = ~o.is_null("start_ns") & ~o.is_null("duration_ns")
    marks = trace.annotations
    kept = has.sum() + (len(path) if path is not None else 0)
    if format == "speedscope":
        assert kept <= len(timeline.slices) <= kept + len(marks)
        return timeline, notes
    assert len(timeline.slices) == kept + np.isin(marks["rank"], trace.ranks).sum()
    found = timeline.operators
    slices = dict(found)
    keys = list(zip(o["rank"].tolist(), o["index"].tolist()))
    shown = [found.pop(keys[row]) for row in np.flatnonzero(has).tolist()]
    assert not found
    shift = shown[0].start - int(o["start_ns"][has][0])
    assert [s.start - shift for s in shown] == o["start_ns"][has].tolist()
    assert [s.end - shift for s in shown] == trace.end_ns[has].tolist()
    assert [s.name for s in shown] == [o.value("name", row) for row in np.flatnonzero(has).tolist()]
    depths = [s.depth for s in shown if " stream" in str(s)]
    assert not any(depths), "a kernel encloses another"
    drawn = np.flatnonzero(has[d["src"]] & has[d["dst"]] & (d["src"] != d["dst"])).tolist()
    back = 0
    for row in drawn:
        source, target = timeline.arrows.pop(row + 1)
        wanted = slices[keys[d["src"][row]]], slices[keys[d["dst"][row]]]
        leads_back = source is not wanted[0]
        back += leads_back
        first, second = wanted[::-1] if leads_back else wanted
        assert source is first
        assert target is second or (format == "chrome" and ends_with(target, second))
    assert back == sum(int(note.split(": ")[1].replace(",", "")) for note in notes if "lead back" in note)
    assert len(timeline.arrows) == _meetings(trace, has) + _along(trace, path)
    return timeline, notes


def ends_with(inner: Slice, outer: Slice) -> bool:
    """Whether one slice lies in another on its track and ends with it, as the last that it called may do."""
    return inner.track == outer.track and inner.start >= outer.start and inner.end == outer.end


def _meetings(trace: Trace, has: Any) -> int:
    """Arrows of collectives: all members but one."""
    counts = np.bincount(trace.operators["collective"][has & (trace.operators["collective"] >= 0)])
    return int((counts - 1).clip(0).sum())


def _along(trace: Trace, path: pa.Table | None) -> int:
    """Arrows of a path: to each segment of an operator, and between neighbours."""
    if path is None:
        return 0
    return len(path) - path.column("index").null_count + max(len(path) - 1, 0)


@every
@settings(max_examples=30)
@given(trace=traces())
def test_random_programs(format: str, trace: Trace) -> None:
    check(trace, format, critical_path(trace).segments)


PLACES = [(name, column) for name in ("operators", "annotations") for column in ("start_ns", "duration_ns")]
PLACES += [(name, "time_ns") for name in ("instants", "memory_events", "counters")]


@st.composite
def anywhere(draw: st.DrawFn) -> Trace:
    """A trace with anything in its columns, but times close to each other."""
    trace = draw(any_traces())
    tables: dict[str, Columns] = {}
    for name, column in PLACES:
        columns = tables.get(name, trace.tables[name])
        times = st.integers(0 if column == "duration_ns" else -9, 20)
        times |= st.just(NULL) if name == "operators" else st.nothing()
        tables[name] = columns.replace({column: draw(st.lists(times, min_size=len(columns), max_size=len(columns)))})
    return replace(trace, **tables)  # type: ignore[arg-type]


@every
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(trace=anywhere() | any_traces())
def test_random_traces_are_well_formed_or_refused(format: str, trace: Trace) -> None:
    stream = io.BytesIO()
    try:
        written = write(trace, stream, format)
    except EtgraphError:
        return
    timeline = READERS[format](stream.getvalue())
    if format != "speedscope":
        assert len(timeline.operators) == written.operators


SAMPLES = ["gpt_ddp", "gpt_ddp_5steps", "gpt_ddp_regressed", "gpt_tp2_pp2", "dlrm_alltoall"]


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples(sample: str) -> None:
    trace = read(samples.path(sample))
    path = critical_path(trace).segments
    # Trace events are slow to read; of large traces the protobuf shows the same slices.
    for format in TIMELINES if len(trace) < 14_000 else ["perfetto"]:
        timeline, _ = check(trace, format, path)
        own = {rank for rank, _ in timeline.tracks}
        assert own == {PATH, *(f"rank {rank}" for rank in trace.ranks)}


@pytest.mark.parametrize("file", [
    "hta/critical_path/alexnet/benchmark_result_2869224_1695835535_trace.json.gz",
    "hta/mtia_inference_trace/mtia_inference_rank_0.json.gz",
    "tracelens/mi300/gaunernst_bert-small-uncased__1016001.json.gz",
    "tracelens/inference/vllm_decode_full/graph_execution.json.gz",
])  # fmt: skip
def test_traces_of_the_collection(file: str, collection_dir: Path) -> None:
    trace = read(collection_dir / file)
    path = critical_path(trace).segments
    for format in TIMELINES:
        check(trace, format, path)


def long(count: int) -> Trace:
    """A trace of that many operators, each with a dependency."""
    rows = np.arange(count, dtype=np.int32)
    operators = {"rank": np.zeros(count), "index": rows, "name": rows % 100, "kind": np.full(count, 4),
                 "category": np.ones(count), "lane": np.zeros(count), "start_ns": rows * 10, "duration_ns": rows % 7,
                 "parent": np.full(count, -1)}  # fmt: skip
    same = np.zeros(count - 1)
    dependencies = {"src": rows[:-1], "dst": rows[1:], "kind": same + int(DependencyKind.THREAD), "inferred": same > 0,
                    "method": same, "confidence": same + 1}  # fmt: skip
    lanes = {"rank": [0], "kind": [0], "process": [0], "id": [0]}
    return Trace(
        Columns(TABLES["operators"], operators, {"name": [f"n{i}" for i in range(100)]}),
        Columns(TABLES["dependencies"], dependencies, {"method": ["drawn"]}),
        Columns(TABLES["lanes"], lanes, {"process": ["0"], "id": ["0"]}),
    )  # fmt: skip


@every
def test_memory_grows_by_what_sorting_takes(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"etgraph.ingest.writers.timeline.{format}.ROWS", 2048)
    peaks = []
    for count in (4_000, 8_000):
        trace = long(count)
        write(trace, Nowhere(), format)  # type: ignore[arg-type]
        tracemalloc.start()
        write(trace, Nowhere(), format)  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 4_000 < 150


class Nowhere:
    """A stream that keeps nothing."""

    def write(self, data: bytes) -> int:
        """Take the data and forget it."""
        return len(data)
