"""Source files: plain and compressed, in one piece or many, hashed, bounded, and their errors."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest import source
from etgraph.ingest.source import READ, Limits, SourceFile
from etgraph.model.errors import InputError, NotFound

TEXT = b"".join(b"line %d\n" % i for i in range(400_000))


def written(folder: Path, data: bytes) -> Path:
    path = folder / "trace.json"
    path.write_bytes(data)
    return path


def content(path: Path, limits: Limits | None = None) -> bytes:
    return b"".join(SourceFile(path, limits).chunks())


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip of several members": lambda data: (
        gzip.compress(data[:1000]) + gzip.compress(b"") + gzip.compress(data[1000:])
    ),
    "padded gzip": lambda data: gzip.compress(data[:1000]) + b"\0" * 512 + gzip.compress(data[1000:]) + b"\0" * 3000,
    "zstd": zst,
    "zstd without size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    "zstd of several frames": lambda data: zst(data[:1000]) + zst(b"") + zst(data[1000:]),
}


@pytest.mark.parametrize("way", WAYS)
def test_content_size_and_checksum_are_of_the_text(way: str, tmp_path: Path) -> None:
    file = SourceFile(written(tmp_path, WAYS[way](TEXT)))
    chunks = list(file.chunks())
    assert b"".join(chunks) == TEXT
    assert file.bytes == len(TEXT)
    assert file.sha256 == hashlib.sha256(TEXT).hexdigest()


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 5000), max_size=4), read=st.integers(1, 400), way=st.sampled_from(["gzip", "zstd"]))
def test_members_of_any_size_read_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], read: int, way: str
) -> None:
    text, ends = TEXT[:5000], sorted(cuts)
    parts = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    path = written(tmp_path_factory.getbasetemp(), b"".join(map(gzip.compress if way == "gzip" else zst, parts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "READ", read)
        patch.setattr(source, "_ZSTD_READ", read)
        assert content(path) == text


@pytest.mark.parametrize("way", ["gzip", "zstd"])
def test_a_compressed_file_cut_at_any_byte_is_refused(way: str, tmp_path: Path) -> None:
    data = WAYS[way](TEXT[:300])
    for length in range(4, len(data)):
        with pytest.raises(InputError) as error:
            content(written(tmp_path, data[:length]))
        assert str(tmp_path / "trace.json") in str(error.value)


@pytest.mark.parametrize("way", ["gzip", "zstd"])
def test_a_damaged_file_is_refused(way: str, tmp_path: Path) -> None:
    data = bytearray(WAYS[way](os.urandom(50_000)))
    data[-9:] = bytes(b ^ 0x55 for b in data[-9:])
    with pytest.raises(InputError, match=f"found (damaged {way}|a {way} file)"):
        content(written(tmp_path, bytes(data) if way == "gzip" else bytes(data[:4]) + b"\xff" * 40))


def test_what_follows_a_gzip_member_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found damaged gzip data"):
        content(written(tmp_path, gzip.compress(b"{}") + b"trailing"))


@pytest.mark.parametrize("way", ["gzip", "zstd"])
def test_a_bomb_is_stopped_by_its_size(way: str, tmp_path: Path) -> None:
    path = written(tmp_path, WAYS[way](b"\0" * (8 << 20)))
    with pytest.raises(InputError, match=r"found [\d,]+ bytes or more after decompression") as error:
        content(path, Limits(max_bytes=2_000_000))
    assert error.value.hint is not None


@pytest.mark.parametrize("way", ["gzip", "zstd"])
def test_a_bomb_is_stopped_by_its_ratio(way: str, tmp_path: Path) -> None:
    path = written(tmp_path, WAYS[way](b"\0" * (8 << 20)))
    with pytest.raises(InputError, match="times the file"):
        content(path, Limits(max_ratio=100, ratio_from=1 << 20))
    assert len(content(path)) == 8 << 20


def test_the_memory_of_a_bomb_stays_small(tmp_path: Path) -> None:
    for way in ("gzip", "zstd"):
        path = written(tmp_path, WAYS[way](b"\0" * (64 << 20)))
        assert max(map(len, SourceFile(path).chunks())) <= 40 << 20


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.json: no such file"):
        content(tmp_path / "nowhere.json")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a readable file"):
        content(tmp_path)


@pytest.mark.parametrize("way", ["plain", "gzip", "zstd"])
def test_an_empty_file_is_refused(way: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found an empty file"):
        content(written(tmp_path, WAYS[way](b"")))


def test_giving_up_early_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        chunks = SourceFile(written(tmp_path, TEXT)).chunks()
        next(chunks)
        assert isinstance(chunks, Generator)
        chunks.close()
    assert not before or len(os.listdir("/proc/self/fd")) <= before + 2


def test_giving_up_does_not_wait_for_a_read(tmp_path: Path) -> None:
    """The garbage collector ends iterators in any thread; one that waited for another thread could wait for ever."""
    release = threading.Event()

    class Slow(SourceFile):
        def _decompressed(self, file: Any) -> Iterator[bytes]:
            yield bytes(READ)
            release.wait(60)

    try:
        chunks = Slow(written(tmp_path, TEXT)).chunks()
        next(chunks)
        assert isinstance(chunks, Generator)
        closing = threading.Thread(target=chunks.close)
        closing.start()
        closing.join(10)
        assert not closing.is_alive()
    finally:
        release.set()
