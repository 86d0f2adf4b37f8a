"""Archives made in memory by the standard library, of files given by name."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import zstandard

Files = Mapping[str, bytes]


def zipped(files: Files, way: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", way) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: Files, format: int = tarfile.PAX_FORMAT, *more: tarfile.TarInfo) -> bytes:
    """A tar archive; `more` are members without content, such as links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in more:
            archive.addfile(member)
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A member that is no file."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def entry(name: str, **facts: Any) -> zipfile.ZipInfo:
    """A zip member with other facts than usual."""
    info = zipfile.ZipInfo(name)
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def zipped_entries(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    """A zip archive of such members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, data in entries:
            archive.writestr(info, data)
    return out.getvalue()


WAYS: dict[str, Callable[[Files], bytes]] = {
    "run.zip": zipped,
    "stored.zip": lambda files: zipped(files, zipfile.ZIP_STORED),
    "run.tar": tarred,
    "gnu.tar": lambda files: tarred(files, tarfile.GNU_FORMAT),
    "run.tar.gz": lambda files: gzip.compress(tarred(files), 1),
    "run.tgz": lambda files: gzip.compress(tarred(files, tarfile.USTAR_FORMAT), 1),
    "run.tar.zst": lambda files: zstandard.compress(tarred(files), 1),
    "run.zip.gz": lambda files: gzip.compress(zipped(files), 1),
}
"""Archives by the names that they have; what is in them does not hang on the name."""
