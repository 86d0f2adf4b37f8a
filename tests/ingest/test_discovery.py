"""What of a folder are traces, which rank each is of, which go together, and what is said of the rest."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from etgraph.ingest import read, read_each, samples, trace_files
from etgraph.ingest.discovery import Kind, RankFiles, TraceFile, discover
from etgraph.ingest.discovery.grouping import group
from etgraph.ingest.discovery.look import Facts
from etgraph.ingest.places import Place
from etgraph.ingest.writers import write as export
from etgraph.model.errors import InputError
from etgraph.queries import critical_path
from ingest.kineto_oracle import cpu, write
from support.archives import entry, special, tarred, zipped, zipped_entries

ET = {"schema": "1.1.1-chakra.0.0.4", "pid": 7, "nodes": [{"id": 1, "name": "root", "ctrl_deps": 1}]}


def kineto(path: Path, rank: int | None = None, size: int | None = None, process: int = 1, **top: Any) -> Path:
    """A small Kineto file of a process."""
    info = {k: v for k, v in {"rank": rank, "world_size": size}.items() if v is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    label = {"ph": "M", "name": "process_labels", "ts": 0, "pid": process, "tid": 0, "args": {"labels": "CPU"}}
    return write(path, label, cpu("a", 10, 11), **({"distributedInfo": info} if info else {}), **top)


def et(path: Path, process: int = 7) -> Path:
    """A small PyTorch execution trace of a process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ET | {"pid": process}))
    return path


def found_in(path: Path) -> dict[str, tuple[str, int, str]]:
    """Kind, rank and origin of the rank for each trace file."""
    with discover(path) as found:
        return {file.name: (file.kind.value, file.rank, file.rank_from) for file in found.files}


def ignored_in(path: Path) -> dict[str, str]:
    with discover(path) as found:
        return {other.name: other.reason for other in found.ignored}


# What is a trace


def test_content_goes_before_the_name(tmp_path: Path) -> None:
    kineto(tmp_path / "no ending")
    et(tmp_path / "notes.txt")
    sample = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"
    export(read(sample), tmp_path / "c.et", "chakra")
    export(read(sample), tmp_path / "j.json", "chakra-json")
    (tmp_path / "c.et").rename(tmp_path / "binary")
    (tmp_path / "f.dat").write_text('{"workload_graph": [{"Id": 1}]}')
    (tmp_path / "g").write_bytes(gzip.compress((tmp_path / "no ending").read_bytes()))
    (tmp_path / "array").write_text('[{"ph": "X", "name": "a", "ts": 1, "dur": 1, "pid": 1, "tid": 1}]')
    kinds = {name: kind for name, (kind, _, _) in found_in(tmp_path).items()}
    assert kinds == {
        "no ending": "kineto", "notes.txt": "pytorch-et", "binary": "chakra", "j.json": "chakra-jsonizer",
        "f.dat": "chakra-feeder", "g": "kineto", "array": "kineto",
    }  # fmt: skip


def test_false_friends(tmp_path: Path) -> None:
    kineto(tmp_path / "trace.json", 0, 1)
    friends = {
        "README.md": (b"# Notes", "text that begins with b'# Notes'"),
        "empty": (b"", "an empty file"),
        "graph.json": (b'{"directed": true, "nodes": [{"id": 1, "name": "a"}], "links": []}', "'directed', 'links'"),
        "package.json": (b'{"name": "x", "version": "1"}', "a JSON object with 'name', 'version'"),
        "list.json": (b'[{"file": "a"}]', "a JSON array of other things"),
        "._trace.json": (b"\0\5\x16\7\0\2\0\0", "what macOS keeps beside a file"),
        "picture.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary data"),
        "weights.pt": (zipped({"data.pkl": b"\x80\x02}q\0."}), None),
        "etgraph.json": (b"{}", "the mark of an export"),
        "log.json.txt": (b'{"a": 1}\n{"b": 2}\n', "JSON of something else"),
    }
    for name, (data, _) in friends.items():
        (tmp_path / name).write_bytes(data)
    trace = read(tmp_path)
    assert [source.name for source in trace.metadata.sources] == ["trace.json"]
    said = {ignored.name: ignored.reason for ignored in trace.metadata.report.ignored}
    assert said.pop("weights.pt!data.pkl").startswith("binary data")
    for name, (_, reason) in friends.items():
        if reason is not None:
            assert reason in said.pop(name)
    assert said == {}


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("rank1.json.gz", gzip.compress(b"{}")[:9], "a gzip file that is cut short"),
        ("rank1.json", b"", "an empty file"),
        ("rank1.json", b"some text", "text that begins with b'some text'"),
        ("rank1.json", b'{"schema": "1.1.1", "no', "the end of the file"),
        ("rank1.et", b"text", "text that begins with b'text'"),
    ],
)
def test_a_file_that_should_be_a_trace_is_not_passed_over(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    """A rank that is damaged would else be missing without a word."""
    kineto(tmp_path / "rank0.json")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"rank1.*expected a trace, as its name says") as error:
        read(tmp_path)
    assert reason in error.value.found


