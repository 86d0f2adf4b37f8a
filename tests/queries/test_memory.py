"""Memory over time: known answers on small traces, a brute-force allocator beside them, and recorded totals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from etgraph.model import Trace
from etgraph.model.errors import EtgraphError, MissingData, UsageError
from etgraph.queries import Memory, memory
from etgraph.queries.allocations import pools
from etgraph.queries.memory import STRETCHES
from support.any_traces import any_traces
from support.build import build
from support.collection import read_once
from support.memory_events import programs, with_memory
from support.recorded import document

CALLS = build("""
    rank 0 | thread 1 | iteration ProfilerStep#1    0..100
    rank 0 | thread 1 | iteration ProfilerStep#2  100..200
    rank 0 | thread 1 | aten::linear       0..100
    rank 0 | thread 1 | aten::addmm       10..90
    rank 0 | thread 1 | aten::empty       20..40
    rank 0 | thread 1 | cudaMalloc        30..35
    rank 0 | thread 1 | aten::empty      100..120
    rank 0 | thread 1 | aten::relu       120..200
""")


def holders(answer: Memory) -> list[tuple[str, str, str | None, int, int | None]]:
    return [(h.device, h.kind, h.key, h.bytes, h.count) for h in answer.holders]


def levels(answer: Memory, device: str = "cuda:0") -> list[tuple[int, int]]:
    return [(row["ns"], row["allocated_bytes"]) for row in answer.series.to_pylist() if row["device"] == device]


def check(answer: Memory) -> None:
    """Holders add up to the peak of their device, and the series has it."""
    for device in answer.devices:
        mine = [h for h in answer.holders if (h.rank, h.device) == (device.rank, device.device)]
        assert sum(h.bytes for h in mine) == device.peak_bytes
        assert sum(h.share for h in mine) == pytest.approx(1 if device.peak_bytes else 0)
        rows = [r for r in answer.series.to_pylist() if (r["rank"], r["device"]) == (device.rank, device.device)]
        assert max(row["allocated_bytes"] for row in rows) == device.peak_bytes
        assert (device.peak_ns, device.peak_bytes) in [(row["ns"], row["allocated_bytes"]) for row in rows]
        assert rows[0]["allocated_bytes"] == device.start_bytes
        assert rows[-1]["allocated_bytes"] == device.end_bytes
    first = answer.devices[0]
    assert (answer.peak_bytes, answer.peak_ns) == (first.peak_bytes, first.peak_ns)
    assert (answer.peak_rank, answer.peak_device) == (first.rank, first.device)


def test_the_peak_and_what_holds_it() -> None:
    """What an operator only allocates is held by the one around it; a bare allocation by itself."""
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a  +100
        rank 0 | thread 1 | cuda:0   32  @b  +300
        rank 0 | thread 1 | cuda:0   50  @a  -100
        rank 0 | thread 1 | cuda:0  110  @c  +150
        rank 0 | thread 1 | cuda:0  130  @d   +50
        rank 0 | thread 1 | cuda:0  140  @b  -300
    """))  # fmt: skip
    assert (answer.peak_bytes, answer.peak_ns) == (500, 130)
    assert holders(answer) == [
        ("cuda:0", "operator", "aten::addmm", 300, 1),
        ("cuda:0", "operator", "aten::empty", 150, 1),
        ("cuda:0", "operator", "aten::relu", 50, 1),
    ]
    assert levels(answer) == [(0, 0), (15, 100), (32, 400), (50, 300), (110, 450), (130, 500), (140, 200)]
    assert answer.trust.explained_share == 1
    check(answer)


def test_holders_by_scope_and_by_source() -> None:
    scopes = CALLS.operators.replace({"scope": [0, 1, 1, 1, -1, 0]}, {"scope": ["model", "model/layer"]})
    trace = with_memory(replace(CALLS, operators=scopes), """
        rank 0 | thread 1 | cuda:0   15  @a  +100
        rank 0 | thread 1 | cuda:0   32  @b  +300
        rank 0 | thread 1 | cuda:0  110  @c  +150
        rank 0 | thread 1 | cuda:0  130  @d   +50
    """)  # fmt: skip
    assert [h[2:] for h in holders(memory(trace, by="scope"))] == [
        ("model/layer", 400, 2), (None, 150, 1), ("model", 50, 1)
    ]  # fmt: skip
    assert [h[2:] for h in holders(memory(trace, by="source"))] == [(None, 600, 4)]


