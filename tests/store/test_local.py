"""What is particular to the local store: its files, other processes, and machines that fail."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from etgraph.model import Trace
from etgraph.model.errors import CorruptStore, NotFound, StoreError
from etgraph.store import Store, connect
from etgraph.store.errors import NetworkFileSystemWarning, ReadOnlyStore, StoreBusy, StoreFull, UnknownFormat
from etgraph.store.local import catalogue, failures, filesystem, mapping, staging
from etgraph.store.local.catalogue import MIGRATIONS, Catalogue, migrate

MakeTrace = Callable[..., Trace]
Same = Callable[[Trace, Trace], None]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def published(folder: Path, make_trace: MakeTrace) -> Trace:
    trace = make_trace(each=50)
    with connect(folder) as store:
        store.publish(trace, workload="w")
    return trace


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "traces").rglob("*") if path.is_file())


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# Layout


def test_what_is_empty_is_not_written(folder: Path, published: Trace) -> None:
    names = {path.name for path in files_of(folder)}
    assert "attrs-0.arrow" in names
    assert "operators.arrow" in names
    assert "annotations.arrow" not in names
    (operators,) = [path for path in files_of(folder) if path.name == "operators.arrow"]
    stored = pa.ipc.open_file(operators).schema.names
    assert "flops" not in stored
    assert "parent" not in stored
    assert "duration_ns" in stored
    assert tree(folder / "staging") == []


def test_loaded_columns_lie_in_mapped_files(folder: Path, published: Trace) -> None:
    with connect(folder) as store:
        loaded = store.load("w")
    begin = loaded.operators["start_ns"].__array_interface__["data"][0]
    held = [fd for fd in psutil.Process().open_files() if str(folder) in fd.path]
    assert held == []
    (mapped,) = [path for path in files_of(folder) if path.name == "operators.arrow"]
    table = mapping.read_table(mapped, mapped.stat().st_size)
    assert table.column("start_ns").chunk(0).buffers()[1].address % 64 == begin % 64
    if sys.platform == "linux":
        lines = Path("/proc/self/maps").read_text().splitlines()
        spans = [line.split()[0].split("-") for line in lines if line.endswith("operators.arrow")]
        assert any(int(a, 16) <= begin < int(b, 16) for a, b in spans)


def test_connecting_makes_nothing(tmp_path: Path) -> None:
    with connect(tmp_path / "new") as store:
        assert store.traces() == []
        assert store.verify() == []
    assert list(tmp_path.iterdir()) == []


def test_a_store_moves_with_its_folder(folder: Path, published: Trace, same: Same) -> None:
    shutil.copytree(folder, folder.with_name("copy ü?#%"))
    with connect(folder.with_name("copy ü?#%")) as store:
        same(store.load("w"), published)
        with connect(store.url) as again:
            same(again.load("w"), published)


def test_a_folder_that_is_replaced_under_an_open_store(folder: Path, published: Trace, make_trace: MakeTrace) -> None:
    with connect(folder) as store:
        assert len(store.traces()) == 1
        shutil.rmtree(folder)
        assert store.traces() == []
        store.publish(make_trace("b"), workload="w")
        assert store.find("w").id == make_trace("b").trace_id


def test_a_store_works_on_after_a_fork(folder: Path, published: Trace, make_trace: MakeTrace) -> None:
    with connect(folder) as store:
        store.traces()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                store.publish(make_trace("child"), workload="w")
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.find("w").id == make_trace("child").trace_id


# Damage


def test_every_flipped_byte_is_found_and_named(folder: Path, published: Trace) -> None:
    chosen = random.Random(1)
    with connect(folder) as store:
        store.put_artefact(published.trace_id, "k", "x", pa.table({"a": [1]}))
        assert store.verify() == [] == store.verify("w")
        for path in files_of(folder):
            sound = path.read_bytes()
            place = chosen.randrange(len(sound))
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
            for problems in (store.verify(), store.verify("w")):
                assert [(p.trace_id, p.file) for p in problems] == [
                    (published.trace_id, path.relative_to(folder).as_posix())
                ]
                assert "checksum" in str(problems[0])
            path.write_bytes(sound)
        assert store.verify() == []


@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_file_cut_short_is_named_by_load(folder: Path, published: Trace, left: int) -> None:
    with connect(folder) as store:
        for path in files_of(folder):
            sound = path.read_bytes()
            path.write_bytes(sound[:left])
            with pytest.raises(CorruptStore, match=path.name):
                store.load("w")
            assert path.name in str(store.verify()[0])
            path.write_bytes(sound)
        store.load("w")


def test_rubbish_of_the_right_length_is_named_by_load(folder: Path, published: Trace) -> None:
    with connect(folder) as store:
        for path in files_of(folder):
            sound = path.read_bytes()
            path.write_bytes(b"\xa5" * len(sound))
            with pytest.raises(CorruptStore, match=path.name):
                store.load("w")
            path.write_bytes(sound)


def test_damage_that_load_does_not_see_raises_nothing_else(folder: Path, published: Trace) -> None:
    chosen = random.Random(2)
    with connect(folder) as store:
        for path in files_of(folder):
            sound = path.read_bytes()
            for _ in range(40):
                damaged = bytearray(sound)
                for _ in range(chosen.choice((1, 8))):
                    damaged[chosen.randrange(len(sound))] = chosen.randrange(256)
                path.write_bytes(damaged)
                with contextlib.suppress(CorruptStore):
                    store.load("w")
            path.write_bytes(sound)


def test_a_missing_file_is_named(folder: Path, published: Trace) -> None:
    with connect(folder) as store:
        for path in files_of(folder):
            path.rename(path.with_suffix(".away"))
            with pytest.raises(CorruptStore, match=f"{path.name}: the file is missing"):
                store.load("w")
            assert "missing" in store.verify()[0].detail
            path.with_suffix(".away").rename(path)


def test_a_damaged_catalogue_is_named(folder: Path, published: Trace) -> None:
    (folder / "catalogue.sqlite").write_bytes(b"no database at all" * 1000)
    with pytest.raises(CorruptStore, match=r"catalogue\.sqlite"):
        connect(folder)


def test_a_missing_catalogue_is_not_made_anew(folder: Path, published: Trace) -> None:
    for path in folder.glob("catalogue.sqlite*"):
        path.unlink()
    before = tree(folder)
    with pytest.raises(StoreError, match=r"without catalogue\.sqlite"):
        connect(folder)
    assert tree(folder) == before


# What is no store


def test_a_path_that_cannot_be_a_store_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    for path in (file, file / "below"):
        with pytest.raises(StoreError):
            connect(path)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("text")
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        connect(foreign)
    assert tree(tmp_path) == ["file", "foreign", "foreign/thesis.tex"]


def test_another_application_s_database_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as other:
        other.execute("CREATE TABLE orders (id)")
    content = (folder / "catalogue.sqlite").read_bytes()
    with pytest.raises(StoreError, match="another application"):
        connect(folder)
    assert (folder / "catalogue.sqlite").read_bytes() == content


@pytest.mark.parametrize("start", ["", ".hidden", "staging", "catalogue.sqlite"])
def test_a_start_that_was_interrupted_is_taken_up(folder: Path, make_trace: MakeTrace, start: str) -> None:
    folder.mkdir()
    if start == "staging":
        (folder / start).mkdir()
    elif start:
        (folder / start).touch()
    with connect(folder) as store:
        assert store.traces() == []
        store.publish(make_trace(), workload="w")


# Formats


def test_a_newer_format_is_refused_untouched(folder: Path, published: Trace) -> None:
    with connect(folder) as open_before:
        with closing(sqlite3.connect(folder / "catalogue.sqlite")) as newer:
            newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        with pytest.raises(UnknownFormat, match=rf"found format {len(MIGRATIONS) + 1}, expected {len(MIGRATIONS)}"):
            connect(folder)
        with pytest.raises(UnknownFormat):
            open_before.publish(published, workload="other")


def test_migrations_run_once_and_keep_what_is_there(folder: Path, published: Trace) -> None:
    added = (*MIGRATIONS, ("ALTER TABLE traces ADD COLUMN note TEXT", "UPDATE traces SET note = 'migrated'"))
    later = Catalogue(folder, migrations=added)

    def ask(connection: sqlite3.Connection) -> tuple[Any, ...]:
        found: tuple[Any, ...] = connection.execute("SELECT id, note FROM traces").fetchone()
        return found

    for _ in range(2):
        assert later.read(ask) == (published.trace_id, "migrated")
        later.close()
    with pytest.raises(UnknownFormat):
        connect(folder)


def test_a_migration_that_fails_changes_nothing(folder: Path, published: Trace) -> None:
    broken = Catalogue(folder, migrations=(*MIGRATIONS, ("ALTER TABLE traces ADD COLUMN note TEXT", "SELECT nonsense")))
    with pytest.raises(StoreError, match="nonsense"):
        broken.read(lambda connection: None)
    with connect(folder) as store:
        assert store.find("w").id == published.trace_id


def test_migrating_from_nothing_is_making() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for upto in range(1, len(MIGRATIONS) + 1):
            migrate(connection, MIGRATIONS[:upto], Path("x"))
            assert connection.execute("PRAGMA user_version").fetchone()[0] == upto


# Full, read-only, busy


def disk_full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_says_so_and_leaves_nothing(
    folder: Path, published: Trace, make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with connect(folder) as store:
        before = tree(folder)
        with monkeypatch.context() as patch:
            if call == "write":
                patch.setattr("etgraph.store.local.files.DigestingFile.write", disk_full)
            else:
                patch.setattr(os, call, disk_full)
            with pytest.raises(StoreFull, match=r"about \d+ bytes are needed, \d+ bytes are free") as raised:
                store.publish(make_trace("b"), workload="b")
            assert str(folder) in str(raised.value)
            assert raised.value.exit_code == 4
            with pytest.raises(StoreFull):
                store.put_artefact(published.trace_id, "k", "x", pa.table({"a": [1]}))
        assert tree(folder) == before
        assert store.sweep() == []
        assert store.verify() == []
        store.publish(make_trace("b"), workload="b")


def test_a_full_disk_while_the_row_is_written(
    folder: Path, published: Trace, make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(folder) as store:
        before = tree(folder)
        with monkeypatch.context() as patch:
            patch.setattr("etgraph.store.local.queries.put_trace", disk_full)
            with pytest.raises(StoreFull):
                store.publish(make_trace("b"), workload="b")
        assert tree(folder) == before
        with closing(sqlite3.connect(":memory:")) as small:
            small.execute("PRAGMA max_page_count = 1")
            with pytest.raises(StoreFull), failures.explained(folder, needed=7):
                small.execute("CREATE TABLE t (x)")


def test_a_limit_on_the_size_of_files(folder: Path, published: Trace) -> None:
    script = """
        import resource, sys
        from dataclasses import replace
        from etgraph.store import connect
        from etgraph.store.errors import StoreFull
        with connect(sys.argv[1]) as store:
            trace = replace(store.load("w"), trace_id="1" * 64)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
            try:
                store.publish(trace)
            except StoreFull as error:
                print(error)
    """
    assert "File too large" in run(script, folder).stdout
    with connect(folder) as store:
        assert len(store.traces()) == 1
        assert store.verify() == []
        assert store.sweep() == []
    assert tree(folder / "staging") == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1500


READER = """
    import os, sys, warnings
    import pyarrow.compute, msgspec, psutil, sqlite3, hashlib
    import etgraph.store.local.store, etgraph.model.validation
    from etgraph.store import connect
    from etgraph.store.errors import ReadOnlyStore
    if os.geteuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    with connect(sys.argv[1]) as store:
        trace = store.load("w")
        print(len(trace), len(store.traces()), store.verify(), store.health()[1].ok)
        for change in (
            lambda: store.publish(trace, workload="other"), lambda: store.remove("w"), lambda: store.tag("w", "t"),
            lambda: store.sweep(), lambda: store.put_artefact(trace.trace_id, "k", "x", pyarrow.table({})),
        ):
            try:
                change()
                print("written")
            except ReadOnlyStore as error:
                pass
    try:
        connect(os.path.join(os.path.dirname(sys.argv[1]), "new")).publish(trace)
    except ReadOnlyStore:
        print("refused")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A store's folder that another user can reach, and in which nobody but root may write."""
    parent = Path(tempfile.mkdtemp())
    try:
        yield parent / "store"
    finally:
        for path in (parent, *(p for p in parent.rglob("*") if p.is_dir())):
            path.chmod(0o755)
        shutil.rmtree(parent)


