"""Archives made from files of the pool: of several kinds, in each other, with odd members and lying directories."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import warnings
import zipfile

import zstandard

from benchmarks.fuzz.mutate import damaged

NAMES = ("trace.0.et", "trace.1.et", "rank1/trace.json", "a/b/c.json.gz", "notes.txt", "comm_groups.json", "é.json")
ODD_NAMES = ("../x.json", "/x.json", "C:\\x.json", "a/../../x", "", ".", "a//b.json", "x\0y.json", "n" * 5000,
             "\udcff.et", "a\nb.json", "trace.0.et")  # fmt: skip
KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE,
         tarfile.CONTTYPE, b"Z")  # fmt: skip
NUMBERS = (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def archive(files: list[bytes], rng: random.Random, depth: int = 0) -> bytes:
    """An archive of some of these files, whose bytes may be changed."""
    members: dict[str, bytes] = {}
    for _ in range(rng.randrange(4)):
        name = rng.choice(NAMES) if rng.randrange(16) else rng.choice(ODD_NAMES)
        members.setdefault(name, _packed(rng.choice(files), rng))
    if depth < 4 and rng.randrange(3) == 0:
        members[rng.choice(("inner.zip", "inner.tar", "x"))] = archive(files, rng, depth + 1)
    data = _zipped(members, rng) if rng.randrange(2) else _tarred(members, rng)
    if rng.randrange(4) == 0:
        data = _lying(data, rng)
    if rng.randrange(6) == 0:
        data = damaged(data, rng)
    return _packed(data, rng)


def _packed(data: bytes, rng: random.Random) -> bytes:
    which = rng.randrange(6)
    if which == 0:
        return gzip.compress(data, 1)
    return zstandard.compress(data, 1) if which == 1 else data


def _zipped(members: dict[str, bytes], rng: random.Random) -> bytes:
    out = io.BytesIO()
    way = rng.choice((*(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) * 4, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(out, "w", way) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that occur twice are what is wanted here
        for name, data in members.items():
            info = zipfile.ZipInfo(name.encode(errors="replace").decode() or "x")
            info.compress_type = way
            if rng.randrange(24) == 0:
                info.external_attr = rng.choice((0o120777, 0o20666, 0o40755)) << 16
            with archive.open(info, "w", force_zip64=rng.randrange(6) == 0) as member:
                member.write(data)
        archive.comment = rng.randbytes(rng.randrange(3))
    return out.getvalue()


def _tarred(members: dict[str, bytes], rng: random.Random) -> bytes:
    out = io.BytesIO()
    format = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        for name, data in members.items():
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