UNRELATED = {
    "lines": ("metrics.json", b'{"loss": 1}\n{"loss": 2}\n'),
    "lines of a rank": ("metrics_rank0.json", b'{"loss": 1}\n{"loss": 2}\n'),
    "lines in the folder of a rank": ("rank0/metrics.json", b'{"loss": 1}\n{"loss": 2}\n'),
    "empty": ("empty.json", b""),
    "empty, packed": ("empty.json.gz", gzip.compress(b"")),
    "null": ("null.json", b"null"),
    "a number": ("number.json", b"42\n"),
    "with comments": ("settings.json", b'{\n  // a comment\n  "a": 1}'),
    "after a comment": ("settings.json", b'// a comment\n{"a": 1}'),
    "a mark of byte order": ("a.json", b'\xef\xbb\xbf{"a": 1}'),
    "cut short": ("config.json", b'{"a": 1, "b'),
}


@pytest.mark.parametrize("kind", UNRELATED)
def test_what_is_no_trace_is_passed_over_whatever_it_is(kind: str, tmp_path: Path) -> None:
    name, data = UNRELATED[kind]
    kineto(tmp_path / "trace.json")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    assert ignored_in(tmp_path).keys() == {name}
    assert [source.name for source in read(tmp_path).metadata.sources] == ["trace.json"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'\xef\xbb\xbf{"traceEvents": []}'),
        ("a.json", b'{"schemaVersion": 1, "distributedInfo": {"rank": 1'),
        ("a.json", b'{"schema": "1.1.1-chakra.0.0.4", "pid": 1, "no'),
        ("a.json.gz", gzip.compress(b'{"a": "' + bytes(range(97, 123)))[:28]),
        ("worker1/trace.json", b""),
        ("gpt_et.json", b"{"),
    ],
)
def test_what_is_evidently_a_damaged_trace_is_an_error(name: str, data: bytes, tmp_path: Path) -> None:
    kineto(tmp_path / "b.json")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"expected a trace, as its name says"):
        read(tmp_path)


def test_an_archive_beside_the_traces_that_is_refused(tmp_path: Path) -> None:
    kineto(tmp_path / "trace.json", 0, 1)
    link = special("src/latest", tarfile.SYMTYPE, "elsewhere")
    archives = {
        "cut.zip": zipped({"a": b"text" * 99})[:-30],
        "locked.zip": zipped_entries((entry("a.txt"), b"a")).replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
        "source.tar.gz": gzip.compress(tarred({"src/a.json": b'{"traceEvents": []}'}, tarfile.PAX_FORMAT, link)),
    }
    for name, data in archives.items():
        (tmp_path / name).write_bytes(data)
    report = read(tmp_path).metadata.report
    said = {other.name: other.reason for other in report.ignored}
    assert said.keys() == archives.keys()
    assert "src/latest: a symbolic link" in said["source.tar.gz"]
    assert "a.txt: an encrypted member" in said["locked.zip"]
    assert list(report.warnings) == [f"{name} was left out: {reason}" for name, reason in said.items()]
    found = {path.name.partition("!")[0]: trace for path, trace in read_each(tmp_path)}
    assert {name for name, trace in found.items() if isinstance(trace, InputError)} == archives.keys()
    for name in archives:
        with pytest.raises(InputError):
            read(tmp_path / name)
    (tmp_path / "trace.json").unlink()
    with pytest.raises(InputError, match=r"cut\.zip: found"):
        read(tmp_path)


