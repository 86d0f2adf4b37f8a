"""Real runs of several ranks: everything is matched, with the figures that their start and end times alone give."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest.linking import Identity, link
from etgraph.ingest.pipeline import one_trace
from etgraph.ingest.reading import Options, finished, read_file
from etgraph.ingest.source import SourceFile
from etgraph.model import Category, DependencyKind, Trace

STAGES = "gpt_tp2_pp2"
SAMPLES = {"dlrm_alltoall": 4, "gpt_ddp": 14, "gpt_ddp_5steps": 70, "gpt_ddp_regressed": 21, STAGES: 32}


def matched(paths: Sequence[Path]) -> Trace:
    """The trace of several ranks, matched and valid, with nothing against the times."""
    assert paths
    options = Options()
    trace = one_trace([finished(read_file(SourceFile(path))) for path in paths], options)
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


def test_numbers_of_execution_traces_reach_the_kernels(collection_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device files alone have none. Those of another iteration are no numbers of this one's collectives."""
    options, folder = Options(), collection_dir / "param"
    traces = []
    for identity in (Identity.SAME, Identity.OTHER_ITERATION):
        monkeypatch.setattr(
            import_module(link.__module__), "identify", lambda *_, identity=identity, **__: (identity, 0)
        )
        drafts = []
        for rank in range(8):
            device = read_file(SourceFile(next((folder / "dlrm_kineto").glob(f"worker{rank}_*")), None), options)
            host = read_file(SourceFile(folder / "dlrm_pytorch_et" / f"dlrm_eg_{rank}.json.gz", None), options)
            drafts.append(finished(link(host, device)))
        traces.append(one_trace(drafts, options))
    same, other = traces
    assert same.collectives["sequence"].tolist() == list(range(147, 155))
    assert same.metadata.report.counts["collectivesBySequence"] == 8
    assert other.collectives.is_null("sequence").all()
    assert other.metadata.report.counts["collectivesByOrder"] == 8
    for trace in traces:
        members = trace.operators["category"][trace.operators["collective"] >= 0]
        assert set(members.tolist()) == {int(Category.KERNEL)}
