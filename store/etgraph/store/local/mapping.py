"""Files mapped into memory without holding them open.

Arrow's own memory maps keep a file descriptor each; a store's user may hold hundreds of traces of a dozen files.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etgraph.model.errors import CorruptStore

if TYPE_CHECKING:
    import pyarrow as pa


class _Mapping:
    """Keeps the pages until the last buffer over them goes."""

    __slots__ = ("__weakref__",)


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def map_file(path: Path, expected: int, *, copied: bool = False) -> pa.Buffer:
    """The content of a file as a buffer over mapped pages, valid after the file is deleted.

    `copied` reads it into memory instead: on a network file system the pages go when another machine deletes the file.
    Raises CorruptStore when the file does not have the expected number of bytes, OSError when it cannot be opened.
    """
    import pyarrow as pa

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size != expected:
            raise CorruptStore(f"{path}: found {size} bytes, expected {expected}")
        if size == 0:
            return pa.py_buffer(b"")
        if copied:
            with open(descriptor, "rb", closefd=False) as file:
                return pa.py_buffer(file.read())
        if sys.platform not in ("linux", "darwin"):
            return pa.py_buffer(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ))
        address = _libc().mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if address is None or address == ctypes.c_void_p(-1).value:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
    owner = _Mapping()
    # Arrays may outlive the interpreter's orderly shutdown; the process's end unmaps by itself.
    weakref.finalize(owner, _libc().munmap, address, size).atexit = False
    return pa.foreign_buffer(address, size, base=owner)


def read_table(path: Path, expected: int, *, copied: bool = False) -> pa.Table:
    """The table of an Arrow IPC file over mapped pages. Raises CorruptStore for a file that is none."""
    import pyarrow as pa

    reader = open_batches(path, expected, copied=copied)
    try:
        return reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise CorruptStore(f"{path}: found {error}, expected a table") from error


def open_batches(path: Path, expected: int, *, copied: bool = False) -> pa.RecordBatchFileReader:
    """A reader of an Arrow IPC file over mapped pages. Raises CorruptStore for a file that is none."""
    import pyarrow as pa

    buffer = map_file(path, expected, copied=copied)
    try:
        return pa.ipc.open_file(pa.BufferReader(buffer))
    except (pa.ArrowException, OSError) as error:
        raise CorruptStore(f"{path}: found {error}, expected an Arrow file") from error
