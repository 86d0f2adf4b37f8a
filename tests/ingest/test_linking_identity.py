"""What two files are of each other: one iteration, another one, another process, or no pair at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from etgraph.ingest.linking import Identity, link
from etgraph.model.errors import InputError
from support.linked import STEP, linked, row_of
from support.pairs import device_draft, host_draft, truth


def shifted(text: str, by: int, step: int) -> str:
    ops = text.replace("#3", f"#{step}")
    for number in (7, 8):
        ops = ops.replace(f"seq={number}", f"seq=@{number + by}")
    return ops.replace("@", "")


def test_another_iteration_of_the_process_lends_structure_and_says_so(tmp_path: Path) -> None:
    draft = linked(tmp_path, STEP, shifted(STEP, 40, 4))
    trace = draft.trace
    assert truth(draft) == (6, 6)
    assert trace.metadata.report.pairs == {0: Identity.OTHER_ITERATION}
    (warning,) = trace.metadata.report.warnings
    assert "40 sequence numbers apart" in warning
    row = row_of(trace, "aten::relu")
    assert trace.operator_attributes(row)["pytorch_et_identity"] == "other iteration"
    assert draft.id("sequence")[row] == 48
    assert draft.id("host_sequence")[row] == 8


def test_without_sequence_numbers_the_steps_names_tell(tmp_path: Path) -> None:
    bare = STEP.replace("seq=7", "").replace("seq=8", "")
    assert linked(tmp_path, bare, bare).trace.metadata.report.pairs == {0: "same process and iteration"}
    assert linked(tmp_path, bare, bare.replace("#3", "#4")).trace.metadata.report.pairs == {0: "other iteration"}
    nothing = "\n".join(line for line in bare.splitlines() if "Step" not in line)
    assert linked(tmp_path, nothing, nothing).trace.metadata.report.pairs == {0: "unknown"}
    shared = linked(tmp_path, nothing, nothing, recorded=True)
    assert shared.trace.metadata.report.pairs == {0: "same process and iteration"}


def test_another_process_is_named_although_everything_links(tmp_path: Path) -> None:
    trace = link(host_draft(tmp_path, STEP, pid=1), device_draft(tmp_path, STEP, pid=2)).trace
    assert trace.metadata.report.pairs == {0: "other process"}
    assert trace.metadata.report.linked_operators == 8
    assert "other process" in trace.metadata.report.warnings[0]


@pytest.mark.parametrize("recorded", [True, False])
def test_another_rank_is_refused_although_everything_links(tmp_path: Path, recorded: bool) -> None:
    host = host_draft(tmp_path, STEP, name="et_rank0.json", pid=1)
    device = device_draft(tmp_path, STEP, name="kineto_rank1.json", pid=2, recorded=recorded)
    with pytest.raises(
        InputError, match=r"et_rank0\.json and kineto_rank1\.json: found process 1 and 2, ranks 0 and 1"
    ):
        link(host, device)


@pytest.mark.parametrize(
    ("pid", "time", "refused"),
    [(100, "2026-01-05 03:04:05", False), (100, "2025-01-02 03:04:05", True), (7, "2026-01-08 03:04:05", True)],
)
def test_files_of_different_times_are_no_run(tmp_path: Path, pid: int, time: str, refused: bool) -> None:
    """A process id comes back; that a process runs for days is no contradiction."""
    host, device = host_draft(tmp_path, STEP, pid=pid, time=time), device_draft(tmp_path, STEP)
    if not refused:
        assert link(host, device).trace.metadata.report.pairs == {0: "same process and iteration"}
        return
    with pytest.raises(InputError, match="days apart"):
        link(host, device)


def test_files_of_other_programs_are_refused_where_nothing_says_they_are_one_run(tmp_path: Path) -> None:
    other = "\n".join(f"1 | aten::other{n}  {n}..{n + 1}" for n in range(20))
    with pytest.raises(InputError, match="0 of 8 operators alike"):
        link(host_draft(tmp_path, STEP, pid=1), device_draft(tmp_path, other, pid=2))


def test_only_a_host_and_a_device_file_are_a_pair(tmp_path: Path) -> None:
    host, device = host_draft(tmp_path, STEP), device_draft(tmp_path, STEP)
    with pytest.raises(InputError, match="formats kineto and pytorch-et"):
        link(device, host)


def test_the_rank_is_that_of_the_file_which_knows_it(tmp_path: Path) -> None:
    host, device = host_draft(tmp_path, STEP, name="et_rank3.json"), device_draft(tmp_path, STEP)
    trace = link(host, device).trace
    trace.validate()
    assert trace.ranks == (3,)
    assert {s.rank for s in trace.metadata.sources} == {3}
    assert set(trace.lanes["rank"].tolist() + trace.annotations["rank"].tolist()) == {3}