def test_what_was_there_before_the_recording() -> None:
    """By the totals as a whole; without them, only as far as it is released in the recording."""
    text = """
        rank 0 | thread 1 | cuda:0   15  @a  +100  =600
        rank 0 | thread 1 | cuda:0   50  @z  -200  =400
        rank 0 | thread 1 | cuda:0   60  @b   +10  =410
    """
    answer = memory(with_memory(CALLS, text))
    assert (answer.peak_bytes, answer.peak_ns, answer.devices[0].start_bytes) == (600, 15, 500)
    assert holders(answer) == [
        ("cuda:0", "before the recording", None, 500, None), ("cuda:0", "operator", "aten::addmm", 100, 1)
    ]  # fmt: skip
    assert answer.trust.warnings == ()
    assert answer.trust.explained_share == pytest.approx(1 / 6)
    check(answer)
    answer = memory(with_memory(CALLS, "\n".join(line.split("=")[0].rstrip() for line in text.splitlines())))
    assert levels(answer) == [(0, 200), (15, 300), (50, 100), (60, 110)]
    assert holders(answer)[0] == ("cuda:0", "before the recording", None, 200, None)
    assert "totals are not recorded" in str(answer.trust)
    check(answer)


def test_a_recording_that_begins_with_a_release() -> None:
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @z  -200  =400
        rank 0 | thread 1 | cuda:0   20  @a   +10  =410
    """))  # fmt: skip
    assert levels(answer) == [(0, 600), (15, 400), (20, 410)]
    assert (answer.peak_bytes, answer.peak_ns, answer.trust.warnings) == (600, 0, ())
    check(answer)


def test_a_window_begins_with_what_is_in_use_then() -> None:
    """What happens at its start is in it, what happens at its end is not."""
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a  +100
        rank 0 | thread 1 | cuda:0  100  @e    -5
        rank 0 | thread 1 | cuda:0  130  @a  -100
        rank 0 | thread 1 | cuda:0  140  @b   +70
        rank 0 | thread 1 | cuda:0  200  @c  +900
    """), iteration=1)  # fmt: skip
    assert (answer.peak_bytes, answer.peak_ns) == (105, 100)
    assert [h[1:4] for h in holders(answer)] == [
        ("operator", "aten::addmm", 100), ("before the recording", None, 5)
    ]  # fmt: skip
    assert levels(answer) == [(100, 105), (100, 100), (130, 0), (140, 70)]
    device = answer.devices[0]
    assert (device.start_bytes, device.end_bytes) == (105, 70)
    assert (device.allocations, device.releases, device.allocated_bytes) == (1, 2, 70)
    check(answer)


def test_without_iterations_all_events_count() -> None:
    trace = with_memory(
        build("rank 0 | thread 1 | a 10..20"),
        """
        rank 0 | thread 1 | cuda:0   5  @a  +100
        rank 0 | thread 1 | cuda:0  90  @b  +100
    """,
    )
    answer = memory(trace)
    assert levels(answer) == [(5, 0), (5, 100), (90, 200)]
    assert holders(answer) == [("cuda:0", "outside operators", None, 200, 2)]


def test_an_address_is_used_again() -> None:
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a  +100  =100
        rank 0 | thread 1 | cuda:0   50  @a  -100  =0
        rank 0 | thread 1 | cuda:0  130  @a   +70  =70
        rank 0 | thread 1 | cuda:0  140  @b   +60  =130
    """))  # fmt: skip
    assert holders(answer) == [("cuda:0", "operator", "aten::relu", 130, 2)]
    assert answer.trust.warnings == ()


def test_a_block_that_is_allocated_again_had_been_released_unseen() -> None:
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a  +100
        rank 0 | thread 1 | cuda:0  130  @a   +70
        rank 0 | thread 1 | cuda:0  140  @a   -70
        rank 0 | thread 1 | cuda:0  150  @a   -70
    """))  # fmt: skip
    assert levels(answer) == [(0, 70), (15, 170), (130, 140), (140, 70), (150, 0)]
    assert "blocks allocated again without a recorded release: 1" in str(answer.trust)
    check(answer)


