"""Kineto files: every file of the collection against the oracle, in everything; then the rules one by one."""

from __future__ import annotations

import gzip
import os
import random
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest import read, samples
from etgraph.model import Category, DependencyKind, LaneKind, NodeType, Span, Trace
from etgraph.model.errors import InputError
from ingest import kineto_oracle as plain
from ingest.kineto_oracle import Oracle, call, cpu, gpu, interval, note, write
from support.as_recorded import as_recorded

ROOT = Path(os.environ.get("ETGRAPH_TRACES") or Path(samples.__file__).parent)
MODERATE = 20_000
"""Events up to which comparisons that are quadratic in the spans are made."""


def _kineto_files() -> list[Path]:
    found = []
    for path in sorted(ROOT.rglob("*.json*")):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            if b'"traceEvents"' in file.read(1 << 18):
                found.append(path)
    return found


FILES = _kineto_files()
REPEATS = [path for path in FILES if re.search(r"whatif/\w+_[2-9]/", path.as_posix())]
"""Further recordings of programs that are compared once: these are read, counted and validated."""


@pytest.fixture(
    scope="module", params=[path for path in FILES if path not in REPEATS], ids=lambda path: str(path.relative_to(ROOT))
)
def both(request: pytest.FixtureRequest) -> tuple[Trace, Oracle]:
    """A file as etgraph reads it, and what the oracle says."""
    expected = plain.oracle(request.param)
    assert expected is not None
    return as_recorded(request.param), expected


def same(found: Iterable[Any], expected: Iterable[Any], what: str) -> None:
    """Equal element by element; says where not, without printing a hundred thousand others."""
    found, expected = list(found), list(expected)
    for row, (a, b) in enumerate(zip(found, expected, strict=False)):
        assert a == b, f"{what} {row}: found {a!r}, the file says {b!r}"
    assert len(found) == len(expected), what


def same_set(found: Iterable[Any], expected: Iterable[Any], what: str) -> None:
    """Equal as multisets."""
    more, fewer = Counter(found), Counter(expected)
    assert more == fewer, (
        f"{what}: too much {list((more - fewer).items())[:3]}, missing {list((fewer - more).items())[:3]}"
    )


def texts(trace: Trace, table: str, column: str) -> list[str | None]:
    """A text column as texts."""
    columns = trace.tables[table]
    known = columns.texts(column).to_pylist()
    return [None if code < 0 else known[code] for code in columns[column].tolist()]


def lane_keys(trace: Trace) -> list[tuple[str | None, str | None]]:
    """(process, id) of every lane, and at the end of none."""
    return [*zip(texts(trace, "lanes", "process"), texts(trace, "lanes", "id"), strict=True), (None, None)]


def edges(trace: Trace, kind: str) -> set[tuple[int, int]]:
    """The dependencies of one kind."""
    chosen = trace.dependencies["kind"] == int(DependencyKind[kind])
    return set(zip(trace.dependencies["src"][chosen].tolist(), trace.dependencies["dst"][chosen].tolist(), strict=True))


def arguments(trace: Trace, *tables: str) -> list[list[Any]]:
    """The attributes of all rows of each table, the file read once from end to end."""
    known = [text for _, batch in trace.attributes.batches() for text in batch.to_pylist()]
    decoded = plain.decode(b"[" + b",".join(known) + b"]")
    return [[decoded[row] if row >= 0 else {} for row in trace.tables[name]["attrs"].tolist()] for name in tables]


# What is compared; each check works on any file


def check_operators(trace: Trace, expected: Oracle) -> None:
    """Who ran where and when: exact, from the trace's zero and absolutely."""
    o, lanes = trace.operators, lane_keys(trace)
    same(texts(trace, "operators", "name"), [x.name for x in expected.operators], "name of operator")
    same([Category(c).name for c in o["category"].tolist()], [x.category for x in expected.operators], "category of")
    same([lanes[lane] for lane in o["lane"].tolist()], [x.lane for x in expected.operators], "lane of operator")
    same(o["start_ns"].tolist(), [x.start - expected.zero for x in expected.operators], "start of operator")
    same(o["duration_ns"].tolist(), [x.duration for x in expected.operators], "duration of operator")
    if trace.metadata.zero_ns is None:
        assert [expected.operators, expected.spans, expected.instants, expected.memory] == [[]] * 4
    else:
        assert trace.metadata.zero_ns == expected.zero + expected.base
    assert o["index"].tolist() == list(range(len(expected.operators)))


