"""Archives: read as the folder that they hold, in each other too, without unpacking; and what they must not hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import Limits, read, read_each, samples
from etgraph.ingest.discovery import archives, discover
from etgraph.ingest.places import Place
from etgraph.ingest.scratch import Scratch
from etgraph.ingest.source import SourceFile
from etgraph.model import Trace
from etgraph.model.errors import InputError
from support.archives import WAYS, Files, entry, special, tarred, zipped, zipped_entries

EVENT = '{"ph": "X", "cat": "cpu_op", "name": "op %d", "pid": 1, "tid": 1, "ts": %d, "dur": 1}'


def kineto(rank: int, events: int = 3, size: int = 2) -> bytes:
    """A small Kineto file."""
    listed = ", ".join(EVENT % (i, rank + 2 * i) for i in range(events))
    return (
        f'{{"distributedInfo": {{"rank": {rank}, "world_size": {size}}}, "traceEvents": [{listed}]}}'.encode()
    )  # fmt: skip


RUN: Files = {"a/kineto.json": kineto(0), "b/kineto.json.gz": gzip.compress(kineto(1)), "notes.txt": b"hello"}


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def unpacked(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        put(folder, name, data)
    return folder


def assert_same(trace: Trace, expected: Trace) -> None:
    assert trace.trace_id == expected.trace_id
    for name, columns in expected.tables.items():
        assert columns.equals(trace.tables[name]), (name, columns.differences(trace.tables[name]))
    for row in range(0, len(expected), max(len(expected) // 7, 1)):
        assert trace.operator_attributes(row) == expected.operator_attributes(row)


def trace_or_error(path: Path) -> Trace | InputError:
    """What reading gives, if it is one of these."""
    try:
        return read(path, limits=Limits(max_bytes=1 << 24))
    except InputError as error:
        return error


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# Read


@pytest.mark.parametrize("name", WAYS)
def test_an_archive_is_the_folder_that_it_holds(name: str, tmp_path: Path, own_temp: Path) -> None:
    expected = read(unpacked(tmp_path / "run", RUN))
    trace = read(put(tmp_path, name, WAYS[name](RUN)))
    assert_same(trace, expected)
    assert trace.ranks == (0, 1)
    assert [source.name for source in trace.metadata.sources] == [f"{name}!a/kineto.json", f"{name}!b/kineto.json.gz"]
    assert [(i.name, i.reason) for i in trace.metadata.report.ignored] == [
        (f"{name}!notes.txt", "text that begins with b'hello'")
    ]
    del trace, expected
    assert list(own_temp.iterdir()) == []


def test_an_archive_packed_in_small_parts(tmp_path: Path) -> None:
    """A writer may begin a new gzip member for every few bytes."""
    data = WAYS["run.tar"]({"rank0.json": kineto(0), "rank1.json": kineto(1)})
    parts = [data[at : at + 200] for at in range(0, len(data), 200)]
    (tmp_path / "run.tar.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    (tmp_path / "run.tar").write_bytes(data)
    assert read(tmp_path / "run.tar.gz").trace_id == read(tmp_path / "run.tar").trace_id


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_other_ways_of_compression_are_named(pack: Callable[[bytes], bytes], name: str, tmp_path: Path) -> None:
    put(tmp_path, "a.json", kineto(0, size=1))
    archive = put(tmp_path, "run.tar.other", pack(WAYS["run.tar"]({"rank0.json": kineto(0)})))
    with pytest.raises(InputError, match=f"found a file compressed by {name}, which is not supported"):
        read(archive)
    assert [name in other.reason for other in read(tmp_path).metadata.report.ignored] == [True]


def test_a_sample_from_archives(tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in samples.path("dlrm_alltoall").glob("kineto*")}
    expected = read(unpacked(tmp_path / "run", files))
    for name in ("run.zip", "run.tar.gz"):
        assert_same(read(put(tmp_path, name, WAYS[name](files))), expected)


def test_the_ranks_of_the_collection_from_archives(collection_dir: Path, tmp_path: Path) -> None:
    folder = collection_dir / "param/dlrm_kineto"
    files = {f"step/{file.name}": file.read_bytes() for file in sorted(folder.iterdir(), reverse=True)}
    expected = read(folder)
    for name in ("run.zip", "run.tar", "run.tar.zst"):
        assert_same(read(put(tmp_path, name, WAYS[name](files))), expected)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_archives_in_archives_in_any_order(data: st.DataObject, tmp_path: Path) -> None:
    """Four ranks, each wrapped by itself up to twice, in any order, then all of them together."""
    expected = read(unpacked(tmp_path / "run", {f"{rank}.json": kineto(rank, size=4) for rank in range(4)}))
    files = {}
    for rank in data.draw(st.permutations(range(4))):
        name, content = f"{rank}/k.json", kineto(rank, size=4)
        for _ in range(data.draw(st.integers(0, 2))):
            way = data.draw(st.sampled_from(sorted(WAYS)))
            name, content = f"{rank}-{way}", WAYS[way]({name: content})
        files[name] = content
    whole = put(tmp_path, "whole", WAYS[data.draw(st.sampled_from(sorted(WAYS)))](files))
    assert_same(read(whole, limits=Limits(max_depth=4)), expected)


def test_the_name_of_what_is_read_tells_no_rank(tmp_path: Path) -> None:
    """Else a folder and its archive, which keep the name, could be of two ranks."""
    files = {"kineto.json": b'{"traceEvents": [' + (EVENT % (1, 2)).encode() + b"]}"}
    folder = read(unpacked(tmp_path / "rank3", files))
    assert folder.ranks == (0,)
    for way in WAYS:
        assert_same(read(put(tmp_path, f"rank3-{way}", WAYS[way](files))), folder)
    inner = zipped({"rank2.tar": tarred(files)})
    assert read(put(tmp_path, "rank3.zip", inner)).ranks == (2,)


def test_each_member_by_itself(tmp_path: Path) -> None:
    path = put(tmp_path, "run.zip", zipped({**RUN, "c.json": b"{}", "d.json": b'{"traceEvents": [{'}))
    found = {str(name): result for name, result in read_each(path)}
    assert {name.partition("!")[2]: type(result) for name, result in found.items()} == {
        "a/kineto.json": Trace, "b/kineto.json.gz": Trace, "c.json": InputError, "d.json": InputError
    }  # fmt: skip
    assert f"{path}!d.json" in str(found[f"{path}!d.json"])


def test_an_error_names_archive_member_and_place(tmp_path: Path) -> None:
    path = put(tmp_path, "run.tar.gz", WAYS["run.tar.gz"]({"a.json": kineto(0), "b.json": kineto(1)[:-9]}))
    with pytest.raises(InputError, match=r"run\.tar\.gz!b\.json: byte \d+"):
        read(path)


def test_the_members_of_groups_are_read_in_an_archive(tmp_path: Path) -> None:
    files = {**RUN, "x/comm_groups.json": b'{"1": [0, 1]}'}
    plain, archive = read(unpacked(tmp_path / "run", RUN)), read(put(tmp_path, "run.zip", zipped(files)))
    assert read(unpacked(tmp_path / "grouped", files)).trace_id == archive.trace_id != plain.trace_id


# Beside the standard library


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\:", exclude_categories=("Cs", "Cc")), min_size=1)
PATHS = st.lists(NAMES.filter(lambda n: n not in (".", "..")), min_size=1, max_size=3).map("/".join)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(PATHS | st.integers(90, 300).map("x".__mul__), st.binary(max_size=1500), max_size=5),
    way=st.sampled_from(["pax", "gnu", "stored", "deflated"]),
)
def test_members_are_those_that_the_standard_library_wrote(files: dict[str, bytes], way: str, tmp_path: Path) -> None:
    make: dict[str, Callable[[Files], bytes]] = {
        "pax": lambda f: tarred(f, tarfile.PAX_FORMAT),
        "gnu": lambda f: tarred(f, tarfile.GNU_FORMAT),
        "stored": lambda f: zipped(f, zipfile.ZIP_STORED),
        "deflated": zipped,
    }
    files = {name: data for name, data in files.items() if not data.startswith((b"PK", b"\x1f\x8b", b"\x28\xb5"))}
    files |= {"last": b"there is a member"}
    path = put(tmp_path, "a", make[way](files))
    with Scratch() as scratch:
        found = {
            c.name.partition("!")[2]: c.place for c in archives.candidates(Place(path), path.name, Limits(), scratch)
        }
        assert list(found) == list(files)
        for name, place in found.items():
            with place.open() as stream:
                assert b"".join(iter(lambda: stream.read(700), b"")) == files[name]


def test_a_zip_archive_with_64_bit_sizes(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.json", "w", force_zip64=True) as member:
        member.write(kineto(0, size=1))
    assert len(read(put(tmp_path, "a.zip", out.getvalue()))) == 3


def test_a_zip_archive_that_was_written_to_a_pipe(tmp_path: Path) -> None:
    """The sizes then stand after each member, and not before it."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for rank in range(2):
            archive.writestr(f"{rank}.json", kineto(rank))
    path = put(tmp_path, "run.zip", out.getvalue())
    assert out.getvalue()[6] & 8
    assert read(path).ranks == (0, 1)


