"""Who talks to whom: each type of collective, messages, what is not known, and real traces."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from etgraph.model import TABLES, Columns, CommType, Trace
from etgraph.model.errors import MissingData
from etgraph.queries import comm_matrix, hotspots
from etgraph.queries.comm_matrix import CommunicationMatrix
from support.build import build
from support.collection import read_once
from support.read_samples import NAMES, sample


def collective(name: str, ranks: int = 4, size: int = 1600) -> Trace:
    """One collective; each rank starts 10 ns after the one before, and all end at 90."""
    lines = [f"rank {r} | stream 7 | {name} {size}B  {10 * r}..90" for r in range(ranks)]
    return build("\n".join(lines))


@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("all_gather", 400), ("reduce_scatter", 400), ("all_to_all", 400), ("all_reduce", 800), ("broadcast", 400),
        ("ncclDevKernel_Reduce", 400), ("ncclDevKernel_Gather", 100), ("ncclDevKernel_Scatter", 100), ("barrier", 0),
    ],
)  # fmt: skip
def test_a_member_sends_its_part_to_every_other(name: str, each: int) -> None:
    found = comm_matrix(collective(name))
    assert found.ranks == (0, 1, 2, 3)
    assert (found.bytes == each * (1 - np.eye(4, dtype=int))).all()
    assert found.transfer_ns is not None
    assert (found.transfer_ns == 20 * (1 - np.eye(4, dtype=int))).all()  # a third of the 60 after the last start


def test_what_all_members_send_is_what_the_bus_factor_says() -> None:
    """(n − 1) · s of an all-gather, twice that of an all-reduce: the factor times n · s."""
    for name, factor in (("all_gather", 3 / 4), ("all_reduce", 6 / 4), ("all_to_all", 3 / 4)):
        assert comm_matrix(collective(name)).bytes.sum() == factor * 4 * 1600


def test_every_rank_of_an_all_to_all_gives_its_own_size() -> None:
    trace = build("rank 0 | stream 7 | all_to_all 100B  0..10\nrank 1 | stream 7 | all_to_all 60B  0..10")
    assert comm_matrix(trace).bytes.tolist() == [[0, 50], [30, 0]]


def messages(text: str, peers: list[int]) -> Trace:
    trace = build(text)
    return replace(trace, operators=trace.operators.replace({"peer": np.array(peers, dtype=np.int32)}))


def test_a_message_counts_between_its_two_ranks_once() -> None:
    trace = messages(
        """
        rank 0 | stream 7 | send: ncclSend 1KB     30..50  -COMM-> receive
        rank 1 | stream 7 | receive: ncclRecv 1KB   0..60
        """,
        [1, 0],
    )
    for one in (trace, replace(trace, operators=trace.operators.replace({"peer": np.full(2, -(2**31), np.int32)}))):
        found = comm_matrix(one)
        assert found.bytes.tolist() == [[0, 1024], [0, 0]]
        assert found.transfer_ns is not None
        assert found.transfer_ns.tolist() == [[0, 30], [0, 0]]
    assert comm_matrix(trace, rank=1).bytes.sum() == 0


def test_a_message_from_a_rank_that_is_not_recorded_has_a_row_for_it() -> None:
    found = comm_matrix(messages("rank 2 | stream 7 | ncclRecv 1KB  0..60", [5]))
    assert (found.ranks, found.unrecorded_ranks) == ((2, 5), (5,))
    assert found.bytes.tolist() == [[0, 0], [1024, 0]]
    assert found.transfer_ns is not None
    assert found.transfer_ns.tolist() == [[0, 0], [None, 0]]


def grouped(trace: Trace, group: list[int], members: dict[int, list[int]]) -> Trace:
    names = [str(g) for g in members]
    pairs = [(g, rank) for g, ranks in members.items() for rank in ranks]
    return replace(
        trace,
        operators=trace.operators.replace({"group": np.array(group, dtype=np.int32)}),
        process_groups=Columns(TABLES["process_groups"], {"name": list(members)}, {"name": names}),
        group_members=Columns(TABLES["group_members"], {"group": [g for g, _ in pairs], "rank": [r for _, r in pairs]}),
    )


def test_a_group_names_the_ranks_that_are_not_recorded() -> None:
    trace = grouped(build("rank 6 | stream 7 | all_gather 90B  0..10"), [0], {0: [9, 6, 3]})
    found = comm_matrix(trace)
    assert found.ranks == (3, 6, 9)
    assert found.bytes.tolist() == [[0, 0, 0], [30, 0, 30], [0, 0, 0]]
    assert found.transfer_ns is not None
    assert found.transfer_ns.tolist() == [[0, None, None], [None, 0, None], [None, None, 0]]
    assert found.pairs.column("transfer_ns").null_count == 2
    assert found.trust.unmatched_collectives == 1


def test_of_a_pair_with_and_without_known_times_the_known_ones_count_and_the_others_are_told() -> None:
    trace = build("""
        rank 0 | stream 7 | all_gather 300B       0..30
        rank 1 | stream 7 | all_gather 300B      10..30
        rank 0 | stream 7 | all_reduce 100B      40..90
        rank 1 | stream 7 | all_reduce 100B      50..90
    """)
    trace = replace(trace, collectives=trace.collectives.replace({"size": [2, 3]}))
    found = comm_matrix(grouped(trace, [0, 0, 0, 0], {0: [0, 1]}))
    assert found.transfer_ns is not None
    assert found.transfer_ns.tolist() == [[0, 20], [20, 0]]
    (told,) = [warning for warning in found.trust.warnings if "transfer time" in warning]
    assert told.startswith("200 bytes (40.0%) have no transfer time")


def test_three_of_four_ranks_tell_bytes_and_no_times() -> None:
    """Nobody can tell waiting from transfer where a rank is missing: null, and not 0 ns."""
    found = comm_matrix(sample("gpt_ddp", ranks=(0, 1, 3)))
    assert (found.ranks, found.unrecorded_ranks) == ((0, 1, 2, 3), (2,))
    assert found.transfer_ns is not None
    assert found.transfer_ns.tolist() == [[0 if a == b else None for b in range(4)] for a in range(4)]
    assert any("(100.0%) have no transfer time" in warning for warning in found.trust.warnings)
    whole = comm_matrix(sample("gpt_ddp"))
    assert whole.transfer_ns is not None
    assert not np.ma.getmaskarray(whole.transfer_ns).any()
    assert not any("transfer time" in warning for warning in whole.trust.warnings)


def test_a_rank_outside_the_group_that_it_names_sends_to_nobody_known() -> None:
    trace = grouped(build("rank 6 | stream 7 | all_gather 90B  0..10"), [0], {0: [1, 2, 3]})
    found = comm_matrix(trace)
    assert (found.bytes.sum(), found.unattributed_bytes) == (0, 90)


def test_of_very_many_ranks_only_the_recorded_ones_have_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("etgraph.queries.comm_matrix"), "MOST_RANKS", 3)
    text = "rank 6 | stream 7 | all_gather 80B  0..10\nrank 7 | stream 7 | all_gather 80B  0..10"
    found = comm_matrix(grouped(build(text), [0, 0], {0: [5, 6, 7, 8]}))
    assert found.ranks == (6, 7)
    assert found.bytes.tolist() == [[0, 20], [20, 0]]
    assert found.unattributed_bytes == 80
    assert "80 bytes were sent to ranks that are not known, or not in the matrix" in found.trust.warnings


def test_bytes_to_unknown_ranks_are_counted() -> None:
    found = comm_matrix(build("rank 0 | stream 7 | all_reduce 1KB  0..10\nrank 1 | stream 7 | gemm  0..10"))
    assert (found.bytes.tolist(), found.unattributed_bytes) == ([[0, 0], [0, 0]], 1024)
    unsized = comm_matrix(collective("all_reduce", ranks=2, size=0))
    assert unsized.bytes.sum() == 0


def test_times_are_no_condition() -> None:
    trace = collective("all_reduce", ranks=2)
    null = np.full(len(trace), trace.operators.table.column("start_ns").null)
    found = comm_matrix(replace(trace, operators=trace.operators.replace({"start_ns": null})))
    assert found.transfer_ns is None
    assert found.bytes.tolist() == [[0, 1600], [1600, 0]]
    assert found.pairs.column("transfer_ns").null_count == 2
    with pytest.raises(MissingData):
        comm_matrix(replace(trace, operators=trace.operators.replace({"start_ns": null})), iteration=0)


def test_bad_questions_are_refused() -> None:
    for question in ({"rank": 9}, {"iteration": 1}):
        with pytest.raises(MissingData):
            comm_matrix(collective("all_reduce"), **question)  # type: ignore[arg-type]
    with pytest.raises(MissingData):
        comm_matrix(Trace(Columns.empty(TABLES["operators"])))


def test_pairs_are_a_data_frame_with_most_bytes_first() -> None:
    frame = comm_matrix(sample("gpt_tp2_pp2")).to_pandas()
    assert frame["bytes"].is_monotonic_decreasing
    assert set(zip(frame["rank"], frame["peer"])) == {
        (a, b) for a in range(4) for b in range(4) if a != b and a + b != 3
    }


def one_by_one(trace: Trace) -> np.ndarray:  # type: ignore[type-arg]
    """The matrix, operator by operator and pair by pair, of a trace whose groups are all recorded."""
    o = trace.operators
    sent: dict[tuple[int, int], float] = defaultdict(float)
    for row in range(len(trace)):
        rank, peer, size = o.value("rank", row), o.value("peer", row), o.value("comm_bytes", row)
        if o["kind"][row] == 5:
            sent[rank, peer] += size
        elif o["kind"][row] == 7 and o.value("comm_type", row) != CommType.BARRIER:
            ranks = trace.group_ranks[o["group"][row]]
            twice = 2 if o.value("comm_type", row) == CommType.ALL_REDUCE else 1
            for other in set(ranks) - {rank}:
                sent[rank, other] += twice * size / len(ranks)
    return np.array([[round(sent[a, b]) for b in trace.ranks] for a in trace.ranks])


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_operator_by_operator(name: str) -> None:
    trace = sample(name)
    found = comm_matrix(trace)
    assert (found.bytes == one_by_one(trace)).all()
    assert found.unattributed_bytes == 0


def test_transfer_is_that_of_the_hotspots() -> None:
    trace = sample("dlrm_alltoall")
    found: CommunicationMatrix = comm_matrix(trace)
    assert found.transfer_ns is not None
    for rank in trace.ranks:
        expected = sum(row.transfer_ns or 0 for row in hotspots(trace, rank=rank).rows)
        assert found.transfer_ns[rank].sum() == pytest.approx(expected, abs=len(trace.ranks))


def test_host_and_device_files_tell_the_same(collection_dir: Path) -> None:
    """The DLRM run, recorded with times and without."""
    timed, bare = (comm_matrix(read_once(collection_dir / "param" / n)) for n in ("dlrm_kineto", "dlrm_pytorch_et"))
    assert timed.ranks == bare.ranks == tuple(range(8))
    assert (timed.bytes == bare.bytes).all()
    assert timed.bytes[0, 1] == round((64448 + 2 * 2485252) / 8)


def test_the_page_tells_the_figures_of_the_sample() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "queries" / "communication.md").read_text("utf-8")
    found = comm_matrix(sample("gpt_tp2_pp2"))
    assert found.transfer_ns is not None
    for sender, receiver in ((0, 1), (0, 2), (2, 0)):
        assert f"{found.bytes[sender, receiver]:,}" in page
        assert f"{found.transfer_ns[sender, receiver] / 1e6:.1f} ms" in page
