"""Folders: files of several ranks as one trace with one zero, what is refused, ranks, and the trace's id."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import zstandard

from etgraph.ingest import read, read_each, samples, trace_files
from etgraph.ingest.ranks import rank_of
from etgraph.model import DependencyKind, Trace
from etgraph.model.errors import InputError, NotFound
from ingest.kineto_oracle import cpu, note, write

SAMPLES = Path(samples.__file__).parent


def rank_file(path: Path, rank: int | None, *events: Any, size: int | None = 2, **top: Any) -> Path:
    """A trace file that names its rank."""
    info = {k: v for k, v in {"rank": rank, "world_size": size}.items() if v is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, *(events or [cpu("a", 10, 11)]), **({"distributedInfo": info} if info else {}), **top)


def absolute(trace: Trace) -> list[tuple[Any, ...]]:
    """Every operator, annotation, instant and iteration with its time in the recorded clock."""
    zero = trace.metadata.zero_ns or 0
    found: list[tuple[Any, ...]] = []
    for table, time in (
        ("operators", "start_ns"),
        ("annotations", "start_ns"),
        ("instants", "time_ns"),
        ("iterations", "end_ns"),
    ):
        c = trace.tables[table]
        names = c.texts("name").to_pylist()
        rows = zip(c["rank"].tolist(), (names[code] for code in c["name"].tolist()), c[time].tolist(), strict=True)
        found += [(table, rank, name, zero + moment) for rank, name, moment in rows]
    return sorted(found)


@pytest.mark.parametrize("pattern", ["gpt_ddp", "dlrm_alltoall", "gpt_tp2_pp2"])
def test_a_folder_is_its_files_on_one_clock(tmp_path: Path, pattern: str) -> None:
    files = sorted((SAMPLES / pattern).glob("kineto_rank*.json.gz"))
    for file in files:
        shutil.copy(file, tmp_path / file.name)
    trace = read(tmp_path)
    singles = [read(file) for file in files]
    assert trace.ranks == tuple(range(len(files)))
    assert absolute(trace) == sorted(row for single in singles for row in absolute(single))
    assert trace.metadata.zero_ns == min(s.metadata.zero_ns or 0 for s in singles)
    within = trace.operators["rank"][trace.dependencies["src"]] == trace.operators["rank"][trace.dependencies["dst"]]
    assert within.sum() == sum(len(s.dependencies) for s in singles)
    assert set(trace.dependencies["kind"][~within].tolist()) <= {int(DependencyKind.COMM)}
    assert len({trace.iterations.value("index", row) for row in range(len(trace.iterations))}) == len(
        singles[0].iterations
    )
    for rank, single in enumerate(singles):
        rows = trace.rank_rows[rank]
        for row in (rows.start, (rows.start + rows.stop) // 2, rows.stop - 1):
            assert trace.operator_attributes(row) == single.operator_attributes(row - rows.start)
        report = single.metadata.report
        assert [w for w in report.warnings if f"1 of {len(files)} ranks are recorded" in w]
    assert trace.metadata.report.warnings == ()
    trace.validate()


def test_the_ranks_of_the_collection_join(collection_dir: Path) -> None:
    folder = collection_dir / "param/dlrm_kineto"
    trace = read(folder)
    assert absolute(trace) == sorted(row for file in trace_files(folder) for row in absolute(read(file)))


def test_times_are_joined_through_each_files_base(tmp_path: Path) -> None:
    base = 1_700_000_000_000_000_000
    rank_file(tmp_path / "0.json", 0, cpu("first", 100.5, 101), baseTimeNanoseconds=base)
    rank_file(tmp_path / "1.json", 1, cpu("second", 1.25, 2), baseTimeNanoseconds=base + 200_000)
    trace = read(tmp_path)
    assert trace.metadata.zero_ns == base + 100_500
    assert trace.operators["start_ns"].tolist() == [0, 100_750]
    assert trace.metadata.start_time == "2023-11-14T22:13:20.000100500Z"


def test_each_file_by_itself(tmp_path: Path) -> None:
    rank_file(tmp_path / "a/good.json", 3)
    (tmp_path / "a/notes.json").write_text('{"hello": 1}')
    rank_file(tmp_path / "b.json", 3)
    (tmp_path / "readme.txt").write_text("no trace")
    found = dict(read_each(tmp_path))
    assert {path.name: isinstance(trace, Trace) for path, trace in found.items()} == {
        "good.json": True, "notes.json": False, "b.json": True
    }  # fmt: skip
    assert isinstance(found[tmp_path / "a/notes.json"], InputError)
    ((path, trace),) = read_each(tmp_path / "b.json")
    assert path == tmp_path / "b.json"
    assert isinstance(trace, Trace)


# Refused


def test_one_rank_twice(tmp_path: Path) -> None:
    rank_file(tmp_path / "a.json", 1)
    rank_file(tmp_path / "b.json", 1)
    with pytest.raises(InputError, match=r"rank 1 twice: a\.json and b\.json.*one file for each rank"):
        read(tmp_path)


def test_two_formats(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "gpt_ddp/et_rank0.json.gz", tmp_path)
    shutil.copy(SAMPLES / "gpt_ddp/kineto_rank1.json.gz", tmp_path)
    with pytest.raises(InputError, match="formats kineto, pytorch-et"):
        read(tmp_path)


def test_two_world_sizes(tmp_path: Path) -> None:
    rank_file(tmp_path / "a.json", 0, size=2)
    rank_file(tmp_path / "b.json", 1, size=4)
    with pytest.raises(InputError, match="world sizes 2, 4"):
        read(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file that may be a trace"):
        read(tmp_path)
    with pytest.raises(NotFound):
        read(tmp_path / "nowhere")


def test_missing_ranks_are_warned_of(tmp_path: Path) -> None:
    for rank in (0, 2):
        rank_file(tmp_path / f"{rank}.json", rank, size=4)
    (warning,) = read(tmp_path).metadata.report.warnings
    assert warning.startswith("2 of 4 ranks are recorded")


# The id


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for where in (folder / "rank0", elsewhere):
        where.mkdir(parents=True)
    rank_file(folder / "rank0/a.json", None, cpu("a", 10, 11), size=None)
    rank_file(elsewhere / "a.json", None, cpu("a", 10, 11), size=None)
    (folder / "rank1").symlink_to(elsewhere)
    (folder / "all").symlink_to(folder)  # a loop, and another name for what lies below already
    (elsewhere / "back").symlink_to(folder)
    assert [source.name for source in read(folder).metadata.sources] == ["rank0/a.json", "rank1/a.json"]
    assert trace_files(folder) == [folder / "rank0/a.json", folder / "rank1/a.json"]


def test_what_cannot_be_seen_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rank_file(tmp_path / "rank0.json", 0, cpu("a", 10, 11), size=None)
    (tmp_path / "rank1").mkdir()
    (tmp_path / "rank2.json").symlink_to(tmp_path / "gone")
    (tmp_path / "rank3").symlink_to(tmp_path / "rank3")
    scan = os.scandir

    def refusing(path: Path | int) -> Any:
        if isinstance(path, Path) and path.name == "rank1":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = read(tmp_path).metadata.report
    said = {other.name: other.reason for other in report.ignored}
    assert said.keys() == {"rank1", "rank2.json", "rank3"}
    assert said["rank1"] == "Permission denied"
    assert [warning.split(":")[0] for warning in report.warnings] == [f"{name} was left out" for name in said]
    errors = {path.name: found for path, found in read_each(tmp_path) if isinstance(found, InputError)}
    assert errors.keys() == said.keys()
    with pytest.raises(InputError, match="rank1: found Permission denied"):
        trace_files(tmp_path)


def test_the_id_depends_on_content_and_options_only(tmp_path: Path) -> None:
    first = [rank_file(tmp_path / "x" / f"{name}.json", rank) for rank, name in enumerate("ab")]
    trace_id = read(tmp_path / "x").trace_id
    renamed = tmp_path / "y/deeper"
    renamed.mkdir(parents=True)
    (renamed / "z.json.gz").write_bytes(gzip.compress(first[0].read_bytes()))
    (renamed / "c.json.zst").write_bytes(zstandard.compress(first[1].read_bytes()))
    assert read(tmp_path / "y").trace_id == trace_id
    assert read(tmp_path / "x", iteration="forward*").trace_id != trace_id
    rank_file(first[1], 1, cpu("a", 10, 12))
    assert read(tmp_path / "x").trace_id != trace_id
    assert len(trace_id) == 64


def test_a_file_and_a_folder_of_it_are_one_trace(tmp_path: Path) -> None:
    file = rank_file(tmp_path / "a.json", 0)
    assert read(file).trace_id == read(tmp_path).trace_id


# The rank


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("rank3.json", 3),
        ("rank-3.Apr_03_18_51_38.1102.pt.trace.json.gz", 3),
        ("kineto_rank12.json.gz", 12),
        ("Rank_7.json", 7),
        ("worker3_step_12.1694128201545.pt.trace.json.gz", 3),
        ("worker0.1623143089861.pt.trace.json.gz", 0),
        ("chakra.3.et", 3),
        ("model.v2.5.et", 5),
        ("3.et", 3),
        ("dlrm_eg_4.json.gz", 4),
        ("resnet_et_2.json", 2),
        # false friends: versions, times, process ids, other words
        ("1.0.2-chakra.0.0.4.json.gz", None),
        ("Falconsai_nsfw_image_detection__1016002.json.gz", None),
        ("benchmark_result_2869224_1695835535_trace.json.gz", None),
        ("trace.1695835535.json", None),
        ("host_1234.1695835535000.pt.trace.json", None),
        ("frank3.json", None),
        ("step_12.json", None),
        ("trace.json", None),
    ],
)
def test_ranks_in_names(name: str, rank: int | None) -> None:
    assert rank_of({}, Path(name)) == ((0, "default") if rank is None else (rank, "name"))


def test_the_recorded_rank_comes_first() -> None:
    assert rank_of({"distributedInfo": {"rank": 5}}, Path("rank3.json")) == (5, "metadata")
    assert rank_of({"distributedInfo": {"rank": "5"}}, Path("rank3.json")) == (5, "metadata")


@pytest.mark.parametrize("info", [None, {}, [], "x", {"rank": None}, {"rank": -1}, {"rank": True}])
def test_without_a_recorded_rank_the_name_says(info: Any) -> None:
    assert rank_of({"distributedInfo": info}, Path("/data/worker9/rank3.json")) == (3, "name")


def test_ranks_from_names_join(tmp_path: Path) -> None:
    for rank in (0, 1):
        rank_file(tmp_path / f"run_rank{rank}.json", None, note("ProfilerStep#4", 0, 20), cpu("a", 1, 2), size=None)
    trace = read(tmp_path)
    assert trace.ranks == (0, 1)
    assert trace.metadata.world_size is None
    assert trace.iterations["index"].tolist() == [0, 0]
    assert [s.rank_from for s in trace.metadata.sources] == ["name", "name"]
    assert json.loads((tmp_path / "run_rank0.json").read_text())["traceEvents"]