# Refused

NAMED = {
    "out of the archive": "a/../../x.json",
    "absolute": "/x.json",
    "a drive": "C:/x.json",
    "backslashes": "..\\x.json",
}


@pytest.mark.parametrize("name", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_leads_out(name: str, way: str, tmp_path: Path, own_temp: Path) -> None:
    path = put(tmp_path / "deep", way, WAYS[way]({"a.json": kineto(0), name: kineto(1)}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="expected the name of a file below the archive") as error:
        read(path)
    assert str(error.value).startswith(f"{path}!{name}: found a")
    assert sorted(tmp_path.rglob("*")) == before
    assert list(own_temp.iterdir()) == []


TAR_SPECIALS = {
    "a symbolic link": special("l.json", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": special("l.json", tarfile.LNKTYPE, "a.json"),
    "a device": special("l.json", tarfile.CHRTYPE),
    "a pipe": special("l.json", tarfile.FIFOTYPE),
    "a file with holes": special("l.json", tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("words", TAR_SPECIALS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_what_is_no_file_in_a_tar(words: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = tarred({"a.json": kineto(0)}, tarfile.GNU_FORMAT, TAR_SPECIALS[words])
    path = put(tmp_path, "run.tar", pack(data))
    with pytest.raises(InputError, match=f"run.tar!l.json: found {words}, expected a file or a folder"):
        read(path)


ZIP_SPECIALS = {
    "a link, a device": entry("l.json", create_system=3, external_attr=0o120777 << 16),
    "an encrypted member": entry("l.json", flag_bits=1),
}


@pytest.mark.parametrize("words", ZIP_SPECIALS)
def test_what_is_no_plain_file_in_a_zip(words: str, tmp_path: Path) -> None:
    data = bytearray(zipped_entries((entry("a.json"), kineto(0)), (ZIP_SPECIALS[words], b"/etc/passwd")))
    if words == "an encrypted member":
        at = data.rfind(b"PK\x01\x02")
        data[at + 8] |= 1
    with pytest.raises(InputError, match=f"run.zip!l.json: found {words}"):
        read(put(tmp_path, "run.zip", bytes(data)))


def changed_directory(data: bytes, at: int, value: bytes) -> bytes:
    """A zip archive with other bytes in the last entry of its directory."""
    out = bytearray(data)
    entry_at = data.rfind(b"PK\x01\x02")
    out[entry_at + at : entry_at + at + len(value)] = value
    return bytes(out)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (10, struct.pack("<H", 14), "compressed in way 14"),
        (16, b"\0\0\0\0", "with checksum"),
        (24, struct.pack("<I", 5), "more than 5 bytes"),
        (20, struct.pack("<I", 1 << 30), "beyond the end of the archive"),
        (42, b"\0\0\0\0", "overlaps"),
        (46, b"x", "another header"),
    ],
    ids=["way", "checksum", "size", "length", "overlapping", "name"],
)
def test_a_zip_directory_that_lies(at: int, value: bytes, said: str, tmp_path: Path) -> None:
    data = changed_directory(zipped({"a.json": kineto(0), "b.json": kineto(1, 2000)}), at, value)
    with pytest.raises(InputError, match=said):
        read(put(tmp_path, "run.zip", data))


@pytest.mark.parametrize("way", ["run.zip", "run.tar", "run.tar.gz"])
def test_two_members_of_one_name(way: str, tmp_path: Path) -> None:
    if way == "run.zip":
        data = zipped_entries((entry("a.json"), kineto(0)), (entry("./a.json"), kineto(1)))
    else:
        member = tarfile.TarInfo("./a.json")
        data = tarred({"a.json": kineto(0)}, tarfile.PAX_FORMAT, member)
        data = gzip.compress(data) if way.endswith("gz") else data
    with pytest.raises(InputError, match="a second member of this name"):
        read(put(tmp_path, way, data))


@pytest.mark.parametrize("way", WAYS)
def test_an_archive_of_too_many_members(way: str, tmp_path: Path) -> None:
    path = put(tmp_path, way, WAYS[way]({f"{n}.txt": b"" for n in range(30)}))
    with pytest.raises(InputError, match="members"):
        read(path, limits=Limits(max_members=20))


@pytest.mark.parametrize("way", WAYS)
def test_a_bomb(way: str, tmp_path: Path, own_temp: Path) -> None:
    """A hundred members of zeros, each of which alone would be allowed."""
    path = put(tmp_path, way, WAYS[way]({f"{n}.json": b"\0" * 100_000 for n in range(100)}))
    few = Limits(max_archive_bytes=2_000_000)
    with pytest.raises(InputError, match="at most 2,000,000 bytes"):
        read(path, limits=few)
    if "stored" not in way and not way.endswith("tar"):
        with pytest.raises(InputError, match="times the"):
            read(path, limits=Limits(max_ratio=50, ratio_from=1_000_000))
    assert list(own_temp.iterdir()) == []


def test_members_that_are_bombs_themselves(tmp_path: Path) -> None:
    path = put(tmp_path, "run.zip", zipped({"a.json": gzip.compress(b'{"traceEvents": [' + b" " * (8 << 20))}))
    with pytest.raises(InputError, match=r"run\.zip!a\.json: found .* after decompression"):
        read(path, limits=Limits(max_bytes=1 << 20))


def test_archives_in_archives_without_end(tmp_path: Path) -> None:
    data = kineto(0)
    for _ in range(5):
        data = zipped({"a": data})
    with pytest.raises(InputError, match="archives in archives, 4 deep, expected at most 3"):
        read(put(tmp_path, "run.zip", data))


def test_a_long_header_is_not_read(tmp_path: Path) -> None:
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(InputError, match=r"found 1,099,511,627,776 bytes before a member"):
        read(put(tmp_path, "run.tar", member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096))


@pytest.mark.parametrize("way", WAYS)
def test_an_archive_cut_at_any_place(way: str, tmp_path: Path, own_temp: Path) -> None:
    data = WAYS[way]({"a.json": kineto(0, 40), "b.json": kineto(1, 40)})
    whole = read(put(tmp_path, way, data))
    for length in range(1, len(data), 61):
        path = put(tmp_path, way, data[:length])
        found = trace_or_error(path)
        # A tar archive is whole without the zeros at its end.
        assert str(path) in str(found) if isinstance(found, InputError) else found.trace_id == whole.trace_id
    del whole, found
    assert list(own_temp.iterdir()) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_an_archive_cut_within_a_member_names_it(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = tarred({"a.json": kineto(0), "b.json": kineto(1, 400)})
    path = put(tmp_path, "run.tar", pack(data[: data.index(b"b.json") + 9000]))
    with pytest.raises(InputError, match=r"run\.tar!b\.json: found the end of the archive, expected [\d,]+ bytes"):
        read(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(way=st.sampled_from(sorted(WAYS)), at=st.integers(0, 10**6), value=st.binary(min_size=1, max_size=6))
def test_a_damaged_archive_is_an_error_or_a_trace(way: str, at: int, value: bytes, tmp_path: Path) -> None:
    data = bytearray(WAYS[way]({"a.json": kineto(0), "b.json": kineto(1)}))
    at %= len(data)
    data[at : at + len(value)] = value
    path = put(tmp_path, way, bytes(data))
    found = trace_or_error(path)
    if isinstance(found, InputError):
        assert str(path) in str(found)
    else:
        found.validate()


# Cost


def test_a_large_archive_takes_little_memory(tmp_path: Path, own_temp: Path) -> None:
    path = put(tmp_path, "run.tar.gz", gzip.compress(tarred({"a.bin": os.urandom(1 << 16) * 512, **RUN}), 1))
    tracemalloc.start()
    with discover(path) as found:
        assert len(found.files) == 2
        spooled = sum(file.stat().st_size for file in own_temp.rglob("*"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20
    assert spooled < 1 << 20  # what cannot be a trace is passed over


def test_members_of_plain_archives_stay_where_they_are(tmp_path: Path, own_temp: Path) -> None:
    for way in ("run.zip", "run.tar", "stored.zip"):
        with discover(put(tmp_path, way, WAYS[way](RUN))) as found:
            assert len(found.files) == 2
            assert list(own_temp.iterdir()) == []


def test_a_member_is_compressed_where_it_must_be_kept(tmp_path: Path, own_temp: Path) -> None:
    text = kineto(0, 20_000)
    with discover(put(tmp_path, "a.tar.gz", gzip.compress(tarred({"a.json": text}), 1))) as found:
        (kept,) = (file for file in own_temp.rglob("*") if file.is_file() and file.name != ".lock")
        assert kept.stat().st_size < len(text) / 5
        assert b"".join(SourceFile(found.files[0].place).chunks()) == text