def test_digits_that_are_no_number(tmp_path: Path) -> None:
    for rank, name in enumerate(["1²2.json", "²_10.json", "²_9.json"]):
        kineto(tmp_path / name, rank, 3)
    (tmp_path / "²").write_text("x")
    assert [source.rank for source in read(tmp_path).metadata.sources] == [0, 1, 2]
    assert list(found_in(tmp_path)) == ["²_9.json", "²_10.json", "1²2.json"]


def test_many_files_that_are_none_are_counted(tmp_path: Path) -> None:
    kineto(tmp_path / "trace.json", 0, 1)
    for number in range(140):
        (tmp_path / f"{number}.txt").write_text("x")
    ignored = read(tmp_path).metadata.report.ignored
    assert len(ignored) == 101
    assert ignored[1].name == "1.txt"
    assert ignored[-1].name == "40 more files"


def test_a_head_that_names_thousands_of_ranks(tmp_path: Path) -> None:
    ranks = list(range(400_000))
    kineto(tmp_path / "a.json", 3, 4, deviceProperties=[], more={"pg_config": [{"ranks": ranks}]})
    assert (tmp_path / "a.json").read_text().index('"traceEvents"') > 2 << 20
    assert found_in(tmp_path) == {"a.json": ("kineto", 3, "metadata")}


def test_every_trace_is_what_reading_finds(traces_dir: Path) -> None:
    """Kind and rank, told from the head, against those of the whole file; and no false kind elsewhere."""
    files = [f for f in trace_files(traces_dir) if "series" not in f.parts and "whatif" not in f.parts]
    compared = 0
    for file in files:
        with discover(file) as found:
            if not found.files:
                assert file.name == "manifest.json"
                continue
            (told,) = found.files
        if file.stat().st_size < 200_000:
            (source,) = read(file).metadata.sources
            assert source.format.removesuffix("-2021") == told.kind
            if told.rank_from == "metadata":
                assert (source.rank, source.rank_from) == (told.rank, told.rank_from)
            compared += 1
    assert compared > len(files) / 2


# Which rank


def test_ranks_of_folders_and_names(tmp_path: Path) -> None:
    kineto(tmp_path / "rank0/kineto.json")
    kineto(tmp_path / "worker_3/deep/kineto.json")
    kineto(tmp_path / "rank7/rank5.json")
    kineto(tmp_path / "rank1/recorded.json", 9)
    (tmp_path / "rank11.zip").write_bytes(zipped({"kineto.json": (tmp_path / "rank0/kineto.json").read_bytes()}))
    assert {name: (rank, source) for name, (_, rank, source) in found_in(tmp_path).items()} == {
        "rank0/kineto.json": (0, "folder"),
        "worker_3/deep/kineto.json": (3, "folder"),
        "rank7/rank5.json": (5, "name"),
        "rank1/recorded.json": (9, "metadata"),
        "rank11.zip!kineto.json": (11, "folder"),
    }
    trace = read(tmp_path)
    assert trace.ranks == (0, 3, 5, 9, 11)
    assert [source.rank_from for source in trace.metadata.sources] == ["folder", "folder", "name", "metadata", "folder"]


@pytest.mark.parametrize("events", [1, 1500])
def test_the_rank_at_the_end_of_a_file(events: int, tmp_path: Path) -> None:
    """Profilers of some years write it after the events; a name that says something else does not count."""
    for name, rank in (("rank0.json", 1), ("rank1.json.gz", 0)):
        path = write(tmp_path / "x.json", *(cpu("a" * 1000, 3 * i, 3 * i + 1) for i in range(events)))
        text = path.read_text().rstrip()
        assert text.endswith("}")
        tail = f', "distributedInfo": {{"backend": "nccl", "rank": {rank}, "world_size": 2}}}}'
        data = (text[:-1] + tail).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (tmp_path / "x.json").unlink()
    assert found_in(tmp_path) == {"rank0.json": ("kineto", 1, "metadata"), "rank1.json.gz": ("kineto", 0, "metadata")}
    assert read(tmp_path).ranks == (0, 1)


