"""The run: inputs in batches from a seed, a watchdog, and the table of what came of them."""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzz import mutate
from benchmarks.fuzz.archives import archive
from benchmarks.fuzz.judge import judge, judge_frames
from benchmarks.fuzz.seeds import Seeds
from etgraph.ingest import Limits, read
from etgraph.ingest.chakra.fields import METADATA, NODE
from etgraph.model import kernels
from etgraph.model.errors import EtgraphError

BATCH = 500
FILES, JSON, ARCHIVES = 10, 8, 6
"""Inputs of a batch that are read as files: streams of messages, JSON texts, and archives of such."""
STREAMS, HEADS = 60, 40
"""Inputs of a batch that are streams in memory, and metadata; the rest are nodes."""
LONGEST_SECONDS = 20.0
"""A batch takes a fraction of a second; what takes longer hangs. The first one compiles the kernels."""
FIRST_SECONDS = 300.0
MOST_MIB = 1000
"""How much the process may grow to its peak."""
LIMITS = Limits(max_bytes=64 << 20, max_archive_bytes=64 << 20)
SAVED = 20
INPUTS = frozenset({"trace.et", "trace.json", "run.zip", "run.tar"})
"""Names under which inputs are read."""


@dataclass(slots=True)
class Summary:
    """What a run came to. Outcomes are counted by kind of input; failures by what is wrong."""

    inputs: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    saved: dict[str, Path] = field(default_factory=dict)

    def table(self) -> str:
        """The table, and where the inputs of failures are."""
        lines = [f"{'input':<10}{'outcome':<68}{'count':>10}"]
        for kind, counter in self.outcomes.items():
            lines += [f"{kind:<10}{outcome:<68}{count:>10,}" for outcome, count in counter.most_common()]
        rate = self.inputs / self.seconds if self.seconds else 0.0
        accepted = sum(counter["accepted"] for counter in self.outcomes.values())
        lines.append(
            f"{self.inputs:,} inputs, {accepted:,} accepted, {rate:,.0f} a second, {self.seconds:.0f} s, "
            f"peak {self.peak_mib:.0f} MiB, {self.failures.total()} failures"
        )
        for words, count in self.failures.most_common():
            lines.append(f"  {count} × {words}" + (f": {self.saved[words]}" if words in self.saved else ""))
        return "\n".join(lines)


