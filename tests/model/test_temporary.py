"""Temporary folders: gone with what needs them, and after a process was killed with the next one that makes one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from etgraph.model import AttributeWriter, temporary
from etgraph.model.temporary import TemporaryFolder, shared_folder, sweep

HOLDS_ONE = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from etgraph.model import AttributeWriter
with AttributeWriter() as writer:
    writer.append(b"{}")
    print(writer.path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, in the middle of writing attributes."""
    command = [sys.executable, "-c", HOLDS_ONE, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert Path(process.stdout.readline().decode().strip()).exists()
        yield process
        process.kill()


def test_a_folder_goes_by_itself(place: Path) -> None:
    folder = TemporaryFolder()
    (folder.path / "file").write_bytes(b"x")
    del folder
    gc.collect()
    assert list(place.iterdir()) == []


def test_a_folder_can_be_removed_twice(place: Path) -> None:
    folder = TemporaryFolder()
    folder.remove()
    folder.remove()
    assert list(place.iterdir()) == []


def test_files_share_a_folder_as_long_as_one_needs_it(place: Path) -> None:
    first, second = AttributeWriter(), AttributeWriter()
    assert first.path.parent == second.path.parent == shared_folder().path
    del first
    gc.collect()
    assert second.path.exists()
    del second
    gc.collect()
    assert list(place.iterdir()) == []
    assert shared_folder().path.parent == place


def test_files_lie_where_the_place_is_now(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = AttributeWriter()
    (place / "other").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place / "other"))
    second = AttributeWriter()
    assert first.path.parent.parent == place
    assert second.path.parent.parent == place / "other"


def test_what_a_killed_process_leaves_is_swept(place: Path, other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.wait()
    assert len(list(place.rglob("*.attrs"))) == 1
    mine = TemporaryFolder()
    assert [path.name for path in place.iterdir()] == [mine.path.name]


def test_what_a_living_process_holds_stays(place: Path, other: subprocess.Popen[bytes]) -> None:
    mine = TemporaryFolder()
    sweep(place)
    assert len(list(place.rglob("*.attrs"))) == 1
    assert mine.path.exists()


def test_only_folders_of_this_kind_are_swept(place: Path) -> None:
    for name in ("other", f"{temporary.PREFIX}without-a-lock"):
        (place / name).mkdir()
    (place / f"{temporary.PREFIX}file.attrs").write_bytes(b"x")
    outside = place / "outside"
    outside.mkdir()
    (outside / ".lock").write_bytes(b"")
    (place / f"{temporary.PREFIX}link").symlink_to(outside)
    before = sorted(place.rglob("*"))
    sweep(place)
    assert sorted(place.rglob("*")) == before


def test_a_folder_belongs_to_the_process_that_made_it(place: Path) -> None:
    folder = TemporaryFolder()
    if not (child := os.fork()):
        folder.remove()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert folder.path.exists()


def test_a_place_without_locks_works_and_is_never_swept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    folder = TemporaryFolder()
    assert list(folder.path.iterdir()) == []
    sweep(place)
    assert folder.path.exists()
