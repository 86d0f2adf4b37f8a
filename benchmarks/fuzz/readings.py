"""The verdict on inputs that are read as a user reads them: an error of ours that names the file, or a valid trace.

A folder is at times read in a second way, as an archive or with the other form of the kernels, which must give the
same. No file may be left, or written anywhere else.
"""

from __future__ import annotations

import io
import random
import shutil
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.archives import LIMITS, whole
from benchmarks.fuzz.inputs import Input
from etgraph.ingest import read
from etgraph.model import Trace, kernels
from etgraph.model.errors import EtgraphError

Report = Callable[[str, bytes], None]
"""Takes a failure in words, and the input."""
_IN_A_CIRCLE = "dependencies form a cycle"
COMPILED, AGAIN = 8, 4
"""One input of so many is read by compiled kernels, and all attributes with it; one folder in a second way."""


@contextmanager
def compiled(always: bool) -> Iterator[None]:
    """Run kernels as machine code even on small arrays, or as plain Python, which small files are read with."""
    before = kernels.COMPILE_FROM
    kernels.COMPILE_FROM = 0 if always else 1 << 40
    try:
        yield
    finally:
        kernels.COMPILE_FROM = before


def judge(given: Input, below: Path, rng: random.Random, outcomes: Counter[str], report: Report) -> None:
    """Read one input; counts the outcome and reports failures. `below` is an empty folder and is so afterwards."""
    path = below / ("run" if given.folder else next(iter(given.files)))
    put(given, path)
    try:
        _judge(given, path, rng, outcomes, report)
    except Exception as error:
        report(escaped(error), saved(given))
    remove(path)
    if left := list(below.iterdir()):
        report("files are left or written elsewhere", saved(given))
        for other in left:
            remove(other)


def _judge(given: Input, path: Path, rng: random.Random, outcomes: Counter[str], report: Report) -> None:
    machine = rng.randrange(COMPILED) == 0
    first = _read(path, machine)
    if isinstance(first, Trace):
        outcomes["accepted"] += 1
        if given.refused:
            report("accepted, but must be refused", saved(given))
    else:
        outcomes[f"rejected: {first.code}"] += 1
        if path.name not in first.message:
            report(f"an error that does not name the file: {first.code}", saved(given))
        if _IN_A_CIRCLE in first.message and not given.may_have_cycles:
            report("dependencies in a circle that no file has", saved(given))
    if given.folder and rng.randrange(AGAIN) == 0:
        _compare(first, _read_again(given, path, rng, machine), given, report)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What an error of ours said. The error itself would hold what was read, and with it temporary files."""

    code: str
    message: str


def _read(path: Path, machine: bool) -> Trace | _Refusal:
    try:
        with compiled(machine):
            trace = read(path, limits=LIMITS, workers=1)
            trace.validate()
            for row in range(len(trace) if machine else 0):
                trace.operator_attributes(row)
            return trace
    except EtgraphError as error:
        return _Refusal(error.code, str(error))


def _read_again(given: Input, path: Path, rng: random.Random, machine: bool) -> Trace | _Refusal:
    """The same files in another way."""
    if given.plain and given.files and rng.randrange(2):
        remove(path)
        path.write_bytes(whole(given.files, rng))
        return _read(path, machine)
    return _read(path, not machine)


def _compare(first: Trace | _Refusal, second: Trace | _Refusal, given: Input, report: Report) -> None:
    if isinstance(first, _Refusal) or isinstance(second, _Refusal):
        codes = [x.code if isinstance(x, _Refusal) else "accepted" for x in (first, second)]
        if codes[0] != codes[1]:
            report(f"read in two ways: {codes[0]} and {codes[1]}", saved(given))
        return
    differing = [name for name, columns in first.tables.items() if not columns.equals(second.tables[name])]
    if differing or first.trace_id != second.trace_id:
        report(f"read in two ways, other {', '.join(differing) or 'ids'}", saved(given))


def put(given: Input, path: Path) -> None:
    """Write the file, or the files of the folder."""
    for name, data in given.files.items():
        target = path / name if given.folder else path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    if given.folder:
        path.mkdir(exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def saved(given: Input) -> bytes:
    """An input as one file: itself, or a zip archive of a folder's files, which reads like them."""
    if not given.folder:
        return next(iter(given.files.values()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in given.files.items():
            archive.writestr(name, data)
    return out.getvalue()


def escaped(error: Exception) -> str:
    """An error that is none of ours: its type and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "etgraph" in Path(f.filename).parts] or list(frames)
    return f"{type(error).__name__} escapes from {Path(ours[-1].filename).name}, {ours[-1].name}"