def test_devices_are_apart_and_the_host_comes_last() -> None:
    """Addresses of one device say nothing of those of another."""
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a   +10
        rank 0 | thread 1 | cpu      16  @a  +999
        rank 0 | thread 1 | hip:1    17  @a   +20
        rank 0 | thread 1 | hip:1    18  @a   -20
        rank 0 | thread 1 | hip:0    19  @a    +5
    """))  # fmt: skip
    assert [(d.device, d.peak_bytes, d.end_bytes) for d in answer.devices] == [
        ("hip:1", 20, 0), ("cuda:0", 10, 10), ("hip:0", 5, 5), ("cpu", 999, 999)
    ]  # fmt: skip
    assert (answer.peak_bytes, answer.peak_device) == (20, "hip:1")
    check(answer)
    host = memory(with_memory(CALLS, "rank 0 | thread 1 | cpu  16  @a  +999"))
    assert (host.peak_bytes, host.peak_device) == (999, "cpu")


def test_ranks_are_apart() -> None:
    trace = build("rank 0 | thread 1 | a 0..90\nrank 1 | thread 1 | b 0..90\nrank 2 | thread 1 | c 0..90")
    trace = with_memory(
        trace,
        """
        rank 0 | thread 1 | cuda:0   15  @a  +10
        rank 1 | thread 1 | cuda:0   25  @a  +30
    """,
    )
    answer = memory(trace)
    assert [(d.rank, d.peak_bytes) for d in answer.devices] == [(1, 30), (0, 10)]
    assert [(h.rank, h.key) for h in answer.holders] == [(1, "b"), (0, "a")]
    assert answer.trust.warnings[0] == "no memory events on rank 2"
    assert [d.rank for d in memory(trace, rank=0).devices] == [0]
    check(answer)


def test_without_addresses_the_last_block_of_the_size_is_released() -> None:
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0    5  +100
        rank 0 | thread 1 | cuda:0   15  +100
        rank 0 | thread 1 | cuda:0   50  -100
        rank 0 | thread 1 | cuda:0   60   -40
        rank 0 | thread 1 | cuda:0  130  +200
        rank 0 | thread 1 | cuda:0  140  -100
    """))  # fmt: skip
    assert levels(answer) == [(0, 40), (5, 140), (15, 240), (50, 140), (60, 100), (130, 300), (140, 200)]
    assert holders(answer) == [
        ("cuda:0", "operator", "aten::relu", 200, 1), ("cuda:0", "operator", "aten::linear", 100, 1)
    ]  # fmt: skip
    assert "addresses are not recorded" in str(answer.trust)


