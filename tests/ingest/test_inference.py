"""Inference as a whole: generated traces whose causes are known, random ones, and the real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.inference import infer, unexplained_device_wait
from etgraph.ingest.inference.timeline import earliest, latest, ragged
from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.queries import critical_path, walk
from etgraph.queries.windows import window_of
from support.build import build
from support.drafts import drawn_draft, kineto_draft
from support.programs import flooded, mixed, turns
from support.random_traces import traces
from support.simulated import TAIL, Simulated
from support.slow_walk import slow_walk

K = DependencyKind
Pairs = set[tuple[int, int]]


def numbered(draft: Draft, trace: Trace, *, by: str = "correlation") -> dict[tuple[DependencyKind, str], Pairs]:
    """Inferred pairs by kind and method, operators by their recorded number."""
    d, number = trace.dependencies, draft.id(by)
    found: dict[tuple[DependencyKind, str], Pairs] = {}
    for row in range(len(draft.trace.dependencies), len(d)):
        key = (K(int(d["kind"][row])), str(d.value("method", row)))
        found.setdefault(key, set()).add((int(number[d["src"][row]]), int(number[d["dst"][row]])))
    return found


def of_kind(found: dict[tuple[DependencyKind, str], Pairs], kind: DependencyKind) -> Pairs:
    return set().union(*(pairs for (k, _), pairs in found.items() if k is kind))


def scores(pairs: Iterable[tuple[Pairs, Pairs, Pairs]]) -> tuple[float, float]:
    """Precision and recall over many (found, true, true and to be seen)."""
    found = right = wanted = got = 0
    for f, true, seen in pairs:
        found, right, wanted, got = found + len(f), right + len(f & true), wanted + len(seen), got + len(f & seen)
    return right / found, got / wanted


def learned(simulated: Simulated, path: Path) -> tuple[Draft, Trace]:
    draft = kineto_draft(simulated.write(path / "trace.json"))
    trace = infer(draft).trace
    trace.validate()
    return draft, trace


@pytest.fixture(scope="module", params=[0.0, 0.05], ids=["quiet", "noisy"])
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Simulated, ...]]:
    """Traces of random programs, what was learned of them; in the noisy ones some works start late for no reason."""
    folder = tmp_path_factory.mktemp("generated")
    found = []
    for seed in range(10):
        simulated = mixed(seed, hiccups=request.param)
        found.append((simulated, *learned(simulated, folder)))
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "precision", "recall"), [(K.EVENT, 0.98, 0.92), (K.SYNC, 1.0, 0.97), (K.OCCUPANCY, 0.95, 0.95)]
)
def test_causes_of_generated_traces(generated, kind: DependencyKind, precision: float, recall: float) -> None:  # type: ignore[no-untyped-def]
    found = scores(
        (of_kind(numbered(draft, trace), kind), simulated.pairs(kind), simulated.pairs(kind, seen=True))
        for simulated, draft, trace in generated
    )
    assert found >= (precision, 0), found
    assert found[1] >= recall, found


def test_no_method_is_surer_than_it_is_right(generated) -> None:  # type: ignore[no-untyped-def]
    right: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    confidence: Counter[str] = Counter()
    for simulated, draft, trace in generated:
        for (kind, method), pairs in numbered(draft, trace).items():
            right[method] += len(pairs & simulated.pairs(kind))
            all_of[method] += len(pairs)
        d = trace.dependencies
        for row in range(len(draft.trace.dependencies), len(d)):
            confidence[str(d.value("method", row))] += float(d["confidence"][row])
    assert len(all_of) >= 6
    for method, count in all_of.items():
        assert right[method] / count >= confidence[method] / count - 0.03, (method, right[method], count)


def test_generated_traces_leave_little_unexplained(generated) -> None:  # type: ignore[no-untyped-def]
    for simulated, draft, trace in generated:
        before, after = unexplained_device_wait(draft.trace), unexplained_device_wait(trace)
        assert after.unexplained_ns < 0.1 * before.unexplained_ns
        assert after.window_ns == before.window_ns
        assert simulated.truth


def test_the_walk_over_inferred_causes_is_the_slow_walk(generated) -> None:  # type: ignore[no-untyped-def]
    for _, _, trace in generated[:3]:
        window = window_of(trace, 0, None, "device")
        s = walk.walk(trace, (window,))
        fast = list(zip(*(c.tolist() for c in (s.operator, s.lane, s.start_ns, s.end_ns, s.what, s.via)), strict=True))
        assert fast == slow_walk(trace, window)


def test_nothing_starts_while_a_wide_kernel_fills_the_device_of_a_generated_trace() -> None:
    for seed in range(5):
        events = [e for e in mixed(seed).events if e["cat"] == "kernel" and not e["name"].startswith("nccl")]
        waves = [e["args"].get("warps per SM", 0) / 64 for e in events]
        for wide, of in zip(events, waves, strict=True):
            if of < 20:
                continue
            room = wide["ts"] + wide["dur"] * (1 - TAIL / of)
            others = (e["ts"] for e in events if e["tid"] != wide["tid"])
            assert not any(wide["ts"] <= ts < room - 0.002 for ts in others)


def test_recorded_waits_are_all_found(tmp_path: Path) -> None:
    for seed in range(5):
        simulated = mixed(seed, records=True)
        draft, trace = learned(simulated, tmp_path)
        found = numbered(draft, trace)
        recorded = found[K.EVENT, "event wait as recorded"]
        assert recorded <= simulated.pairs(K.EVENT)
        assert simulated.pairs(K.EVENT, seen=True) - of_kind(found, K.EVENT) == set()


def test_full_queues_of_generated_traces(tmp_path: Path) -> None:
    for seed, depth in enumerate((16, 50, 128)):
        simulated = flooded(seed, depth)
        draft, trace = learned(simulated, tmp_path)
        assert trace.metadata.report.counts[f"launchQueueLength:{depth}"] == 1
        assert of_kind(numbered(draft, trace), K.SYNC) == simulated.pairs(K.SYNC, seen=True)


def test_turns_of_generated_threads(tmp_path: Path) -> None:
    for seed in range(5):
        simulated = turns(seed)
        draft, trace = learned(simulated, tmp_path)
        found = numbered(draft, trace, by="external")
        for kind in (K.SPAWN, K.JOIN):
            assert of_kind(found, kind) == simulated.pairs(kind), seed


def against_time(trace: Trace) -> list[str]:
    """Dependencies whose ends are in the wrong order by the measured times, written down anew from what kinds mean."""
    d, start, end = trace.dependencies, trace.operators["start_ns"], trace.end_ns
    wrong = []
    for row in range(len(d)):
        a, b, kind = int(d["src"][row]), int(d["dst"][row]), K(int(d["kind"][row]))
        fine = {
            K.SYNC: end[a] <= end[b],
            K.SPAWN: start[a] <= start[b],
            K.LAUNCH: start[a] <= start[b],
            K.CALL: start[a] <= start[b] and end[b] <= end[a],
            K.OCCUPANCY: start[a] < start[b] <= end[a] + 4_000,
        }.get(kind, end[a] <= start[b])
        if not fine:
            wrong.append(f"{kind.name} {trace.describe(a)} → {trace.describe(b)}")
    return wrong


@settings(max_examples=40)
@given(traces(), st.sampled_from([np.nan, 1, 3, 50]))
def test_nothing_that_is_stored_contradicts_the_times(trace: Trace, waves: float) -> None:
    d = trace.dependencies
    launches = d["kind"] == int(K.LAUNCH)
    correlation = np.full(len(trace), NULL)
    correlation[d["src"][launches]] = correlation[d["dst"][launches]] = d["src"][launches] + 1
    drawn = d.take(~np.isin(d["kind"], [int(k) for k in (K.EVENT, K.SYNC, K.JOIN, K.OCCUPANCY)]))
    draft = Draft(replace(trace, dependencies=drawn), {"correlation": correlation})
    draft = draft.with_operators({"waves": np.full(len(trace), waves)})
    result = infer(draft).trace
    result.validate()
    assert against_time(result) == []
    assert infer(draft).trace.dependencies.equals(result.dependencies)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 30)), max_size=20),
    st.lists(st.tuples(st.integers(-1, 4), st.integers(-6, 31)), max_size=8),
)
def test_searches_by_group_and_time(entries: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    entries.sort()
    group, time = (np.array([e[i] for e in entries], dtype=np.int64) for i in (0, 1))
    in_group, at = (np.array([q[i] for q in asked], dtype=np.int64) for i in (0, 1))
    rows = np.arange(len(entries))
    before = [max((r for r, (g, t) in enumerate(entries) if g == q and t < w), default=-1) for q, w in asked]
    after = [min((r for r, (g, t) in enumerate(entries) if g == q and t >= w), default=-1) for q, w in asked]
    assert latest(rows, group, time, in_group, at).tolist() == before
    assert earliest(rows, group, time, in_group, at).tolist() == after


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6))
def test_ragged_ranges(ranges: list[tuple[int, int]]) -> None:
    first, last = (np.array([r[i] for r in ranges], dtype=np.int64) for i in (0, 1))
    which, place = ragged(first, last)
    expected = [(row, p) for row, (a, b) in enumerate(ranges) for p in range(a, b)]
    assert list(zip(which.tolist(), place.tolist(), strict=True)) == expected


def test_ragged_ranges_are_bounded() -> None:
    which, place = ragged(np.array([0, 5]), np.array([10**9, 6]))
    assert len(which) == 257
    assert place[:256].tolist() == list(range(10**9 - 256, 10**9))


def test_everything_at_one_moment_takes_no_more_memory_than_it_must() -> None:
    count = 1_200
    launches = "\n".join(f"rank 0 | thread 1 | cudaLaunchKernel  {i}..{i + 1}  -> k{i}" for i in range(count))
    kernels = "\n".join(f"rank 0 | stream {i % 40} | k{i}  100000..100000" for i in range(count))
    trace = infer(drawn_draft(f"rank 0 | thread 1 | cudaStreamWaitEvent  0..0\n{launches}\n{kernels}")).trace
    assert len(trace.dependencies) < 10 * count


def test_the_measure_of_unexplained_waiting() -> None:
    text = """
        rank 0 | thread 1 | cudaLaunchKernel       0..4000      -> a
        rank 0 | thread 1 | cudaLaunchKernel    5000..9000      -> b
        rank 0 | stream 7 | a                   5000..10000     {arrow}
        rank 0 | stream 9 | c                   4000..99000
        rank 0 | stream 7 | b                 100000..110000
    """
    plain = unexplained_device_wait(build(text.format(arrow="")))
    assert (plain.window_ns, plain.waiting_ns) == (110_000, 90_000)
    assert plain.unexplained_ns == 100_000 - 10_000 - 4_000
    assert not plain.enough_recorded
    explained = build(text.format(arrow="").replace("4000..99000", "4000..99000 -EVENT-> b"))
    assert unexplained_device_wait(explained).unexplained_ns == 0
    held = build(text.format(arrow="").replace("4000..99000", "30000..99000 -OCCUPANCY-> b"))
    assert unexplained_device_wait(held).unexplained_ns == 30_000 - 10_000 - 4_000


def test_a_stream_that_was_busy_before_the_recording_is_a_boundary_and_no_riddle() -> None:
    text = """
        rank 0 | thread 1 | cudaLaunchKernel       0..4000      -> a
        rank 0 | thread 1 | cudaLaunchKernel  {call}   -> b
        rank 0 | stream 7 | a                  90000..95000
        rank 0 | stream 9 | b                 500000..510000
    """
    assert unexplained_device_wait(build(text.format(call="5000..9000"))).unexplained_ns == 0
    assert unexplained_device_wait(build(text.format(call="91000..94000"))).unexplained_ns > 300_000


def test_an_empty_trace_and_one_without_devices() -> None:
    for trace in (Trace(build("rank 0 | thread 1 | a 0..1").operators.take(np.zeros(0, dtype=np.int64))),
                  build("rank 0 | thread 1 | aten::a 0..10")):  # fmt: skip
        result = infer(Draft(trace)).trace
        assert len(result.dependencies) == 0
        assert unexplained_device_wait(result).share == 0.0


# The real traces

ENOUGH = (
    "param/resnet_kineto", "kineto_tb/", "ns_resolution", "trace_diff/control", "trace_diff/test", "vllm_decode_full",
    "nccl_data", "dlrm_kineto",
)  # fmt: skip
"""Files that record enough to explain all but a hundredth of their window."""


def kineto_files(folder: Path) -> list[Path]:
    return [
        p for p in sorted(folder.rglob("*.json.gz"))
        if any(part in str(p) for part in ("hta/", "param/dlrm_kineto", "kineto_tb/", "tracelens/", "resnet_kineto"))
        and "benchmark_simple_add_et" not in p.name
    ]  # fmt: skip


@pytest.fixture(scope="module")
def real(collection_dir: Path) -> dict[str, tuple[Draft, Trace]]:
    """Every Kineto file of the collection that has a device: its draft and what was inferred of it."""
    found = {}
    for file in kineto_files(collection_dir):
        draft = kineto_draft(file)
        found[str(file.relative_to(collection_dir))] = (draft, infer(draft).trace)
    assert len(found) >= 28
    return found


def the(real: dict[str, tuple[Draft, Trace]], part: str) -> tuple[Draft, Trace]:
    (found,) = [value for name, value in real.items() if part in name]
    return found


def test_real_traces_are_explained_where_they_record_enough(real: dict[str, tuple[Draft, Trace]]) -> None:
    shares = {name: unexplained_device_wait(trace).share for name, (_, trace) in real.items()}
    enough = {name: share for name, share in shares.items() if any(part in name for part in ENOUGH)}
    assert len(enough) == 15
    assert max(enough.values()) <= 0.01, enough
    for name, share in shares.items():
        if "trace_filter" in name:
            assert 0.63 <= share <= 0.77, share
        if "mtia" in name:
            assert share > 0.77
        warned = any("without a recorded cause" in w for w in real[name][1].metadata.report.warnings)
        assert warned == (share > 0.01), name


def test_nothing_inferred_contradicts_the_times_of_real_traces(real: dict[str, tuple[Draft, Trace]]) -> None:
    kinds: Counter[str] = Counter()
    for name, (draft, trace) in real.items():
        new = np.arange(len(draft.trace.dependencies), len(trace.dependencies))
        assert against_time(replace(trace, dependencies=trace.dependencies.take(new))) == [], name
        trace.validate()
        kinds.update(K(k).name for k in trace.dependencies["kind"][new].tolist())
        refuted = [c for c in trace.metadata.report.counts if "contradicted" in c]
        assert not refuted, (name, refuted)
    assert set(kinds) == {"EVENT", "SYNC", "SPAWN", "JOIN", "OCCUPANCY", "STREAM"}


def test_start_up_and_silence_are_said(real: dict[str, tuple[Draft, Trace]]) -> None:
    for part in ("alexnet", "critical_path/simple_add", "resnet_kineto"):
        assert "start-up" in " ".join(the(real, part)[1].metadata.report.warnings)
    mtia = the(real, "mtia")[1].metadata.report
    assert mtia.counts["blockingCallsWithoutCause"] == 100
    assert the(real, "vllm_decode_full")[1].metadata.report.counts["streamsBusyBeforeRecording"] == 1


def hidden(draft: Draft) -> Draft:
    """The same draft without what records of synchronisation say."""
    said = ("stream", "event_stream", "event_record")
    return replace(draft, ids={name: ids for name, ids in draft.ids.items() if name not in said})


def test_recorded_synchronisation_is_found_with_the_records_hidden(real: dict[str, tuple[Draft, Trace]]) -> None:
    """Only calls that a record describes, of files that are no copies: other SYNC edges never need a record."""
    sync, events = [], []
    for part in ("alexnet", "critical_path/simple_add", "cuda_event_sync/", "cuda_event_sync_multi"):
        draft, trace = the(real, part)
        described = (draft.id("stream") != NULL) | (draft.id("event_stream") != NULL)
        assert described.any()
        blind = infer(hidden(draft)).trace.dependencies
        waits = described & (trace.operators["name"] != trace.operators.code("name", "cudaDeviceSynchronize"))
        found, true = ({p for p in _pairs(d, K.SYNC) if waits[p[1]]} for d in (blind, trace.dependencies))
        sync.append((found, true, true))
        true = set(_pairs(trace.dependencies, K.EVENT))
        delaying = {(a, b) for a, b in true if _delays(draft.trace, a, b)}
        events.append((set(_pairs(blind, K.EVENT)), true, delaying))
    assert [sum(len(seen) for *_, seen in found) for found in (sync, events)] == [34, 2]
    assert scores(sync) == scores(events) == (1.0, 1.0)


def _pairs(dependencies: object, kind: DependencyKind) -> list[tuple[int, int]]:
    d = dependencies
    rows = np.flatnonzero(d["kind"] == int(kind))  # type: ignore[index]
    return list(zip(d["src"][rows].tolist(), d["dst"][rows].tolist(), strict=True))  # type: ignore[index]


def _delays(trace: Trace, src: int, dst: int) -> bool:
    """Whether an event is what its target started for: it came more than 4 µs after launch and stream."""
    causes = trace.predecessors.of(dst)
    others = [int(trace.end_ns[c]) for c in causes.tolist()]
    return bool(trace.end_ns[src] > max(others, default=0) + 4_000)


def test_known_critical_paths(real: dict[str, tuple[Draft, Trace]]) -> None:
    resolution = the(real, "ns_resolution")[1]
    for iteration in (1, 2, 3, 4):  # steps 102 to 105
        assert share(resolution, iteration, "computation") >= 0.95
    test = the(real, "trace_diff/test")[1]
    step = 3  # 1012
    assert test.iterations.value("name", step) == "ProfilerStep#1012"
    # Kernels alone are 53 %; copies within the device, which are kernels too, another 13 %.
    assert 0.50 <= share(test, step, "computation") <= 0.56
    assert 0.60 <= share(test, step, "computation") + share(test, step, "memory") <= 0.70
    ordered = test.dependencies.take(~np.isin(test.dependencies["kind"], (int(K.EVENT), int(K.OCCUPANCY))))
    without = replace(test, dependencies=ordered)
    assert share(without, step, "cpu") + share(without, step, "idle") >= 0.86


def share(trace: Trace, iteration: int, category: str) -> float:
    return sum(c.share for c in critical_path(trace, iteration=iteration).by_category if c.category == category)


def test_counts_of_real_traces(real: dict[str, tuple[Draft, Trace]]) -> None:
    resolution = the(real, "ns_resolution")[1]
    assert resolution.metadata.report.counts["launchQueueLength:1022"] == 1
    methods = Counter(_methods(resolution.dependencies["method"], resolution))
    assert methods["launch queue full"] >= 1139
    for name, (_, trace) in real.items():
        if "ns_resolution" not in name:
            assert "launchQueueLength" not in "".join(trace.metadata.report.counts), name
    before = sum(Counter(_methods(t.dependencies["method"], t))["wait before communication"] for _, t in real.values())
    assert before == 205


def _methods(codes: Array, trace: Trace) -> list[str]:
    texts = trace.dependencies.texts("method").to_pylist()
    return [texts[c] for c in codes.tolist()]
