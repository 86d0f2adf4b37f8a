"""Failures of the system and of SQLite, told as errors of the store."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etgraph.model.errors import CorruptStore, StoreError
from etgraph.store.errors import ReadOnlyStore, StoreBusy, StoreFull
from etgraph.store.references import no_unicode

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def explained(folder: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn OSError and sqlite3.Error into StoreError; `needed` is the number of bytes that were to be written.

    A name with half a surrogate pair, as JSON may spell one, is a UsageError.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise no_unicode(error) from error
    except sqlite3.Error as error:
        raise _of_sqlite(error, folder, needed) from error
    except OSError as error:
        raise of_system(error, folder, needed) from error


def of_system(error: OSError, folder: Path, needed: int | None) -> StoreError:
    """The store's error for a failed system call."""
    place = error.filename or folder
    if error.errno in _FULL:
        return _full(folder, needed, error.strerror or str(error))
    if error.errno in _READ_ONLY:
        return ReadOnlyStore(
            f"store {folder}: {place}: {error.strerror}", hint="check the owner and permissions of the store's folder"
        )
    return StoreError(f"store {folder}: {place}: {error.strerror or error}")


def _of_sqlite(error: sqlite3.Error, folder: Path, needed: int | None) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    catalogue = folder / "catalogue.sqlite"
    if name == "SQLITE_FULL":
        return _full(folder, needed, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy(f"{catalogue}: another process holds the catalogue ({error})", hint="try again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return ReadOnlyStore(f"{catalogue}: {error}")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CorruptStore(f"{catalogue}: found {error}, expected a SQLite database")
    return StoreError(f"{catalogue}: {error}")


def _full(folder: Path, needed: int | None, detail: str) -> StoreFull:
    try:
        free = f"{shutil.disk_usage(_existing(folder)).free} bytes are free"
    except OSError:
        free = "free space unknown"
    wanted = f"about {needed} bytes are needed, " if needed is not None else ""
    return StoreFull(
        f"store {folder}: {detail}: {wanted}{free}; nothing was kept",
        hint="remove traces, raise the quota, or use another folder",
    )


def _existing(folder: Path) -> Path:
    return next((p for p in (folder, *folder.parents) if p.exists()), folder)
