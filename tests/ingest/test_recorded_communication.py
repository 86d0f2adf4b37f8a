"""Real runs of several ranks: everything is matched, with the figures that their start and end times alone give."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import pipeline
from etgraph.ingest.chakra.normalise import normalise
from etgraph.ingest.chakra.sniff import is_chakra
from etgraph.ingest.communication.kernels import hand_down
from etgraph.ingest.communication.matching import match
from etgraph.ingest.draft import Draft
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter, Category, DependencyKind, Trace

STAGES = "gpt_tp2_pp2"
SAMPLES = {"dlrm_alltoall": 4, "gpt_ddp": 14, "gpt_ddp_5steps": 70, "gpt_ddp_regressed": 21, STAGES: 32}


def draft_of(path: Path) -> Draft:
    """The finished draft of one file."""
    source = SourceFile(path, None)
    with AttributeWriter() as attributes:
        reads = pipeline._read_chakra if is_chakra(source.head()) else pipeline._read_json
        draft = reads(source, attributes)
    draft = replace(draft, trace=replace(draft.trace, attributes=attributes.attributes))
    for step in pipeline.passes(draft.trace.metadata.sources[0].format, pipeline.Options(), path):
        draft = step(draft)
    return draft


def joined(paths: Sequence[Path]) -> Draft:
    """One draft of the files of several ranks."""
    drafts = sorted((draft_of(path) for path in paths), key=lambda d: d.trace.metadata.sources[0].rank)
    trace = normalise(pipeline.join([d.trace for d in drafts]))
    return Draft(trace, {"comm_sequence": np.concatenate([d.id("comm_sequence") for d in drafts])})


def matched(paths: Sequence[Path]) -> Trace:
    """The trace of several ranks, matched and valid, with nothing against the times."""
    assert paths
    trace = match(joined(paths)).trace
    trace.validate()
    o, d = trace.operators, trace.dependencies
    if not o.is_null("start_ns").all():
        for row in range(len(trace.collectives)):
            members = np.flatnonzero(o["collective"] == row)
            assert trace.end_ns[members].min() + 2_000 >= o["start_ns"][members].max()
        pairs = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
        assert (o["start_ns"][d["src"][pairs]] <= trace.end_ns[d["dst"][pairs]]).all()
    return trace


def folder_of(traces_dir: Path, name: str) -> Path:
    """A recorded run, in the collection or among the samples."""
    return next(path for path in (traces_dir / "recorded" / name, traces_dir / name) if path.is_dir())


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("kind", ["kineto", "et"])
def test_recorded_runs_are_matched_whole(traces_dir: Path, name: str, kind: str) -> None:
    paths = sorted(folder_of(traces_dir, name).glob(f"{kind}_rank*"))
    if not paths:
        assert kind == "et", "the samples leave out execution traces only"
        return
    trace = matched(paths)
    report = trace.metadata.report
    assert (report.collectives_matched, report.collectives_unmatched) == (SAMPLES[name], 0)
    collective = trace.operators["collective"]
    members = np.bincount(collective[collective >= 0])
    assert set(members.tolist()) == {2 if name == STAGES else len(paths)}


@pytest.mark.parametrize("kind", ["kineto", "et"])
def test_stages_send_to_each_other(traces_dir: Path, kind: str) -> None:
    """Two pipeline stages of two tensor-parallel ranks: sixteen messages between them, 32 collectives within."""
    trace = matched(sorted(folder_of(traces_dir, STAGES).glob(f"{kind}_rank*")))
    o, d = trace.operators, trace.dependencies
    pairs = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    between = Counter(zip(o["rank"][d["src"][pairs]].tolist(), o["rank"][d["dst"][pairs]].tolist(), strict=True))
    assert between == {(0, 2): 4, (2, 0): 4, (1, 3): 4, (3, 1): 4}
    groups = Counter(trace.group_ranks[row] for row in trace.collectives["group"].tolist())
    assert groups == {(0, 1): 16, (2, 3): 16}
    assert trace.metadata.clock_offsets_ns == dict.fromkeys(range(4), 0)


def test_every_run_of_the_collection_is_matched_whole(collection_dir: Path) -> None:
    runs = sorted({path.parent for path in (collection_dir / "recorded").rglob("kineto_rank*")})
    runs = [run for run in runs if run.parent.name in ("series", "whatif")]
    assert len(runs) == 28
    for run in runs[::4]:
        report = matched(sorted(run.glob("kineto_rank*"))).metadata.report
        assert (report.collectives_unmatched, report.warnings) == (0, ()), run
        assert report.collectives_matched > 0


def test_eight_ranks_wait_for_the_seventh(collection_dir: Path, reference_dir: Path) -> None:
    """NCCL without groups and numbers, against figures worked out from the times alone."""
    trace = matched(sorted((collection_dir / "param" / "dlrm_kineto").iterdir()))
    reference = json.loads((reference_dir / "dlrm.json").read_text())
    o = trace.operators
    first = min(r["step_ts"] for r in reference["ranks"].values())
    zero = trace.metadata.zero_ns or 0
    waits, spent, last = 0, 0, Counter[int]()
    assert len(trace.collectives) == len(reference["collectives"]) == 8
    for row, expected in enumerate(reference["collectives"]):
        members = np.flatnonzero(o["collective"] == row)
        start, end = o["start_ns"][members], trace.end_ns[members]
        assert len(members) == 8
        found = {
            "first_start": (int(start.min()) + zero) // 1000 - first,
            "last_start": (int(start.max()) + zero) // 1000 - first,
            "skew": int(np.ptp(start)) // 1000,
            "end_spread": int(np.ptp(end)) // 1000,
            "min_dur": int((end - start).min()) // 1000,
            "max_dur": int((end - start).max()) // 1000,
            "late_rank": int(o["rank"][members][start.argmax()]),
        }
        assert found == {name: expected[name] for name in found}
        waits += int(np.clip(start.max() - start, 0, end - start).sum())
        spent += int((end - start).sum())
        last[found["late_rank"]] += 1
    assert round(waits / spent, 3) == 0.965
    assert last[7] == 5
    assert trace.group_ranks == (tuple(range(8)),)


def test_seven_of_eight_ranks(collection_dir: Path) -> None:
    paths = sorted((collection_dir / "param" / "dlrm_kineto").iterdir())
    trace = matched([path for path in paths if "worker3" not in path.name])
    report = trace.metadata.report
    assert (report.collectives_matched, report.collectives_unmatched) == (8, 0)
    assert report.counts["collectivesWithMissingRanks"] == 8
    assert set(trace.collectives["size"].tolist()) == {8}


def test_execution_traces_of_eight_ranks_by_number(collection_dir: Path) -> None:
    trace = matched(sorted((collection_dir / "param" / "dlrm_pytorch_et").iterdir()))
    assert trace.metadata.report.collectives_matched == 8
    assert sorted(trace.collectives["sequence"].tolist()) == list(range(147, 155))


def test_a_sampled_trace_is_left_open(collection_dir: Path) -> None:
    """Two ranks of 128, each with its own sample of kernels: order contradicts the times, and nothing is guessed."""
    report = matched(sorted((collection_dir / "hta" / "trace_filter").iterdir())).metadata.report
    assert (report.collectives_matched, report.collectives_unmatched) == (0, 20)
    assert report.counts["unmatchedWithoutGroup"] + report.counts["unmatchedOfSeveralGroups"] == 20


def test_workloads_of_a_simulator(reference_dir: Path) -> None:
    """Chakra without times: every collective of each rank, every message."""
    totals = Counter[str]()
    for folder in sorted((reference_dir / "astra_sim").iterdir()):
        report = matched(sorted(folder.glob("*.et"))).metadata.report
        assert report.collectives_unmatched == 0, folder.name
        totals["collectives"] += report.collectives_matched
        totals["messages"] += report.counts.get("messagesMatched", 0)
    assert totals == {"collectives": 35, "messages": 7}


def test_numbers_of_execution_traces_reach_the_kernels(collection_dir: Path) -> None:
    """Calls of both files paired by thread and order, as linking would; the device files alone have no numbers."""
    drafts = []
    for rank in range(8):
        device = draft_of(next((collection_dir / "param" / "dlrm_kineto").glob(f"worker{rank}_*")))
        host = draft_of(collection_dir / "param" / "dlrm_pytorch_et" / f"dlrm_eg_{rank}.json.gz")
        calls, said = (_calls(draft.trace) for draft in (device, host))
        assert len(calls) == len(said) == 13
        data = {name: device.trace.operators[name].copy() for name in ("kind", "comm_type", "comm_bytes")}
        for name, values in data.items():
            values[calls] = host.trace.operators[name][said]
        sequence = device.id("comm_sequence").copy()
        sequence[calls] = host.id("comm_sequence")[said]
        linked = device.with_operators(data)
        drafts.append(hand_down(Draft(linked.trace, {**linked.ids, "comm_sequence": sequence})))
    trace = normalise(pipeline.join([d.trace for d in drafts]))
    numbers = np.concatenate([d.id("comm_sequence") for d in drafts])
    found = match(Draft(trace, {"comm_sequence": numbers})).trace
    assert found.collectives["sequence"].tolist() == list(range(147, 155))
    assert found.metadata.report.counts["collectivesBySequence"] == 8
    streams = found.operators["category"][found.operators["collective"] >= 0]
    assert set(streams.tolist()) == {int(Category.KERNEL)}


def _calls(trace: Trace) -> np.ndarray:
    """Rows of the communication calls, thread by thread, the thread with the fewest first."""
    o = trace.operators
    rows = np.array([row for row in range(len(o)) if o.value("name", row) == "record_param_comms"])
    return rows[np.lexsort((rows, np.bincount(o["lane"][rows])[o["lane"][rows]]))]