def test_a_host_file_that_names_no_rank_goes_with_its_process(tmp_path: Path) -> None:
    for rank in range(2):
        kineto(tmp_path / f"k{rank}.json", rank, 2, process=100 + rank)
        et(tmp_path / f"{'ba'[rank]}.json", process=100 + rank)
    with discover(tmp_path) as found:
        ranks = found.one_run().ranks
    assert [(r.host and r.host.name, r.host and r.host.rank_from, r.device and r.device.name) for r in ranks] == [
        ("b.json", "process", "k0.json"),
        ("a.json", "process", "k1.json"),
    ]


# What goes together


def trace_file(name: str, kind: Kind, rank: int, rank_from: str = "name", **facts: Any) -> TraceFile:
    return TraceFile(Place(Path(name)), name, kind, rank, rank_from, Facts(**facts))


def host(rank: int, process: int | None = None, name: str = "") -> TraceFile:
    processes = frozenset() if process is None else frozenset({process})
    return trace_file(name or f"et{rank}", Kind.PYTORCH_ET, rank, processes=processes)


def device(rank: int, process: int | None = None, size: int | None = None, name: str = "") -> TraceFile:
    processes = frozenset() if process is None else frozenset({process})
    return trace_file(name or f"kineto{rank}", Kind.KINETO, rank, processes=processes, world_size=size)


def chakra(rank: int, kind: Kind = Kind.CHAKRA, name: str = "") -> TraceFile:
    return trace_file(name or f"chakra{rank}", kind, rank)


GOOD = {
    "device files": [device(0), device(1)],
    "host files": [host(0), host(3)],
    "pairs": [host(0, 5), device(0, 5), host(1, 6), device(1, 6)],
    "pairs of unknown processes": [host(0), device(0, 5)],
    "Chakra": [chakra(0), chakra(1)],
    "a part of the world": [device(0, size=8), device(7, size=8)],
}


@pytest.mark.parametrize("files", GOOD.values(), ids=GOOD)
def test_files_of_one_run(files: list[TraceFile]) -> None:
    ranks, warnings = group(files, "here")
    assert [file for rank in ranks for file in rank.files] == sorted(files, key=lambda f: (f.rank, f.role == "device"))
    assert warnings == ()
    assert group(files[::-1], "here") == (ranks, warnings)


BAD = {
    "two device files": ([device(0), device(0, name="b")], "rank 0 twice: kineto0 and b"),
    "two host files": ([host(1), device(1), host(1, name="b")], "rank 1 twice: et1 and b"),
    "two Chakra files": ([chakra(1), chakra(1, name="b")], "rank 1 twice: chakra1 and b"),
    "Chakra and Kineto of a rank": ([chakra(0), device(0)], "for rank 0 kineto0 (Kineto trace) and chakra0 (Chakra"),
    "Chakra and Kineto": ([chakra(0), device(1)], "formats chakra, kineto: chakra (chakra0), kineto (kineto1)"),
    "kinds of Chakra": ([chakra(0), chakra(1, Kind.CHAKRA_FEEDER)], "formats chakra, chakra-feeder"),
    "no times for a rank": ([host(0), device(1)], "formats kineto, pytorch-et with no times for rank 0"),
    "Chakra and an execution trace": ([chakra(0), host(1)], "formats chakra, pytorch-et: chakra (chakra0)"),
    "other processes": ([host(0, 5), device(0, 6)], "for rank 0 et0 of process 5 and kineto0 of process 6"),
    "world sizes": ([device(0, size=8), device(1, size=4)], "world sizes 4, 8 (kineto1, kineto0)"),
    "one without a world": ([device(0, size=8), device(1)], "world sizes none, 8 (kineto1, kineto0)"),
    "backends": (
        [trace_file(f"k{i}", Kind.KINETO, i, backend=b) for i, b in enumerate(("nccl", "gloo"))],
        "backends gloo (k1), nccl (k0)",
    ),
    "a rank beyond": ([device(0, size=2), device(2, size=2)], "rank 2 (kineto2, from its name) of a world of 2"),
    "a host rank beyond": ([device(0, size=2), device(1, size=2), host(0), host(2)], "rank 2 (et2, from its name)"),
}