def check_arguments(trace: Trace, expected: Oracle) -> None:
    """Nothing that the file says of an operator, annotation or instant is lost."""
    operators, spans, instants, memory = arguments(trace, "operators", "annotations", "instants", "memory_events")
    same(operators, [x.args for x in expected.operators], "arguments of operator")
    same(spans, [x.args for x in expected.spans], "arguments of annotation")
    same(instants, [x[3] for x in expected.instants], "arguments of instant")
    same(memory, [x[2] for x in expected.memory], "arguments of memory event")


def check_nesting(trace: Trace, expected: Oracle) -> None:
    """Parents, calls, what outlives its call, siblings."""
    parents = [-1 if x.parent is None else x.parent.row for x in expected.operators]
    same(trace.operators["parent"].tolist(), parents, "parent of operator")
    for kind in ("CALL", "SPAWN", "THREAD"):
        same_set(edges(trace, kind), expected.edges[kind], kind)
    assert trace.metadata.report.counts.get("operatorsOutlivingParent", 0) == expected.outliving


def check_device(trace: Trace, expected: Oracle) -> None:
    """Launches, order on streams, and how many could not be joined and why."""
    for kind in ("LAUNCH", "STREAM"):
        same_set(edges(trace, kind), expected.edges[kind], kind)
    report = trace.metadata.report
    assert report.device_operators == sum(not x.host for x in expected.operators)
    assert report.host_operators == sum(x.host for x in expected.operators)
    assert report.launched_device_operators == expected.launched
    assert report.counts.get("launchesAgainstTime", 0) == expected.against_time
    assert report.counts.get("ambiguousCorrelations", 0) == expected.ambiguous


def check_flows(trace: Trace, expected: Oracle) -> None:
    """Forward to backward; flows of other categories are counted, not read."""
    same_set(edges(trace, "DATA"), expected.edges["DATA"], "DATA")
    counted = {k.removeprefix("flow:"): n for k, n in trace.metadata.report.counts.items() if k.startswith("flow:")}
    assert counted == {k: n for k, n in expected.flows.items() if k != "fwdbwd"}


def check_iterations(trace: Trace, expected: Oracle) -> None:
    """The steps, and who belongs to them by launch."""
    i, lanes = trace.iterations, lane_keys(trace)
    found = zip(texts(trace, "iterations", "name"), i["start_ns"].tolist(), i["end_ns"].tolist(), strict=True)
    steps = [(s.name, s.start - expected.zero, s.start + s.duration - expected.zero) for s in expected.steps]
    same(found, steps, "iteration")
    same([lanes[lane] for lane in i["lane"].tolist()], [s.lane for s in expected.steps], "lane of iteration")
    same(trace.operators["iteration"].tolist(), [x.iteration for x in expected.operators], "iteration of operator")


def check_the_rest(trace: Trace, expected: Oracle) -> None:
    """Annotations, instants, memory events, counters."""
    a, i, m, lanes = trace.annotations, trace.instants, trace.memory_events, lane_keys(trace)
    found: Any = zip(
        (Span(k).name for k in a["kind"].tolist()), texts(trace, "annotations", "name"),
        (lanes[lane] for lane in a["lane"].tolist()), a["start_ns"].tolist(), a["duration_ns"].tolist(), strict=True,
    )  # fmt: skip
    spans = [(s.kind, s.name, s.lane, s.start - expected.zero, s.duration) for s in expected.spans]
    same(found, spans, "annotation")
    found = zip(texts(trace, "instants", "name"), (lanes[lane] for lane in i["lane"].tolist()), i["time_ns"].tolist())
    same(found, [(name, lane, time - expected.zero) for name, lane, time, _ in expected.instants], "instant")
    names = {"Addr": "address", "Bytes": "bytes", "Total Allocated": "allocated", "Total Reserved": "reserved",
             "Device Type": "device_type", "Device Id": "device"}  # fmt: skip
    same([lanes[lane] for lane in m["lane"].tolist()], [x[0] for x in expected.memory], "lane of memory event")
    same(m["time_ns"].tolist(), [x[1] - expected.zero for x in expected.memory], "time of memory event")
    for argument, column in names.items():
        values = [None if null else v for v, null in zip(m[column].tolist(), m.is_null(column).tolist(), strict=True)]
        recorded = [x[2].get(argument) for x in expected.memory]
        same(values, [v if v is None or column != "address" else v % 2**64 for v in recorded], f"{column} of")
    assert len(trace.counters) == 0


