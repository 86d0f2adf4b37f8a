"""The run: inputs in batches from a seed, a watchdog, and the table of what came of them."""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.fuzz import messages, readings
from benchmarks.fuzz.inputs import SHARES, Pool
from benchmarks.fuzz.judge import judge, judge_frames
from benchmarks.fuzz.readings import compiled, escaped, saved
from benchmarks.fuzz.seeds import Seeds
from etgraph.ingest.chakra.fields import METADATA, NODE

BATCH = 500
HEADS, STREAMS = 20, 40
"""Inputs of a batch that are metadata and streams of Chakra in memory. `SHARES` are read; the rest, 260, are nodes."""
LONGEST_SECONDS = 20.0
"""An input takes milliseconds; what takes longer hangs. The first batch compiles the kernels."""
FIRST_SECONDS = 300.0
MOST_MIB = 1000
"""How much the process may grow to its peak."""
SETTLED, MOST_GROWTH_MIB = 40, 300
"""Batches after which memory has settled, and how much it may grow from then to the end."""
SAVED = 20


@dataclass(slots=True)
class Summary:
    """What a run came to. Outcomes are counted by kind of input; failures by what is wrong."""

    inputs: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    growth_mib: float = 0.0
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: Counter[str] = field(default_factory=Counter)
    saved: dict[str, Path] = field(default_factory=dict)

    def table(self) -> str:
        """The table, and where the inputs of failures are."""
        lines = [f"{'input':<12}{'outcome':<68}{'count':>10}"]
        for kind, counter in self.outcomes.items():
            lines += [f"{kind:<12}{outcome:<68}{count:>10,}" for outcome, count in counter.most_common()]
        lines.append("")
        for kind, counter in self.outcomes.items():
            count = counter.total()
            cost = f"{self.spent[kind] / count * 1e3:7.2f} ms each" if count else ""
            lines.append(f"{kind:<12}{count:>10,} inputs, {counter['accepted'] / max(count, 1):7.1%} accepted{cost}")
        rate = self.inputs / self.seconds if self.seconds else 0.0
        accepted = sum(counter["accepted"] for counter in self.outcomes.values())
        lines.append(
            f"{self.inputs:,} inputs, {accepted:,} accepted, {rate:,.0f} a second, {self.seconds:.0f} s, "
            f"peak {self.peak_mib:.0f} MiB, growth {self.growth_mib:.0f} MiB, {self.failures.total()} failures"
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
        self._pool = Pool(self._seeds, seed, real=real, size=max(pool // 3, 10))
        self._began = 0.0
        self._allowed = 0.0
        self._now: list[bytes] = []
        self._ended = threading.Event()

    def run(self, inputs: int, seconds: float = float("inf")) -> Summary:
        """Go through that many inputs, or as many as the time allows."""
        begin, before, settled = time.perf_counter(), _peak_mib(), 0.0
        for kind in ("nodes", "metadata", "streams", *SHARES):
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
                if number == SETTLED:
                    settled = _resident_mib()
        self.summary.seconds = time.perf_counter() - begin
        self.summary.peak_mib = _peak_mib()
        self.summary.growth_mib = _resident_mib() - settled if settled else 0.0
        if self.summary.peak_mib > before + MOST_MIB:
            self.summary.failures[f"{MOST_MIB} MiB of memory and more"] += 1
        if self.summary.growth_mib > MOST_GROWTH_MIB:
            self.summary.failures[f"memory that grows by more than {MOST_GROWTH_MIB} MiB"] += 1
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
        self._allowed = LONGEST_SECONDS if number else FIRST_SECONDS
        share = size / BATCH
        counts = {kind: round(count * share) for kind, (count, _) in SHARES.items()}
        heads, streams = round(HEADS * share), round(STREAMS * share)
        self._judge_messages(size - sum(counts.values()) - heads - streams, heads, streams, rng)
        for kind, (_, make) in SHARES.items():
            for _ in range(counts[kind]):
                given = make(self._pool, rng)
                self._now = [saved(given)]
                with self._timed(kind):
                    readings.judge(given, folder, rng, self.summary.outcomes[kind], self.failed)
        self.summary.inputs += size

    def _judge_messages(self, nodes: int, heads: int, streams: int, rng: random.Random) -> None:
        """Judge Chakra messages in memory: nodes, metadata, and streams of both."""
        pool, outcomes = self._seeds, self.summary.outcomes
        made = [messages.message(rng.choice(pool.nodes), rng, rng.choice(pool.nodes)) for _ in range(nodes)]
        metadata = [messages.message(rng.choice(pool.metadata), rng, rng.choice(pool.metadata)) for _ in range(heads)]
        wholes = [self._pool.stream(rng) for _ in range(streams)]
        self._now = [*made, *metadata, *wholes]
        with compiled(True):
            with self._timed("nodes"):
                self._guarded(made, NODE, outcomes["nodes"])
            with self._timed("metadata"):
                self._guarded(metadata, METADATA, outcomes["metadata"])
            with self._timed("streams"):
                within = [judge_frames(whole, outcomes["streams"], self.failed) for whole in wholes]
                beside: Counter[str] = Counter()  # a stream is one input, however many messages it holds
                self._guarded([parts[0] for parts in within if parts], METADATA, beside)
                self._guarded([part for parts in within for part in parts[1:]], NODE, beside)

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        """Let the watchdog wait for what is done now, and note its processor time."""
        self._began, begin = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._began = 0.0
            self.summary.spent[kind] += time.process_time() - begin

    def _guarded(self, parts: list[bytes], root: int, outcomes: Counter[str]) -> None:
        """Judge messages; where that fails as a whole, one by one."""
        counted, before = outcomes.copy(), self.summary.failures.copy()
        try:
            judge(parts, root, outcomes, self.failed)
        except Exception:
            self.summary.failures = before
            outcomes.clear()
            outcomes.update(counted)
            for part in parts:
                try:
                    judge([part], root, outcomes, self.failed)
                except Exception as error:
                    self.failed(escaped(error), part)

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
            if (began := self._began) and time.perf_counter() - began > self._allowed:
                now = self._now
                whole = now[0] if len(now) == 1 else b"".join(messages.varint(len(m)) + m for m in now)
                self.failed("takes too long", whole)
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


def _resident_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--folder", type=Path, default=None, help="where inputs go that show a failure")
    chosen = parser.parse_args(arguments)
    fuzzer = Fuzzer(chosen.seed, folder=chosen.folder)
    gc.collect()
    gc.freeze()  # what inputs are made from stays, and need not be looked through again and again
    try:
        summary = fuzzer.run(chosen.inputs, chosen.seconds)
    finally:
        gc.unfreeze()
    print(summary.table())
    return int(summary.failures.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