def test_totals_that_disagree_with_the_events_are_believed_and_told() -> None:
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a  +100  =100
        rank 0 | thread 1 | cuda:0  130  @b   +50  =190
        rank 0 | thread 1 | cuda:0  140  @c   +10
    """))  # fmt: skip
    assert levels(answer) == [(0, 0), (15, 100), (130, 190), (140, 200)]
    assert ("cuda:0", "not recorded", None, 40, None) in holders(answer)
    assert answer.trust.warnings == (
        "recorded totals and the sum of the events differ by up to 40 bytes (cuda:0 of rank 0)",
    )  # fmt: skip
    check(answer)


def test_a_release_of_another_size_ends_its_block() -> None:
    answer = memory(with_memory(CALLS, """
        rank 0 | thread 1 | cuda:0   15  @a  +100
        rank 0 | thread 1 | cuda:0   50  @a   -70
    """))  # fmt: skip
    assert levels(answer) == [(0, 0), (15, 100), (50, 0)]
    assert "releases of another size than the allocation: 1" in str(answer.trust)


def test_an_operator_that_ends_as_memory_is_allocated_does_not_hold_it() -> None:
    """One without duration does, at its own moment; clocks of a microsecond leave such ones."""
    trace = build("rank 0 | thread 1 | a 0..10\nrank 0 | thread 1 | b 20..20\nrank 0 | stream 1 | k 0..99")
    answer = memory(with_memory(trace, """
        rank 0 | thread 1 | cuda:0  10  @a  +1
        rank 0 | thread 1 | cuda:0  20  @b  +2
        rank 0 | thread 5 | cuda:0  20  @c  +4
    """))  # fmt: skip
    assert holders(answer) == [("cuda:0", "outside operators", None, 5, 2), ("cuda:0", "operator", "b", 2, 1)]


def test_a_long_series_is_thinned_and_keeps_its_peaks() -> None:
    """Every other level is 0, and no stretch of time ends with that."""
    count = 20 * STRETCHES
    sizes = np.random.default_rng(1).integers(1, 1000, count)
    lines = [
        f"rank 0 | thread 1 | cuda:0 {2 * n + moment} @a{n} {sign}{size}"
        for n, size in enumerate(sizes.tolist())
        for moment, sign in ((1, "+"), (2, "-"))
    ]
    trace = with_memory(build(f"rank 0 | thread 1 | iteration ProfilerStep#1 0..{2 * count}"), "\n".join(lines))
    trace = replace(trace, operators=CALLS.operators, lanes=CALLS.lanes)
    answer = memory(trace)
    assert STRETCHES <= len(answer.series) <= 3 * STRETCHES + 2
    check(answer)
    assert memory(trace).series.equals(answer.series)
    ns, allocated = answer.series["ns"].to_numpy(), answer.series["allocated_bytes"].to_numpy()
    step = 2 * count // STRETCHES
    for stretch in range(0, 2 * count, step):
        inside = allocated[(ns >= stretch) & (ns < stretch + step)]
        assert (inside.min(), inside.max()) == (0, sizes[stretch // 2 : (stretch + step) // 2].max())


def test_the_answer_is_a_data_frame_and_a_table() -> None:
    answer = memory(with_memory(CALLS, "rank 0 | thread 1 | cuda:0   15  @a  +100"))
    assert answer.to_pandas()[["device", "allocated_bytes"]].values.tolist() == [["cuda:0", 0], ["cuda:0", 100]]
    assert "memory, peak 0.0 MB on cuda:0 of rank 0" in answer._repr_html_()
    assert "<td>aten::addmm</td>" in answer._repr_html_()


# What cannot be answered


def test_without_memory_events_the_error_tells_how_to_record_them() -> None:
    with pytest.raises(MissingData, match=r"no memory events are recorded$") as caught:
        memory(CALLS)
    assert "profile_memory=True" in str(caught.value.hint)
    with pytest.raises(MissingData, match="no memory events"):
        memory(build(""))
    trace = build("rank 0 | thread 1 | a 0..9\nrank 1 | thread 1 | a 0..9")
    with pytest.raises(MissingData, match="no memory events are recorded on rank 1"):
        memory(with_memory(trace, "rank 0 | thread 1 | cpu 5 @a +1"), rank=1)


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ({"by": "shape"}, UsageError, "choose name, scope, source"),
        ({"rank": 4}, MissingData, "no rank 4"),
        ({"iteration": 4}, MissingData, "no iteration 4"),
        ({"window": "device"}, MissingData, "no device operators"),
    ],
)
def test_a_wrong_question_is_explained(question: dict[str, Any], error: type[EtgraphError], words: str) -> None:
    with pytest.raises(error, match=words):
        memory(with_memory(CALLS, "rank 0 | thread 1 | cpu 5 @a +1"), **question)


def test_memory_has_no_times_on_another_timeline() -> None:
    trace = with_memory(CALLS, "rank 0 | thread 1 | cpu 5 @a +1")
    moved = trace.with_times(trace.operators["start_ns"] + 5, trace.operators["duration_ns"], "simulated")
    with pytest.raises(MissingData, match="measured times only"):
        memory(moved)


# Oracles


@settings(max_examples=60)
@given(programs())
def test_holders_add_up_to_the_peak(text: str) -> None:
    answer = memory(with_memory(build("rank 0 | thread 1 | a 0..400"), text))
    if not any("differ" in warning for warning in answer.trust.warnings):
        check(answer)


@settings(max_examples=20)
@given(programs())
def test_both_modes_of_the_kernel_agree(text: str) -> None:
    trace = with_memory(CALLS, text)
    plain = memory(trace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0)
        assert memory(trace) == plain


@settings(max_examples=30)
@given(any_traces())
def test_any_trace_has_an_answer_or_a_clear_error(trace: Trace) -> None:
    try:
        memory(trace)
    except EtgraphError:
        return


# Real traces


def test_recorded_totals_are_the_sums_of_the_events(collection_dir: Path) -> None:
    """On an H100 and an MI300, each with totals after every event; the file is read without etgraph."""
    files = sorted(collection_dir.glob("tracelens/*00/*.json.gz"))
    assert len(files) == 4
    for file in files:
        trace = read_once(file)
        events = [e["args"] for e in document(file)["traceEvents"] if e["name"] == "[memory]"]
        answer = memory(trace)
        check(answer)
        assert not any(words in str(answer.trust) for words in ("differ", "without a recorded", "another size"))
        for device, pool in zip(answer.devices, sorted(pools(trace, [0]), key=lambda pool: pool.device_type == 0)):
            mine = [e for e in events if (e["Device Type"], e["Device Id"]) == (pool.device_type, pool.device)]
            totals = [e["Total Allocated"] for e in mine]
            assert (device.peak_bytes, device.reserved_bytes) == (max(totals), max(e["Total Reserved"] for e in mine))
            alive: dict[int, int] = {}
            for event, known, before in zip(mine, pool.known.tolist(), pool.before.tolist(), strict=True):
                alive[event["Addr"]] = max(event["Bytes"], 0)
                assert sum(alive.values()) == known == event["Total Allocated"] - before
            assert pool.faults.off_by == 0


def test_a_training_step_that_records_neither_totals_nor_addresses(collection_dir: Path) -> None:
    """ResNet-50 in 2021: every step has its peak at the start of the backward pass, in activations."""
    (file,) = collection_dir.glob("kineto_tb/resnet50_num_workers_0/*.json.gz")
    trace = read_once(file)
    peaks = [memory(trace, iteration=step) for step in trace.iteration_indices]
    assert {answer.peak_bytes for answer in peaks} == {2_791_636_480}
    for answer in peaks:
        check(answer)
        assert [h.key for h in answer.holders[:2]] == ["aten::cudnn_convolution", "aten::cudnn_batch_norm"]
        assert answer.holders[0].count == 52