def check_lanes(trace: Trace, expected: Oracle) -> None:
    """Each lane once, threads and streams told apart."""
    keys = lane_keys(trace)[:-1]
    assert len(set(keys)) == len(keys)
    streams = {k for k, kind in zip(keys, trace.lanes["kind"].tolist(), strict=True) if kind == LaneKind.STREAM}
    assert streams == expected.streams
    assert {x.lane for x in expected.operators} <= set(keys)


def check_order(trace: Trace) -> None:
    """The trace is valid, and no dependency contradicts the measured times."""
    trace.validate()
    graph = trace.events
    times = np.stack([trace.operators["start_ns"], trace.end_ns], axis=1).reshape(-1)
    against = np.flatnonzero(times[graph.sources] > times[graph.targets])
    assert not len(against), [trace.describe(int(graph.sources[e]) // 2) for e in against[:3].tolist()]


def check_scopes(trace: Trace, expected: Oracle) -> None:
    """The path of annotations and modules around each operator, where the file records none itself."""
    plain.scopes(expected)
    recorded = [x.args.get("Module Hierarchy") for x in expected.operators]
    found = [s if r is None else None for s, r in zip(texts(trace, "operators", "scope"), recorded, strict=True)]
    same(
        found, ["/".join(x.scope) or None if r is None else None for x, r in zip(expected.operators, recorded)], "scope"
    )


def check_shapes(trace: Trace, expected: Oracle) -> None:
    """Dims and types of the inputs."""
    known = {code: plain.decode(text.encode()) for code, text in enumerate(trace.operators.texts("shapes").to_pylist())}
    found = [known.get(code, {}) for code in trace.operators["shapes"].tolist()]
    names = {"Input Dims": "dims", "Input type": "types"}
    recorded = [
        {n: x.args[k] for k, n in names.items() if k in x.args and "Input Dims" in x.args} for x in expected.operators
    ]
    same(found, recorded, "shapes of operator")


def check_everything(trace: Trace, expected: Oracle) -> None:
    """All of the above."""
    for check in (check_operators, check_arguments, check_nesting, check_device, check_flows, check_iterations,
                  check_the_rest, check_lanes, check_scopes, check_shapes):  # fmt: skip
        check(trace, expected)
    check_order(trace)


# The files of the collection


def test_operators_are_those_of_the_file(both: tuple[Trace, Oracle]) -> None:
    check_operators(*both)


def test_every_argument_comes_back(both: tuple[Trace, Oracle]) -> None:
    trace, expected = both
    check_arguments(trace, expected)
    for row in random.Random(7).sample(range(len(trace)), min(3, len(trace))):
        assert plain.decode(plain.json.dumps(trace.operator_attributes(row)).encode()) == expected.operators[row].args


def test_nesting(both: tuple[Trace, Oracle]) -> None:
    check_nesting(*both)


def test_launches_and_streams(both: tuple[Trace, Oracle]) -> None:
    check_device(*both)


def test_flows(both: tuple[Trace, Oracle]) -> None:
    trace, expected = both
    check_flows(trace, expected)
    for forward, backward in expected.edges["DATA"]:
        numbers = [expected.operators[row].args.get("Sequence number") for row in (forward, backward)]
        assert numbers[0] is not None
        assert numbers[0] == numbers[1]


def test_iterations(both: tuple[Trace, Oracle]) -> None:
    check_iterations(*both)


def test_annotations_instants_and_memory_events(both: tuple[Trace, Oracle]) -> None:
    check_the_rest(*both)


def test_lanes(both: tuple[Trace, Oracle]) -> None:
    check_lanes(*both)


def test_scopes(both: tuple[Trace, Oracle]) -> None:
    trace, expected = both
    if expected.events <= MODERATE:
        check_scopes(trace, expected)


def test_shapes(both: tuple[Trace, Oracle]) -> None:
    check_shapes(*both)


def test_no_dependency_contradicts_the_times(both: tuple[Trace, Oracle]) -> None:
    check_order(both[0])


def test_facts_of_the_file(both: tuple[Trace, Oracle]) -> None:
    trace, expected = both
    # None of the files without a recorded rank is of another one: long numbers in their names are no ranks.
    assert trace.ranks == (expected.rank or 0,)
    assert (trace.metadata.sources[0].rank_from == "metadata") == (expected.rank is not None)
    assert trace.metadata.world_size == expected.world_size
    assert trace.metadata.device_model == (", ".join(expected.devices) or None)
    assert not [w for w in trace.metadata.report.warnings if "ranks are recorded" not in w]


@pytest.mark.parametrize("path", REPEATS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_further_recording_of_the_same_program(path: Path) -> None:
    trace = read(path)
    events = plain.json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    kinds = Counter(e["ph"] for e in events if e["ph"] in "Xi")
    assert len(trace) + len(trace.annotations) == kinds["X"]
    assert len(trace.instants) + len(trace.memory_events) == kinds["i"]
    check_order(trace)


# Known figures


def test_float64_would_get_these_times_wrong(collection_dir: Path) -> None:
    """45 250 of 45 420 absolute times of this file have no float64; ours are those that the digits say."""
    path = collection_dir / "hta/ns_resolution_trace/rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz"
    expected = plain.oracle(path)
    assert expected is not None
    absolute = [x.start for x in (*expected.operators, *expected.spans)]
    events = [e for e in plain.load(path)["traceEvents"] if e["ph"] == "X"]
    assert len(absolute) == len(events) == 45_420
    assert sum(int(float(e["ts"]) * 1000) != plain.nanoseconds(e["ts"]) for e in events) == 45_250
    trace = read(path)
    zero = trace.metadata.zero_ns or 0
    ours = [zero + t for t in (*trace.operators["start_ns"].tolist(), *trace.annotations["start_ns"].tolist())]
    assert sorted(ours) == sorted(absolute)


def test_nearly_all_device_operators_have_their_launch(collection_dir: Path) -> None:
    launched = found = 0
    for path in FILES:
        if "recorded" not in path.parts:
            report = read(path).metadata.report
            launched, found = launched + report.launched_device_operators, found + report.device_operators
    assert found == 61_350
    assert 0.98 < launched / found < 0.99


def test_the_eight_ranks_of_dlrm(collection_dir: Path) -> None:
    trace = read(collection_dir / "param/dlrm_kineto")
    assert trace.ranks == tuple(range(8))
    report = trace.metadata.report
    assert (report.device_operators, report.launched_device_operators) == (2_244, 2_116)
    assert int((trace.operators["category"] == Category.CPU_OP).sum()) == 8 * 1_633
    assert texts(trace, "iterations", "name") == ["ProfilerStep#10"] * 8
    recorded = Counter(trace.dependencies["kind"][~trace.dependencies["inferred"]].tolist())
    assert {DependencyKind(kind).name: count for kind, count in recorded.items()} == {
        "CALL": 13_108, "THREAD": 9_511, "LAUNCH": 2_116, "STREAM": 2_212,
    }  # fmt: skip
    collectives = trace.operators["kind"] == NodeType.COMM_COLL
    assert int(collectives.sum()) == 8 * 8


# Any trace at all


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Small documents with everything at once: few moments, so that ties and overlaps abound."""
    moment = st.integers(0, 40).map(lambda quarter: 100 + quarter / 4 if quarter % 4 else 100 + quarter // 4)
    length = st.integers(0, 40).map(lambda quarter: quarter / 4 if quarter % 4 else quarter // 4)
    events: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 14))):
        start, duration = draw(moment), draw(length)
        kind = draw(st.sampled_from(["cpu", "cpu", "call", "gpu", "gpu", "note", "step", "gloo", "flow", "memory"]))
        tid = draw(st.sampled_from([1, "1", 2, -5]))
        correlation = draw(st.sampled_from([None, 0, 1, 2]))
        if kind == "cpu":
            order = draw(st.sampled_from([{}, {"Ev Idx": draw(st.integers(0, 9))}, {"External id": number}]))
            events.append(cpu(f"op{number}", start, start + duration, tid, **order))
        elif kind == "call":
            events.append(call(start, start + duration, correlation, tid=tid))
        elif kind == "gpu":
            stream = draw(st.sampled_from([7, "stream 7", 20]))
            events.append(gpu(f"kernel{number}", start, start + duration, correlation, stream))
        elif kind == "flow":
            flow = {"cat": "fwdbwd", "name": "f", "pid": plain.PROCESS, "tid": tid, "id": draw(st.integers(1, 2))}
            events.append({**flow, "ph": draw(st.sampled_from("sf")), "ts": start})
        elif kind == "memory":
            events.append({"ph": "i", "name": "[memory]", "pid": plain.PROCESS, "tid": tid, "ts": start,
                           "args": {"Bytes": -number, "Addr": 2**63 + number}})  # fmt: skip
        else:
            name = {"note": "forward", "step": f"ProfilerStep#{number}", "gloo": "gloo:all_reduce"}[kind]
            events.append(note(name, start, start + duration, tid))
    return {"traceEvents": events}


@given(documents())
def test_any_small_trace(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    path = write(tmp_path_factory.mktemp("any") / "trace.json", *document["traceEvents"])
    trace = as_recorded(path)
    read(path).validate()
    expected = plain.oracle(path)
    assert expected is not None
    for check in (check_operators, check_arguments, check_nesting, check_device, check_flows, check_iterations,
                  check_the_rest, check_lanes):  # fmt: skip
        check(trace, expected)
    check_order(trace)


# The rules one by one


def small(folder: Path, *events: Any, **top: Any) -> Trace:
    """The trace of those events; whatever the rule, it is valid."""
    trace = read(write(folder / "trace.json", *events, **top))
    check_order(trace)
    return trace


def test_times_are_exact_and_start_at_the_first_event(tmp_path: Path) -> None:
    """The profiler's own bracket begins earlier; digits beyond the nanosecond are rounded to even."""
    base = 1_767_189_312_000_000_000
    trace = small(
        tmp_path,
        interval("Trace", "PyTorch Profiler (0)", 0, 99, "PyTorch Profiler", "Spans"), interval("overhead", "o", 1, 2),
        note("forward", 701805175643.828, 701805175643.828), cpu("a", 701805175643.829, 701805175643.829),
        baseTimeNanoseconds=base,
    )  # fmt: skip
    assert trace.metadata.zero_ns == base + 701_805_175_643_828
    assert trace.operators["start_ns"].tolist() == [1]
    event = '{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":TS,"dur":DUR}'
    digits = (("1700000000000000.0005", "0.0015"), ("1.7e15", "1e-3"), ("1700000000000001", "2.000"))
    texts_of_events = ",".join(event.replace("TS", ts).replace("DUR", duration) for ts, duration in digits)
    (tmp_path / "digits.json").write_text('{"traceEvents":[' + texts_of_events + "]}")
    trace = read(tmp_path / "digits.json")
    assert trace.operators["start_ns"].tolist() == [0, 0, 1000]
    assert sorted(trace.operators["duration_ns"].tolist()) == [1, 2, 2000]
    assert trace.metadata.start_time == "2023-11-14T22:13:20.000000000Z"


def test_the_profilers_own_clock_has_no_date(tmp_path: Path) -> None:
    trace = small(tmp_path, cpu("a", 5, 6))
    assert trace.metadata.zero_ns == 5_000
    assert trace.metadata.start_time is None


def test_a_base_without_events_tells_no_time(tmp_path: Path) -> None:
    """The base is when the profiler's clock began, weeks before; other ranks are not moved by it."""
    base = 1_690_000_000_000_000_000
    info = {"rank": 0, "world_size": 2}
    empty = write(tmp_path / "0.json", baseTimeNanoseconds=base, distributedInfo=info)
    metadata = read(empty).metadata
    assert (metadata.start_time, metadata.zero_ns) == (None, None)
    write(tmp_path / "1.json", cpu("a", 5 * 10**12, 5 * 10**12 + 1), baseTimeNanoseconds=base,
          distributedInfo=info | {"rank": 1})  # fmt: skip
    assert read(tmp_path).operators["start_ns"].tolist() == [0]


def test_categories_of_both_dialects(tmp_path: Path) -> None:
    categories = {
        "cpu_op": Category.CPU_OP, "Operator": Category.CPU_OP,
        "cuda_runtime": Category.RUNTIME, "Runtime": Category.RUNTIME, "mtia_runtime": Category.RUNTIME,
        "xpu_runtime": Category.RUNTIME, "privateuse1_runtime": Category.RUNTIME, "cuda_driver": Category.DRIVER,
        "kernel": Category.KERNEL, "Kernel": Category.KERNEL, "concurrent_kernel": Category.KERNEL,
        "gpu_memcpy": Category.MEMCPY, "Memcpy": Category.MEMCPY, "gpu_memset": Category.MEMSET,
        "Memset": Category.MEMSET, "mtia_ccp_events": Category.DEVICE,
    }  # fmt: skip
    trace = small(tmp_path, *[interval(c, c, 10 * i, 10 * i + 1, c) for i, c in enumerate(categories)])
    assert [Category(c) for c in trace.operators["category"].tolist()] == list(categories.values())
    assert trace.metadata.report.warnings == ()


def test_what_is_no_operator(tmp_path: Path) -> None:
    kinds = {"user_annotation": Span.USER, "gpu_user_annotation": Span.DEVICE_USER, "python_function": Span.PYTHON,
             "overhead": Span.OVERHEAD, "cuda_sync": Span.SYNCHRONIZATION, "Trace": Span.TRACE}  # fmt: skip
    trace = small(tmp_path, cpu("a", 0, 1), *[interval(c, c, i, i + 1, c) for i, c in enumerate(kinds)])
    assert len(trace) == 1
    assert [Span(k) for k in trace.annotations["kind"].tolist()] == list(kinds.values())


def test_annotations_of_the_first_dialect_stand_among_the_operators(tmp_path: Path) -> None:
    names = ["ProfilerStep#7", "Optimizer.step#SGD.step", "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__",
             "DistributedDataParallel.forward", "## forward ##"]  # fmt: skip
    operators = ["aten::add", "ReluBackward1", "torch::autograd::AccumulateGrad", "Optimizer"]
    events = [interval("Operator", n, 0, 50, "25738") for n in (*names, *operators)]
    trace = small(tmp_path, *events)
    assert set(texts(trace, "operators", "name")) == set(operators)
    assert texts(trace, "annotations", "name") == names
    assert texts(trace, "iterations", "name") == ["ProfilerStep#7"]
    assert trace.metadata.sources[0].format == "kineto-2021"
    assert len(small(tmp_path, cpu("Optimizer.step#SGD.step", 0, 1))) == 1, "the later dialect has a category for them"


def test_unknown_categories_are_kept_as_annotations(tmp_path: Path) -> None:
    trace = small(tmp_path, cpu("a", 0, 1), interval("quantum", "q", 2, 3, spin=1), interval("quantum", "q", 4, 5))
    assert texts(trace, "annotations", "name") == ["q", "q"]
    assert Span(int(trace.annotations["kind"][0])) is Span.OTHER
    assert trace.attributes.get(int(trace.annotations["attrs"][0])) == {"spin": 1}
    assert trace.metadata.report.counts == {"annotations:quantum": 2}
    assert trace.metadata.report.warnings == ("category 'quantum' is not known: its 2 events are annotations",)


def test_unknown_phases_are_counted(tmp_path: Path) -> None:
    trace = small(tmp_path, cpu("a", 0, 1), *[{"ph": p, "name": "x", "pid": 1, "tid": 1, "ts": 1} for p in "BEB"])
    assert trace.metadata.report.counts == {"events of phase 'B'": 2, "events of phase 'E'": 1}
    assert trace.metadata.report.warnings == (
        "2 events of phase 'B' were not read", "1 events of phase 'E' were not read"
    )  # fmt: skip


def test_counters_have_one_row_a_sample_and_series(tmp_path: Path) -> None:
    sample = {"ph": "C", "name": "GPU 0 Utilization", "pid": 0, "ts": 12.5}
    trace = small(tmp_path, cpu("a", 10, 11), {**sample, "args": {"GPU Utilization": 0.75, "busy": 3, "note": "high"}},
                  {**sample, "ts": 20})  # fmt: skip
    rows = zip(texts(trace, "counters", "name"), trace.counters["time_ns"].tolist(), trace.counters["value"].tolist())
    assert list(rows) == [("GPU 0 Utilization/GPU Utilization", 2_500, 0.75), ("GPU 0 Utilization/busy", 2_500, 3.0)]
    assert trace.metadata.report.counts == {"counter values that are no numbers": 1}


def test_memory_events(tmp_path: Path) -> None:
    """With and without an address, as the two dialects write them; other instants stand apart."""
    instant = {"ph": "i", "s": "t", "pid": plain.PROCESS, "tid": 1}
    new = {
        "Addr": 2**64 - 1,
        "Bytes": -512,
        "Total Allocated": 10,
        "Total Reserved": 20,
        "Device Type": 1,
        "Device Id": 0,
    }
    trace = small(
        tmp_path, cpu("a", 0, 9), {**instant, "name": "[memory]", "ts": 3, "args": new},
        {**instant, "name": "[memory]", "ts": 4, "args": {"Bytes": 4, "Device Type": 0, "Device Id": -1}},
        {**instant, "name": "Record Window End", "ts": 9, "tid": ""}, {**instant, "name": "[memory]", "ts": 9},
    )  # fmt: skip
    m = trace.memory_events
    columns = ("time_ns", "address", "bytes", "allocated", "reserved", "device_type", "device")
    assert [[m.value(c, row) for c in columns] for row in range(2)] == [
        [3_000, 2**64 - 1, -512, 10, 20, 1, 0], [4_000, None, 4, None, None, 0, -1]
    ]  # fmt: skip
    assert texts(trace, "instants", "name") == ["Record Window End", "[memory]"]


def test_threads_and_streams_have_their_labels(tmp_path: Path) -> None:
    label = {"ph": "M", "name": "thread_name", "ts": 0}
    trace = small(
        tmp_path, cpu("a", 0, 1, 77), gpu("k", 1, 2, stream=7), cpu("b", 2, 3, -3),
        {**label, "pid": plain.PROCESS, "tid": 77, "args": {"name": "thread 77 (python)"}},
        {**label, "pid": 0, "tid": "stream 7", "args": {"name": "stream 7 "}},
        {**label, "pid": 5, "tid": 5, "args": {"name": "never used"}},
        {"ph": "M", "name": "process_labels", "pid": 0, "tid": 0, "ts": 0, "args": {"labels": "GPU 0"}},
    )  # fmt: skip
    assert texts(trace, "lanes", "name") == ["thread 77 (python)", "stream 7", None]
    assert [trace.lanes.value("device", row) for row in range(3)] == [None, 0, None]
    assert trace.metadata.sources[0].document["processes"] == {"0": {"labels": "GPU 0"}}


@pytest.mark.parametrize("args", [[], 5, "x", None])
def test_labels_that_are_no_objects_are_ignored(tmp_path: Path, args: Any) -> None:
    events = [{"ph": p, "name": "thread_name", "pid": 1, "tid": 1, "ts": 0, "args": args} for p in "MC"]
    trace = small(tmp_path, cpu("a", 0, 1), *events)
    assert texts(trace, "lanes", "name") == [None]
    assert len(trace.counters) == 0


def flow(phase: str, number: int, time: float, tid: int = 1, cat: str = "fwdbwd") -> dict[str, Any]:
    """One end of a flow."""
    return {"ph": phase, "id": number, "cat": cat, "name": cat, "pid": plain.PROCESS, "tid": tid, "ts": time}


def test_a_backward_operator_reads_what_its_forward_operator_saved(tmp_path: Path) -> None:
    trace = small(
        tmp_path,
        cpu("linear", 0, 9), cpu("addmm", 1, 8), cpu("AddmmBackward0", 20, 30, 2), cpu("mm", 21, 25, 2), call(1, 2),
        flow("s", 1, 1), flow("f", 1, 20, 2), flow("s", 2, 5, cat="ac2g"),
    )  # fmt: skip
    (edge,) = edges(trace, "DATA")
    assert [trace.operators.value("name", row) for row in edge] == ["addmm", "AddmmBackward0"]
    assert trace.dependencies.value("method", 0) == "forward-backward flow"
    assert trace.metadata.report.counts == {"flow:ac2g": 1}


def test_flows_without_an_end_or_against_time_make_no_edge(tmp_path: Path) -> None:
    trace = small(
        tmp_path,
        cpu("a", 0, 5), cpu("b", 10, 20), cpu("c", 30, 35),
        flow("s", 1, 0),  # no finish
        flow("s", 2, 0), flow("f", 2, 7),  # no operator there
        flow("s", 3, 30), flow("f", 3, 10),  # backwards in time
        flow("s", 4, 10), flow("f", 4, 12),  # to itself
    )  # fmt: skip
    assert not edges(trace, "DATA")
    flows = [flow("s", 1, 0), flow("f", 1, 10), flow("s", 1, 99), flow("f", 1, 99)]  # no operator at 99
    assert edges(small(tmp_path, cpu("a", 0, 5), cpu("b", 10, 20), *flows), "DATA") == {(0, 1)}
    assert trace.metadata.report.dangling_dependencies == 3
    assert trace.metadata.report.counts == {"flowsAgainstTime": 1}


def test_shapes_are_one_text_for_equal_inputs(tmp_path: Path) -> None:
    inputs = {"Input Dims": [[2, 3], []], "Input type": ["float", "Scalar"]}
    without_types = {"Input Dims": inputs["Input Dims"]}
    trace = small(
        tmp_path, cpu("a", 0, 1, **inputs), cpu("b", 2, 3, **inputs), cpu("c", 4, 5, **without_types), cpu("d", 6, 7)
    )
    assert texts(trace, "operators", "shapes") == [
        '{"dims":[[2,3],[]],"types":["float","Scalar"]}', '{"dims":[[2,3],[]],"types":["float","Scalar"]}',
        '{"dims":[[2,3],[]]}', None,
    ]  # fmt: skip


def test_facts_that_are_missing(tmp_path: Path) -> None:
    trace = small(tmp_path, cpu("a", 0, 1))
    assert trace.ranks == (0,)
    assert trace.metadata.sources[0].rank_from == "default"
    assert trace.metadata.world_size is None
    assert trace.metadata.device_model is None
    assert trace.metadata.report.warnings == ()


def test_facts_that_are_there(tmp_path: Path) -> None:
    devices = [{"name": "NVIDIA H100"}, {"name": "NVIDIA H100"}, {"name": ""}, {"name": "MI300X"}, 3]
    trace = small(tmp_path, cpu("a", 0, 1), deviceProperties=devices, schemaVersion=1, traceName="x.json",
                  distributedInfo={"rank": 3, "world_size": 4, "backend": "nccl"})  # fmt: skip
    assert trace.ranks == (3,)
    assert trace.metadata.world_size == 4
    assert trace.metadata.device_model == "NVIDIA H100, MI300X"
    assert trace.metadata.sources[0].document["traceName"] == "x.json"


def test_an_empty_trace(tmp_path: Path) -> None:
    trace = small(tmp_path)
    assert len(trace) == 0
    assert trace.metadata.report.warnings == ("trace.json holds no operators",)


def test_numbers_beyond_64_bits_are_left_to_the_arguments(tmp_path: Path) -> None:
    trace = small(tmp_path, call(0, 1, 2**70), gpu("k", 2, 3, 2**70))
    assert not edges(trace, "LAUNCH")
    assert trace.operator_attributes(0) == {"correlation": 2**70}


def test_a_field_of_a_wrong_type_is_named(tmp_path: Path) -> None:
    label = {"ph": "M", "name": "process_name", "pid": 1, "tid": 0}
    path = write(tmp_path / "t.json", label, cpu("b", 1, 2, **{"Sequence number": "seven"}))
    with pytest.raises(InputError, match=r"event 1 \('b'.*Sequence number"):
        read(path)