def forbid_writing(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.parent.chmod(0o555)


def test_a_read_only_folder_can_be_read(open_folder: Path, make_trace: MakeTrace) -> None:
    with connect(open_folder) as store:
        store.publish(make_trace(), workload="w")
    assert not (open_folder / "catalogue.sqlite-wal").exists()
    forbid_writing(open_folder)
    assert run(READER, open_folder).stdout.splitlines() == ["12 1 [] False", "refused"]


def test_a_read_only_folder_with_a_writer_at_work(open_folder: Path, make_trace: MakeTrace) -> None:
    with connect(open_folder) as store:
        store.publish(make_trace(), workload="w")
        assert (open_folder / "catalogue.sqlite-wal").stat().st_size
        forbid_writing(open_folder)
        assert run(READER, open_folder).stdout.splitlines() == ["12 1 [] False", "refused"]
        open_folder.parent.chmod(0o755)


def test_a_read_only_folder_with_a_dead_writer(open_folder: Path, make_trace: MakeTrace) -> None:
    with connect(open_folder.with_name("first")) as store:
        store.publish(make_trace(), workload="w")
        shutil.copytree(open_folder.with_name("first"), open_folder)
    assert (open_folder / "catalogue.sqlite-wal").stat().st_size
    forbid_writing(open_folder)
    assert run(READER, open_folder).stdout.splitlines() == ["12 1 [] False", "refused"]


def test_a_catalogue_that_another_holds(folder: Path, published: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "BUSY_SECONDS", 0.05)
    with connect(folder) as store, closing(sqlite3.connect(folder / "catalogue.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(store.traces()) == 1
        with pytest.raises(StoreBusy):
            store.publish(published, workload="other")


# Network file systems

Partition = namedtuple("Partition", "device mountpoint fstype opts")


@pytest.mark.parametrize(
    ("kind", "network"),
    [("ext4", False), ("xfs", False), ("tmpfs", False), ("apfs", False), ("fuse.gocryptfs", False), ("fuseblk", False),
     ("nfs", True), ("nfs4", True), ("cifs", True), ("smb3", True), ("9p", True), ("lustre", True), ("gpfs", True),
     ("beegfs", True), ("ceph", True), ("fuse.sshfs", True), ("fuse.s3fs", True), ("fuse.glusterfs", True)],
)  # fmt: skip
def test_which_file_systems_are_of_the_network(kind: str, network: bool) -> None:
    assert filesystem.Mount(kind, "/x").network is network


def mounted(patch: pytest.MonkeyPatch, point: Path, kind: str) -> None:
    partitions = [
        Partition("d", "/", "ext4", ""), Partition("d", str(point), kind, ""), Partition("d", f"{point}x", "xfs", ""),
    ]  # fmt: skip
    patch.setattr(psutil, "disk_partitions", lambda all: partitions)


def test_on_a_network_file_system_nothing_is_shared_or_mapped(
    folder: Path, make_trace: MakeTrace, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = make_trace()
    mounted(monkeypatch, folder.parent, "nfs4")
    with pytest.warns(NetworkFileSystemWarning, match=f"nfs4 mounted on {folder.parent}"):
        store = connect(folder)
    with store:
        store.publish(trace, workload="w")
        assert not list(folder.glob("*-wal"))
        assert not list(folder.glob("*-shm"))
        assert ("file system", False) in [(check.name, check.ok) for check in store.health()]
        same(store.load("w"), trace)
        if sys.platform == "linux":
            assert str(folder) not in Path("/proc/self/maps").read_text()
    monkeypatch.undo()
    with connect(folder) as local:
        local.publish(make_trace("b"), workload="w")
        assert not list(folder.glob("*-wal")), "a catalogue that was taken out of WAL mode stays so"


def test_a_store_with_a_log_is_taken_out_of_it(folder: Path, published: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(monkeypatch, folder.parent, "cifs")
    with pytest.warns(NetworkFileSystemWarning):
        store = connect(folder)
    with store:
        assert store.find("w").id == published.trace_id
        assert "journal mode delete" in {check.name: check.detail for check in store.health()}["catalogue"]


def test_the_nearest_mount_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(monkeypatch, tmp_path / "a", "nfs")
    (tmp_path / "a").mkdir()
    assert str(filesystem.mount_of(tmp_path / "a" / "not" / "yet")) == f"nfs mounted on {tmp_path / 'a'}"
    assert str(filesystem.mount_of(tmp_path / "ab")) == "ext4 mounted on /"


# Several processes

PUBLISHER = """
    import sys
    from dataclasses import replace
    from etgraph.store import connect
    quarry, target, workload = sys.argv[1:4]
    with connect(quarry) as source, connect(target) as store:
        for reference in sys.argv[4:]:
            trace = source.load(reference)
            store.publish(trace, workload=workload)
            found = store.load(trace.trace_id)
            assert found.operators.equals(trace.operators), reference
            print(reference)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=_environment(),
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """Children import what this process imports, installed or not."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    process = start(script, *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return subprocess.CompletedProcess(process.args, 0, out, err)


def test_processes_publish_the_same_and_different_traces(
    tmp_path: Path, folder: Path, make_trace: MakeTrace, same: Same
) -> None:
    names = [str(number) for number in range(6)]
    with connect(tmp_path / "quarry") as quarry:
        for name in names:
            quarry.publish(make_trace(name), workload=f"t{name}")
    ids = [f"t{name}" for name in names]
    processes = [start(PUBLISHER, tmp_path / "quarry", folder, f"w{n}", *(ids if n % 2 else ids[::-1])) for n in (0, 1)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert len(out.split()) == 6
    with connect(folder) as store:
        assert len(store.traces(workload="w0")) == len(store.traces(workload="w1")) == 6
        assert store.verify() == []
        assert store.sweep() == []
        assert len(list((folder / "traces").glob("*/*/*"))) == 6
        for name in names:
            same(store.load(make_trace(name).trace_id), make_trace(name))


EVERYTHING = """
    import random, sys, time
    from etgraph.model.errors import NotFound
    from etgraph.store import connect
    import pyarrow as pa
    quarries, target, seed, seconds = sys.argv[1].split("|"), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    traces = {}
    for place in quarries:
        with connect(place) as quarry:
            for info in quarry.traces():
                traces[info.id, info.revision] = quarry.load(info.id)
    random.seed(seed)
    end, turns = time.monotonic() + seconds, 0
    with connect(target) as store:
        while time.monotonic() < end:
            turns += 1
            identity, revision = random.choice(list(traces))
            action = random.randrange(8)
            try:
                if action < 3:
                    store.publish(traces[identity, revision], workload="w")
                elif action == 3:
                    store.remove(identity)
                elif action == 4:
                    store.put_artefact(identity, "k", str(random.randrange(2)), pa.table({"a": range(100)}))
                elif action == 5:
                    table = store.get_artefact(identity, "k", "0")
                    assert table is None or table.num_rows == 100
                elif action == 6:
                    loaded = store.load(identity)
                    expected = traces[identity, loaded.revision]
                    assert loaded.operators.equals(expected.operators)
                    assert loaded.operator_attributes(1) == expected.operator_attributes(1)
                else:
                    assert store.verify() == []
                    store.sweep()
            except NotFound:
                pass
    print(turns)
"""


def test_processes_do_everything_to_the_same_traces(tmp_path: Path, folder: Path, make_trace: MakeTrace) -> None:
    quarries = [tmp_path / f"quarry{revision}" for revision in (1, 2, 3)]
    for revision, place in enumerate(quarries, start=1):
        with connect(place) as quarry:
            for name in "ab":
                quarry.publish(make_trace(name, revision=revision))
    processes = [start(EVERYTHING, "|".join(map(str, quarries)), folder, seed, 2.0) for seed in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert int(out) > 0
    with connect(folder) as store:
        assert store.verify() == []
        store.sweep()
        assert len(list((folder / "traces").glob("*/*/*"))) == len({info.id for info in store.traces()})
        assert tree(folder / "staging") == []


def test_two_publishers_of_one_trace_at_the_same_moment(
    folder: Path, make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = make_trace()
    with connect(folder) as slow, connect(folder) as quick:
        move = staging.Stage.move

        def overtaken(stage: staging.Stage, source: Path, destination: str) -> None:
            monkeypatch.setattr(staging.Stage, "move", move)
            quick.publish(trace, workload="quick")
            assert quick.sweep() == []
            move(stage, source, destination)
            assert quick.sweep() == [], "a living publisher's folder is not swept, row or not"

        monkeypatch.setattr(staging.Stage, "move", overtaken)
        slow.publish(trace, workload="slow")
        assert {info.workload for info in slow.traces()} == {"slow", "quick"}
        assert len(list((folder / "traces").glob("*/*/*"))) == 1
        assert slow.verify() == []


def test_a_replaced_trace_takes_late_artefacts_with_it(
    folder: Path, make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(folder) as slow, connect(folder) as quick:
        slow.publish(make_trace(revision=1), workload="w")
        move = staging.Stage.move

        def overtaken(stage: staging.Stage, source: Path, destination: str) -> None:
            monkeypatch.setattr(staging.Stage, "move", move)
            quick.publish(make_trace(revision=2))
            move(stage, source, destination)

        monkeypatch.setattr(staging.Stage, "move", overtaken)
        with pytest.raises(StoreError, match="found revision 2, expected 1"):
            slow.put_artefact(make_trace().trace_id, "k", "x", pa.table({"a": [1]}), revision=1)
        assert slow.artefacts(make_trace().trace_id) == []
        assert slow.verify() == []
        assert slow.sweep() == []
        assert len(list((folder / "traces").glob("*/*/*"))) == 1


# Left-overs


def test_what_a_dead_publisher_left_is_swept_by_the_next(
    folder: Path, published: Trace, make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(folder)
    with connect(folder) as store:
        identity = published.trace_id
        stage = staging.Stage(folder).__enter__()
        (stage.folder / "x").touch()
        other = staging.Stage(folder).__enter__()
        destination = f"traces/{identity[:2]}/{identity}/9-{other.nonce}"
        other.move(other.folder, destination)
        assert store.sweep() == []
        for dead in (stage, other):
            os.close(dead._descriptor)
        swept = store.sweep()
        assert sorted(swept) == sorted([f"staging/{stage.nonce}", f"staging/{other.nonce}", destination])
    assert [name for name in tree(folder) if "catalogue" not in name] == [n for n in before if "catalogue" not in n]


def test_folders_without_row_or_owner_are_swept(folder: Path, published: Trace) -> None:
    identity = published.trace_id
    orphan = folder / "traces" / "ab" / ("ab" * 32) / "1-0123456789abcdef"
    sibling = folder / "traces" / identity[:2] / identity / "0-fedcba9876543210"
    foreign = folder / "traces" / "notes"
    staged = folder / "staging" / "0123456789abcdef"
    for path in (orphan, sibling, foreign, staged):
        path.mkdir(parents=True)
    with connect(folder) as store:
        swept = store.sweep()
        assert sorted(swept) == sorted(p.relative_to(folder).as_posix() for p in (orphan, sibling, staged))
        assert store.sweep() == []
        assert store.verify() == []
    assert foreign.exists()
    assert not orphan.parent.parent.exists()


@pytest.mark.parametrize("text", ["", "traces", "traces/ab", "../x", "/", "traces/ab/../../..", "catalogue.sqlite"])
def test_a_lock_file_that_names_anything_else_deletes_nothing(folder: Path, published: Trace, text: str) -> None:
    before = files_of(folder)
    (folder / "staging" / "0123456789abcdef.lock").write_text(text)
    with connect(folder) as store:
        assert store.sweep() == ["staging/0123456789abcdef"]
        store.load("w")
    assert files_of(folder) == before


def test_removal_that_was_interrupted_goes_on(
    folder: Path, published: Trace, make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(folder) as store:
        with monkeypatch.context() as patch:
            patch.setattr(staging, "delete", lambda root, destination: None)
            store.remove("w")
        assert files_of(folder)
        assert store.traces() == []
    with connect(folder) as store:
        with pytest.raises(NotFound):
            store.load(published.trace_id)
        store.publish(make_trace("b"), workload="b")
        assert len(list((folder / "traces").glob("*/*/*"))) == 1


def test_killed_publishers_leave_whole_traces_or_none() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "crash.py"), "--rounds", "12", "--seed", "7"],
        capture_output=True, text=True, env=_environment(), timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "12 killed" in result.stdout
    assert " 0 faults" in result.stdout


def test_the_store_is_told_by_url(tmp_path: Path, make_trace: MakeTrace) -> None:
    store: Store = connect(tmp_path / "a b")
    with store:
        assert store.url == (tmp_path / "a b").as_uri()
        assert "LocalStore" in repr(store)


def test_no_permission_is_a_store_error(folder: Path, published: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Any, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with connect(folder) as store:
        monkeypatch.setattr("etgraph.store.local.mapping.os.open", denied)
        with pytest.raises(ReadOnlyStore, match="Permission denied"):
            store.load("w")


def test_loading_imports_nothing_slow(folder: Path, published: Trace) -> None:
    script = """
        import sys
        from etgraph.store import connect
        with connect(sys.argv[1]) as store:
            store.find("w")
            assert "pyarrow" not in sys.modules
            store.load("w")
        print([name for name in ("pandas", "pyarrow.compute", "numba", "networkx") if name in sys.modules])
    """
    assert run(script, folder).stdout.strip() == "[]"
