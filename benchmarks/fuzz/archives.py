"""Archives: of several kinds, in each other, with odd members and lying directories; and such as must be refused."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping

import zstandard

from benchmarks.fuzz.messages import damaged
from etgraph.ingest import Limits

LIMITS = Limits(
    max_bytes=1 << 20, ratio_from=1 << 18, max_ratio=250, max_members=40, max_archive_bytes=2 << 20, max_depth=3
)
"""So small that what exceeds them is made and refused in a millisecond."""
NAMES = ("trace.0.et", "trace.1.et", "rank1/trace.json", "a/b/c.json.gz", "notes.txt", "comm_groups.json", "é.json")
ODD_NAMES = ("../x.json", "/x.json", "C:\\x.json", "a/../../x", "", ".", "a//b.json", "x\0y.json", "n" * 5000,
             "\udcff.et", "a\nb.json", "trace.0.et")  # fmt: skip
LEADING_OUT = ("../x.json", "/x.json", "C:\\x.json", "a/../../x.json", "..\\x.json", "\\\\host\\x.json")
KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE,
         tarfile.CONTTYPE, b"Z")  # fmt: skip
NUMBERS = (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
Files = Mapping[str, bytes]


def archive(files: list[bytes], run: Files, rng: random.Random, depth: int = 0) -> bytes:
    """An archive of some of these files, or of a whole run, whose bytes may be changed."""
    members: dict[str, bytes] = dict(run) if rng.randrange(3) == 0 else {}
    for _ in range(rng.randrange(2 if members else 4)):
        name = rng.choice(NAMES) if rng.randrange(16) else rng.choice(ODD_NAMES)
        members.setdefault(name, packed(rng.choice(files), rng))
    if depth < 4 and rng.randrange(4) == 0:
        members[rng.choice(("inner.zip", "inner.tar", "x"))] = archive(files, run, rng, depth + 1)
    data = _zipped(members, rng, odd=True) if rng.randrange(2) else _tarred(members, rng, odd=True)
    if rng.randrange(6) == 0:
        data = _lying(data, rng)
    if rng.randrange(8) == 0:
        data = damaged(data, rng)
    if rng.randrange(16) == 0:
        data = data[: rng.randrange(len(data) + 1)]
    return packed(data, rng)


def whole(files: Files, rng: random.Random) -> bytes:
    """An archive with nothing wrong about it."""
    return packed(_zipped(files, rng) if rng.randrange(2) else _tarred(files, rng), rng)


def packed(data: bytes, rng: random.Random) -> bytes:
    """The bytes, some of the time compressed."""
    which = rng.randrange(6)
    if which == 0:
        return gzip.compress(data, 1)
    return zstandard.compress(data, 1) if which == 1 else data


def refused(run: Files, rng: random.Random) -> bytes:
    """An archive, whole but for one thing for which it must be refused: a way out, a link, a bomb."""
    return rng.choice(_REFUSED)(run, rng)


def _leads_out(run: Files, rng: random.Random) -> bytes:
    members = {**run, rng.choice(LEADING_OUT): b"{}"}
    return packed(_zipped(members, rng) if rng.randrange(2) else _tarred(members, rng), rng)


def _zipped_link(run: Files, rng: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in run.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("link.json")
        link.create_system, link.external_attr = 3, rng.choice((0o120777, 0o20666, 0o10666)) << 16
        archive.writestr(link, rng.choice(("/etc/passwd", "kineto_rank0.json")))
    return out.getvalue()


def _tarred_link(run: Files, rng: random.Random) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in run.items():
            _add(archive, name, data)
        link = tarfile.TarInfo("link.json")
        link.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE))
        link.linkname = rng.choice(("/etc/passwd", "../x", "kineto_rank0.json"))
        archive.addfile(link)
    return packed(out.getvalue(), rng)


def _bomb(run: Files, rng: random.Random) -> bytes:
    """A trace in it, or all of them together, or the whole archive, grows beyond the limits."""
    many = rng.randrange(2) == 0
    text = b'{"traceEvents": [' + b" " * (LIMITS.max_bytes - 100 if many else LIMITS.max_bytes) + b"]}"
    members = {f"rank{rank}.json": text for rank in range(3 if many else 1)}
    if rng.randrange(2):
        return packed(_zipped(members, rng, way=zipfile.ZIP_DEFLATED), rng)
    if rng.randrange(2) and not many:
        members = {name: gzip.compress(data) for name, data in members.items()}
    return gzip.compress(_tarred(members, rng), 1)


def _too_deep(run: Files, rng: random.Random) -> bytes:
    data = whole(run, rng)
    for _ in range(LIMITS.max_depth):
        data = whole({"inner": data}, rng)
    return data


def _too_many(run: Files, rng: random.Random) -> bytes:
    members = {**run, **{f"{number}.txt": b"" for number in range(LIMITS.max_members)}}
    return whole(members, rng)


def _twice(run: Files, rng: random.Random) -> bytes:
    name = next(iter(run))
    out = io.BytesIO()
    if rng.randrange(2):
        with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same name twice is what is wanted here
            for twice in (*run, name):
                archive.writestr(twice, run[twice])
    else:
        with tarfile.open(fileobj=out, mode="w") as tar:
            for twice in (*run, name):
                _add(tar, twice, run[twice])
    return out.getvalue()


_REFUSED: tuple[Callable[[Files, random.Random], bytes], ...] = (
    _leads_out, _zipped_link, _tarred_link, _bomb, _too_deep, _too_many, _twice,
)  # fmt: skip


def _zipped(members: Files, rng: random.Random, *, odd: bool = False, way: int | None = None) -> bytes:
    out = io.BytesIO()
    usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    way = rng.choice((*(usual * 4), zipfile.ZIP_BZIP2) if odd else usual) if way is None else way
    with zipfile.ZipFile(out, "w", way, compresslevel=1) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that occur twice are what is wanted here
        for name, data in members.items():
            info = zipfile.ZipInfo(name.encode(errors="replace").decode() or "x")
            info.compress_type = way
            if odd and rng.randrange(24) == 0:
                info.external_attr = rng.choice((0o120777, 0o20666, 0o40755)) << 16
            with archive.open(info, "w", force_zip64=rng.randrange(6) == 0) as member:
                member.write(data)
        archive.comment = rng.randbytes(rng.randrange(3))
    return out.getvalue()


def _tarred(members: Files, rng: random.Random, *, odd: bool = False) -> bytes:
    out = io.BytesIO()
    format = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        for name, data in members.items():
            if not odd:
                _add(archive, name, data)
                continue
            member = tarfile.TarInfo(name)
            if rng.randrange(24) == 0:
                member.type, member.linkname = rng.choice(KINDS), "trace.0.et"
            if format == tarfile.PAX_FORMAT and rng.randrange(16) == 0:
                member.pax_headers = {
                    rng.choice(("size", "path", "GNU.sparse.major", "x")): rng.choice(("1", "-1", "y"))
                }
            member.size = len(data) if rng.randrange(24) else rng.choice(NUMBERS)
            archive.addfile(member, io.BytesIO(data.ljust(min(member.size, 1 << 16), b"\0"))
                            if member.size <= 1 << 16 else None)  # fmt: skip
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _lying(data: bytes, rng: random.Random) -> bytes:
    """A number of a directory or a header changed; a tar header's checksum is made to fit."""
    out = bytearray(data)
    places = [at for magic in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7") for at in _all(data, magic)]
    if places:
        at = rng.choice(places) + rng.randrange(4, 50)
        size = rng.choice((1, 2, 4))
        out[at : at + size] = rng.choice(NUMBERS).to_bytes(4, "little")[:size]
    elif len(out) >= 512:
        header = 512 * rng.randrange(len(out) // 512)
        at = header + rng.choice((0, 100, 124, 135, 156, 257, 345))
        out[at : at + 1] = rng.choice((b"\0", b"7", b"\x80", b"x", b"/"))
        total = sum(out[header : header + 148]) + 256 + sum(out[header + 156 : header + 512])
        out[header + 148 : header + 156] = b"%06o\0 " % total
    return bytes(out)


def _all(data: bytes, magic: bytes) -> list[int]:
    found, at = [], data.find(magic)
    while at >= 0:
        found.append(at)
        at = data.find(magic, at + 1)
    return found
