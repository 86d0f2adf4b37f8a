"""Publishers are killed at random moments; what they said was published must be there, and nothing by halves.

In each round two processes work on one local store. One is killed (SIGKILL) after a random time, the other finishes.
Then a third looks: every row's files match their checksums, every operation that was acknowledged happened, the one
that was under way happened or did not, and after a sweep no file is left that no row names.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from etgraph.model import TABLES, AttributeWriter, Columns, Trace
from etgraph.model.errors import NotFound
from etgraph.store import Store, connect

TRACES = 4
REVISIONS = 3
SURVIVOR_TURNS = 4
LONGEST_SECONDS = 0.12


@dataclass(slots=True)
class Summary:
    """What the rounds came to: `faults` must be empty."""

    rounds: int = 0
    killed: int = 0
    acknowledged: int = 0
    under_way: int = 0
    swept: int = 0
    faults: list[str] = field(default_factory=list)


def small_trace(number: int, revision: int) -> Trace:
    """A trace of a few hundred operators with attributes; its values tell its number and revision."""
    count = 200 + 50 * number
    with AttributeWriter() as writer:
        writer.extend([b'{"row":%d}' % row for row in range(count)])
    data = {
        "rank": np.zeros(count), "index": np.arange(count), "name": np.zeros(count), "kind": np.full(count, 4),
        "category": np.full(count, 5), "start_ns": np.arange(count) * 10 + revision, "duration_ns": np.full(count, 7),
        "attrs": np.arange(count),
    }  # fmt: skip
    operators = Columns(TABLES["operators"], data, {"name": [f"operator {number}"]})
    return Trace(operators, attributes=writer.attributes, trace_id=f"{number:064x}", revision=revision)


def _victim(store: Store, rng: random.Random, say: Callable[[str], None], traces: dict[tuple[int, int], Trace]) -> None:
    """Change the store at random until killed: `?` before an operation, `!` after it."""
    while True:
        number, revision = rng.randrange(TRACES), rng.randint(1, REVISIONS)
        trace = traces[number, revision]
        action = rng.choices(("publish", "remove", "artefact"), (6, 3, 2))[0]
        words = f"{action} {number} {revision}"
        say(f"?{words}\n")
        try:
            if action == "publish":
                store.publish(trace, workload=f"w{number}")
            elif action == "remove":
                store.remove(trace.trace_id)
            else:
                store.put_artefact(trace.trace_id, "kind", str(revision), pa.table({"a": range(500)}))
        except NotFound:
            pass
        say(f"!{words}\n")


def _survivor(store: Store, rng: random.Random, traces: dict[tuple[int, int], Trace]) -> None:
    """Work on traces of its own beside the victim, and find each as it was published."""
    for turn in range(SURVIVOR_TURNS):
        number = rng.randrange(TRACES)
        trace = replace(traces[number, 1], trace_id=f"{number + TRACES:064x}", revision=turn + 1)
        store.publish(trace, workload="survivor")
        found = store.load(trace.trace_id)
        if found.revision < turn + 1 or not found.operators.equals(trace.operators):
            raise AssertionError(f"{trace.trace_id[-2:]}: found revision {found.revision}, expected {turn + 1}")
        if turn == SURVIVOR_TURNS - 1:
            for n in range(TRACES):
                try:
                    store.remove(f"{n + TRACES:064x}")
                except NotFound:
                    pass


def _spawn(work: Callable[[], None]) -> int:
    """A child process that runs `work` and nothing after it; forked, so that a round takes no start-up."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