class Fuzzer:
    """One run. The inputs of a batch depend on the seed and the batch's number only."""

    def __init__(self, seed: int = 1, *, folder: Path | None = None, real: bool = True, pool: int = 400) -> None:
        """`folder` is where inputs go that show a failure, by default one in the system's temporary folder."""
        self.summary = Summary()
        self._seed = seed
        self._folder = folder or Path(tempfile.gettempdir()) / "etgraph-fuzz"
        self._seeds = Seeds(seed, real=real, size=pool)
        self._began = 0.0
        self._allowed = 0.0
        self._now: list[bytes] = []
        self._ended = threading.Event()

    def run(self, inputs: int, seconds: float = float("inf")) -> Summary:
        """Go through that many inputs, or as many as the time allows."""
        begin, before = time.perf_counter(), _peak_mib()
        for kind in ("nodes", "metadata", "streams", "files", "JSON", "archives"):
            self.summary.outcomes[kind] = Counter()
        shared = Path("/dev/shm")
        usable = shared if os.access(shared, os.W_OK) else None
        with (
            tempfile.TemporaryDirectory(prefix="etgraph-fuzz-", dir=usable) as folder,
            _temporary_files(Path(folder)),
            self._watched(),
        ):
            number = 0
            while self.summary.inputs < inputs and time.perf_counter() - begin < seconds:
                self._batch(number, min(BATCH, inputs - self.summary.inputs), Path(folder))
                number += 1
        self.summary.seconds = time.perf_counter() - begin
        self.summary.peak_mib = _peak_mib()
        if self.summary.peak_mib > before + MOST_MIB:
            self.summary.failures[f"{MOST_MIB} MiB of memory and more"] += 1
        return self.summary

    def failed(self, words: str, data: bytes) -> None:
        """Count a failure; the first input of each kind is saved."""
        self.summary.failures[words] += 1
        if words not in self.summary.saved and len(self.summary.saved) < SAVED:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"failure-{self._seed}-{len(self.summary.saved)}.bin"
            path.write_bytes(data)
            self.summary.saved[words] = path

    def _batch(self, number: int, size: int, folder: Path) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        pool, outcomes = self._seeds, self.summary.outcomes
        share = size / BATCH
        streams, heads, files, texts, packed = (round(n * share) for n in (STREAMS, HEADS, FILES, JSON, ARCHIVES))

        def node() -> bytes:
            return mutate.message(rng.choice(pool.nodes), rng, rng.choice(pool.nodes))

        def stream() -> bytes:
            head, nodes = rng.choice(pool.files)
            parts = [head, *nodes]
            if rng.randrange(4):
                at = rng.randrange(len(parts))
                other = rng.choice(pool.nodes if at else pool.metadata)
                parts[at] = mutate.message(parts[at], rng, other)
            return mutate.stream(parts, rng)

        nodes = [node() for _ in range(size - streams - heads - files - texts - packed)]
        metadata = [mutate.message(rng.choice(pool.metadata), rng, rng.choice(pool.metadata)) for _ in range(heads)]
        wholes = [stream() for _ in range(streams)]
        self._now, self._began = [*nodes, *metadata, *wholes], time.perf_counter()
        self._allowed = LONGEST_SECONDS if number else FIRST_SECONDS
        with _compiled(True):
            self._guarded(nodes, NODE, outcomes["nodes"])
            self._guarded(metadata, METADATA, outcomes["metadata"])
            within = [judge_frames(whole, outcomes["streams"], self.failed) for whole in wholes]
            beside: Counter[str] = Counter()  # a stream is one input, however many messages it holds
            self._guarded([parts[0] for parts in within if parts], METADATA, beside)
            self._guarded([part for parts in within for part in parts[1:]], NODE, beside)
        for at in range(files + texts + packed):
            if at >= files + texts:
                parts = [stream(), mutate.json_text(rng.choice(pool.jsonizer), rng), b'{"traceEvents": []}']
                data, name, kind = archive(parts, rng), rng.choice(("run.zip", "run.tar")), "archives"
            elif at < files:
                data, name, kind = stream(), "trace.et", "files"
            elif rng.randrange(2):
                data, name, kind = mutate.json_text(rng.choice(pool.jsonizer), rng), "trace.json", "JSON"
            else:
                data, name, kind = mutate.json_text([rng.choice(pool.feeder)], rng), "trace.json", "JSON"
            # Half of them by the kernels as plain Python, which small files are read with.
            with _compiled(at % 2 == 0):
                self._read(data, folder / name, outcomes[kind])
        self.summary.inputs += size
        self._began = 0.0

    def _guarded(self, messages: list[bytes], root: int, outcomes: Counter[str]) -> None:
        """Judge messages; where that fails as a whole, one by one."""
        counted, before = outcomes.copy(), self.summary.failures.copy()
        try:
            judge(messages, root, outcomes, self.failed)
        except Exception:
            self.summary.failures = before
            outcomes.clear()
            outcomes.update(counted)
            for message in messages:
                try:
                    judge([message], root, outcomes, self.failed)
                except Exception as error:
                    self.failed(_escaped(error), message)

    def _read(self, data: bytes, path: Path, outcomes: Counter[str]) -> None:
        """Read a file as a user does: an error of ours that names the file, or a valid trace; no file is left."""
        path.write_bytes(data)
        self._now, self._began, self._allowed = [data], time.perf_counter(), max(self._allowed, LONGEST_SECONDS)
        try:
            read(path, limits=LIMITS).validate()
            outcomes["accepted"] += 1
        except EtgraphError as error:
            outcomes[f"rejected: {error.code}"] += 1
            if path.name not in str(error):
                self.failed(f"an error that does not name the file: {error.code}", data)
        except Exception as error:
            self.failed(_escaped(error), data)
        if left := [p.name for p in path.parent.rglob("*") if p.name not in INPUTS]:
            self.failed("files are left or written elsewhere", data)
            for name in left:
                shutil.rmtree(path.parent / name, ignore_errors=True)
                (path.parent / name).unlink(missing_ok=True)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """End the process where an input takes too long: machine code cannot be interrupted."""
        self._ended.clear()
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            if self._began and time.perf_counter() - self._began > self._allowed:
                self.failed("takes too long", b"".join(mutate.varint(len(m)) + m for m in self._now))
                print(self.summary.table(), flush=True)
                os._exit(1)


@contextmanager
def _temporary_files(folder: Path) -> Iterator[None]:
    """Let temporary files be made in a folder, where those that are left can be seen."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _peak_mib() -> float:
    # The unit is a kibibyte, and a byte on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _escaped(error: Exception) -> str:
    """An error that is none of ours: its type and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "etgraph" in Path(f.filename).parts] or list(frames)
    return f"{type(error).__name__} escapes from {Path(ours[-1].filename).name}, {ours[-1].name}"


@contextmanager
def _compiled(always: bool) -> Iterator[None]:
    """Run kernels as machine code even on small arrays, or as plain Python."""
    before = kernels.COMPILE_FROM
    kernels.COMPILE_FROM = 0 if always else 1 << 40
    try:
        yield
    finally:
        kernels.COMPILE_FROM = before


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--folder", type=Path, default=None, help="where inputs go that show a failure")
    chosen = parser.parse_args(arguments)
    summary = Fuzzer(chosen.seed, folder=chosen.folder).run(chosen.inputs, chosen.seconds)
    print(summary.table())
    return int(summary.failures.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