@pytest.mark.parametrize(("files", "found"), BAD.values(), ids=BAD)
def test_contradictions_are_named(files: list[TraceFile], found: str) -> None:
    for order in (files, files[::-1]):
        with pytest.raises(InputError) as error:
            group(sorted(order, key=lambda f: f.name != files[0].name), "here")
        assert found in error.value.found
        assert "--each" in (error.value.hint or "")


def test_ranks_without_a_host_file_are_told() -> None:
    ranks, warnings = group([host(0, 5), device(0, 5), device(1), device(2)], "here")
    assert ranks[1] == RankFiles(1, device=device(1))
    assert warnings == ("2 of 3 ranks have no PyTorch execution trace, rank 1, 2",)


def test_ranks_without_times_are_left_out_of_those_with_times(tmp_path: Path) -> None:
    ranks, warnings = group([host(0), device(0), host(1), host(3)], "here")
    assert [rank.rank for rank in ranks] == [0]
    assert warnings == ("2 of 3 ranks have no Kineto trace and thus no times, left out: rank 1, 3",)
    for name in ("et_rank0.json.gz", "kineto_rank0.json.gz", "et_rank1.json.gz"):
        shutil.copy(samples.path("gpt_ddp") / name, tmp_path)
    metadata = read(tmp_path).metadata
    assert {source.rank for source in metadata.sources} == {0}
    (other,) = metadata.report.ignored
    assert (other.name, "no times" in other.reason) == ("et_rank1.json.gz", True)
    assert any("1 of 2 ranks has no Kineto trace" in warning for warning in metadata.report.warnings)


def test_the_pairs_of_the_collection(traces_dir: Path, tmp_path: Path) -> None:
    """Each rank of a run has both files of its process; host files of another run are refused."""
    pairs = sorted({file.parent for file in traces_dir.rglob("et_rank0.json.gz")})
    assert len(pairs) >= 3
    for folder in pairs:
        if not list(folder.glob("kineto*")):
            continue
        with discover(folder) as found:
            ranks = found.one_run().ranks
        for rank in ranks:
            assert rank.host is not None
            assert rank.device is not None
            assert rank.host.facts.processes == rank.device.facts.processes != frozenset()
        assert [rank.rank for rank in ranks] == list(range(len(list(folder.glob("kineto*")))))
    one, other = (next(p for p in pairs if p.name == name) for name in ("gpt_ddp", "gpt_tp2_pp2"))
    shutil.copy(one / "kineto_rank0.json.gz", tmp_path)
    shutil.copy(other / "et_rank0.json.gz", tmp_path)
    with pytest.raises(InputError, match=r"et_rank0\.json\.gz of process \d+ and kineto_rank0"):
        read(tmp_path)


def test_dlrm_and_resnet(collection_dir: Path, tmp_path: Path) -> None:
    for folder in ("dlrm_pytorch_et", "dlrm_kineto"):
        shutil.copytree(collection_dir / "param" / folder, tmp_path / "dlrm" / folder)
    with discover(tmp_path / "dlrm") as found:
        ranks = found.one_run().ranks
    assert [len(rank.files) for rank in ranks] == [2] * 8
    for name in ("resnet_1gpu_et.json.gz", "resnet_kineto.json.gz"):
        (tmp_path / "resnet").mkdir(exist_ok=True)
        shutil.copy(collection_dir / "param" / name, tmp_path / "resnet")
    with pytest.raises(InputError, match=r"of process 177708 and resnet_kineto\.json\.gz of process 23442"):
        read(tmp_path / "resnet")


# Parts of a run


def test_missing_ranks_are_in_the_trust_of_answers(tmp_path: Path) -> None:
    for rank in (0, 1, 2, 4, 5, 6, 7):
        kineto(tmp_path / f"{rank}.json", rank, 8)
    trace = read(tmp_path)
    (warning,) = trace.metadata.report.warnings
    assert warning == "7 of 8 ranks are recorded: waiting for the others cannot be told from transfer (missing: 3)"
    assert warning in critical_path(trace, rank=0).trust.warnings


def test_facts_of_a_head(traces_dir: Path) -> None:
    folder = next(traces_dir.rglob("gpt_tp2_pp2"))
    with discover(folder / "kineto_rank2.json.gz") as found:
        (file,) = found.files
    assert file.facts == Facts(2, file.facts.processes, 4, "gloo")
    assert len(file.facts.processes) == 1