class Expectation:
    """What the store must hold, by the victim's own words: trace number to the revisions that are possible."""

    def __init__(self) -> None:
        self._possible: dict[int, set[int]] = {number: {0} for number in range(TRACES)}

    @staticmethod
    def _after(action: str, before: set[int], revision: int) -> set[int]:
        if action == "publish":
            return {max(known, revision) for known in before}
        return {0} if action == "remove" else before

    def apply(self, words: str, *, finished: bool) -> None:
        """One operation; one that was under way may have happened or not."""
        action, number, revision = words.split()
        before = self._possible[int(number)]
        after = self._after(action, before, int(revision))
        self._possible[int(number)] = after if finished else before | after

    def settle(self, store: Store, traces: dict[tuple[int, int], Trace]) -> list[str]:
        """Faults of the store; from here on, what it holds is what is expected."""
        faults = []
        for number, possible in self._possible.items():
            try:
                found = store.load(f"{number:064x}")
                revision = found.revision
                expected = traces[number, revision]
                if not found.operators.equals(expected.operators):
                    faults.append(f"trace {number}: other operators than were published")
                if found.operator_attributes(len(found) - 1) != {"row": len(found) - 1}:
                    faults.append(f"trace {number}: other attributes than were published")
            except NotFound:
                revision = 0
            if revision not in possible:
                faults.append(f"trace {number}: found revision {revision}, expected one of {sorted(possible)}")
            self._possible[number] = {revision}
        return faults


def _files_without_row(folder: Path, store: Store) -> list[str]:
    """Folders of traces and of publishers that exist although no row needs them."""
    known = len({info.id for info in store.traces()})
    folders = list((folder / "traces").glob("*/*/*"))
    left = [path.name for path in (folder / "staging").iterdir()]
    return left + ([f"{len(folders)} folders for {known} traces"] if len(folders) != known else [])


def one_round(
    folder: Path, rng: random.Random, expected: Expectation, traces: dict[tuple[int, int], Trace], summary: Summary
) -> None:
    """Start both, kill one, wait for the other, and look."""
    reading, writing = os.pipe()
    seeds = rng.getrandbits(32), rng.getrandbits(32)

    def victim() -> None:
        os.close(reading)
        with connect(folder) as store:
            _victim(store, random.Random(seeds[0]), lambda words: void(os.write(writing, words.encode())), traces)

    def survivor() -> None:
        with connect(folder) as store:
            _survivor(store, random.Random(seeds[1]), traces)

    doomed, other = _spawn(victim), _spawn(survivor)
    os.close(writing)
    time.sleep(rng.uniform(0.0, LONGEST_SECONDS))
    os.kill(doomed, signal.SIGKILL)
    _, status = os.waitpid(doomed, 0)
    _, other_status = os.waitpid(other, 0)
    with open(reading, encoding="ascii") as pipe:
        lines = pipe.read().splitlines()
    pending = ""
    for line in lines:
        if line[0] == "!":
            expected.apply(line[1:], finished=True)
            summary.acknowledged += 1
        pending = line[1:] if line[0] == "?" else ""
    if pending:
        expected.apply(pending, finished=False)
        summary.under_way += 1
    faults = []
    if not os.WIFSIGNALED(status):
        faults.append(f"the publisher ended by itself with {os.waitstatus_to_exitcode(status)}")
    if other_status:
        faults.append("the process beside it failed")
    with connect(folder) as store:
        faults += [str(problem) for problem in store.verify()]
        faults += expected.settle(store, traces)
        summary.swept += len(store.sweep())
        faults += _files_without_row(folder, store)
    summary.rounds += 1
    summary.killed += os.WIFSIGNALED(status)
    summary.faults += [f"round {summary.rounds}: {fault}" for fault in faults]


def void(_: object) -> None:
    """Nothing, of anything."""


def main(rounds: int = 1000, seed: int = 1) -> Summary:
    """Run the rounds and print what they came to."""
    rng = random.Random(seed)
    traces = {(n, r): small_trace(n, r) for n in range(TRACES) for r in range(1, REVISIONS + 1)}
    summary, expected = Summary(), Expectation()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="etgraph-crash-") as folder:
        for _ in range(rounds):
            one_round(Path(folder) / "store", rng, expected, traces, summary)
    print(
        f"crash: {summary.rounds} rounds, {summary.killed} killed, {summary.under_way} within an operation, "
        f"{summary.acknowledged} operations acknowledged, {summary.swept} left-overs swept, "
        f"{len(summary.faults)} faults, {time.perf_counter() - begin:.0f} s (seed {seed})"
    )
    for fault in summary.faults[:20]:
        print(f"  {fault}")
    return summary


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(bool(main(arguments.rounds, arguments.seed).faults))
