"""Where an export goes: first under a temporary name beside its target, and under the target's own when it is whole."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from etgraph.model.errors import EtgraphError, UsageError

Target = str | os.PathLike[str] | BinaryIO
"""A path or, for formats that are one file, an open binary stream."""

MARK: Final = "etgraph.json"
"""The file by which a folder is known to be an export, so that the next one may replace it."""


class ExportError(EtgraphError):
    """The target of an export cannot be written: no such folder, no permission, no room, or something else is there."""

    code = "EXPORT"
    exit_code = 3


@dataclass(frozen=True, slots=True)
class Written:
    """What an export holds.

    `replaced` counts characters that the format cannot hold and U+FFFD stands for; `notes` tell what had to be changed.
    """

    format: str
    path: str | None
    operators: int
    dependencies: int
    bytes: int
    replaced: int = 0
    notes: tuple[str, ...] = ()


class Sink:
    """Takes text, hands on UTF-8, and counts its bytes."""

    __slots__ = ("_write", "bytes")

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.bytes = 0

    def write(self, text: str) -> None:
        """Write some text."""
        self.write_bytes(text.encode())

    def write_bytes(self, data: bytes) -> None:
        """Write some bytes as they are."""
        self._write(data)
        self.bytes += len(data)


def name_of(target: Target) -> str | None:
    """The path of a target, None for a stream."""
    return os.fspath(target) if isinstance(target, (str, os.PathLike)) else None


def check_file(target: Target) -> None:
    """Raise ExportError where no file can be written at a path."""
    if not isinstance(target, (str, os.PathLike)):
        return
    path = Path(target)
    if path.is_dir():
        raise ExportError(f"{path} is a folder; this format is one file", hint=f"name a file in it: {path / 'trace'}")
    _check_parent(path)
    if path.exists() and not os.access(path, os.W_OK):
        raise ExportError(f"{path} exists and may not be written")


def check_folder(target: Target) -> None:
    """Raise ExportError where no folder can be written at a path: what is there must be an export, or empty."""
    if not isinstance(target, (str, os.PathLike)):
        raise UsageError("this format is a folder of several files and cannot be written to a stream")
    path = Path(target)
    _check_parent(path)
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        if names and not names <= _marked(path):
            raise ExportError(
                f"{path} holds files that are no export, and is left as it is", hint="name a folder that does not exist"
            )
    elif path.exists():
        raise ExportError(f"{path} is a file; this format is a folder", hint="name a folder that does not exist")


def _check_parent(path: Path) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise ExportError(f"cannot write {path}: there is no folder {parent}", hint="make it first")


@contextmanager
def file_output(target: Target) -> Iterator[Sink]:
    """A sink for one file. A stream, a pipe or a device takes the text as it comes; they stay open or as they are."""
    check_file(target)
    if not isinstance(target, (str, os.PathLike)):
        yield Sink(target.write)
        return
    path = Path(target)
    with _explained(path):
        path = path.resolve()
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield Sink(stream.write)
            return
        part = _beside(path)
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(handle, "wb") as stream:
                yield Sink(stream.write)
                stream.flush()
                os.fsync(stream.fileno())
            if path.exists():
                os.chmod(part, stat.S_IMODE(path.stat().st_mode))
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


@contextmanager
def folder_output(target: Target) -> Iterator[Path]:
    """A new folder to write into, which takes the target's name when all is there, and its place if it has one."""
    check_folder(target)
    assert isinstance(target, (str, os.PathLike))
    with _explained(Path(target)):
        path = Path(target).resolve()
        part, old = _beside(path), _beside(path)
        try:
            part.mkdir()
            yield part
            if path.exists():
                path.replace(old)
            try:
                part.replace(path)
            except BaseException:
                if old.exists():
                    old.replace(path)
                raise
        finally:
            for folder in (part, old):
                shutil.rmtree(folder, ignore_errors=True)


def mark_folder(folder: Path, document: dict[str, object]) -> None:
    """Write the file that says what a folder holds, and lists the files that the next export may replace."""
    files = sorted(entry.name for entry in folder.iterdir())
    (folder / MARK).write_text(json.dumps(document | {"files": files}, indent=2) + "\n", "utf-8")


def _marked(folder: Path) -> set[str]:
    """Names of the files in a folder that an export wrote; none where it is no export."""
    try:
        document = json.loads((folder / MARK).read_text("utf-8"))
        return {MARK, *document["files"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _beside(path: Path) -> Path:
    return path.with_name(f".etgraph-{secrets.token_hex(6)}.part")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an ExportError; a reader who went away is not one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
