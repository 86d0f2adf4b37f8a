"""Communication costs: measured times against fits of two parameters, what-ifs from base steps, shared links."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.communication import CommunicationModel, check, fit, measured, routes, share
from etgraph.sim.communication.fitting import type_name
from etgraph.sim.communication.transfers import Measured
from etgraph.sim.profiles import Calibration, Device, Profile, Tier

DEVICE = Device("device", "", "gpu", {}, {}, 1e12, 1, 1, 0)
V100 = Profile("eight V100", DEVICE, (Tier("nvlink", "ring", 8, 150e9, 600),))
"""Six NVLink 2 links of 25 GB/s each a device (NVIDIA, V100 datasheet); a step of LL as NCCL's table has it."""
HOST = Profile("one host", DEVICE)
FLOWS = (10_000, 100_000)


def main() -> None:
    """Print three tables in Markdown."""
    traces = [(name, read(folder() / name)) for name in _recorded()]
    found = [(name, measured(trace)) for name, trace in traces]
    _halves(found)
    _all_halves(found)
    _what_ifs([(name, trace) for name, trace in traces if "whatif" in name and "late_rank" not in name])
    _sharing()


def _recorded() -> Iterator[str]:
    """Recordings of several ranks."""
    yield from (str(path.relative_to(folder())) for path in (folder() / "param" / "dlrm_kineto",) if path.is_dir())
    recorded = folder() / "recorded"
    for path in sorted({file.parent for file in recorded.rglob("kineto_rank1.json*")}):
        yield str(path.relative_to(folder()))


def _profile(name: str) -> Profile:
    return V100 if name.startswith("param") else HOST


def _halves(found: list[tuple[str, Measured]]) -> None:
    print("Two parameters a type and group size, fitted on every other transfer and checked on the rest. Near: within")
    print("10 % or two steps of the clock. Best possible: each kind's own median, of kinds seen three times or more.\n")
    columns = (
        "trace", "transfers", "clock, ns", "fitted", "checked", "near", "median error", "in the 90 % interval",
        "repeated", "best possible: near", "median error",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    pooled = []
    for name, transfers in found:
        result = check(transfers, _profile(name))
        pooled.append((name.split("/")[0], result))
        cells = (
            len(transfers), transfers.resolution_ns, result.fitted, result.checked, _percent(result.near),
            _percent(result.error), _percent(result.covered), result.repeated, _percent(result.repeat_near),
            _percent(result.repeat_error),
        )  # fmt: skip
        print(f"| {name} | " + " | ".join(map(str, cells)) + " |", flush=True)
    gloo = [result for source, result in pooled if source == "recorded"]
    checked = sum(result.checked for result in gloo)
    if checked:
        near, covered = (sum((getattr(r, of) or 0) * r.checked for r in gloo) / checked for of in ("near", "covered"))
        print(f"\nAll of gloo: {checked} checked, near {near:.0%}, in the interval {covered:.0%}.")


def _all_halves(found: list[tuple[str, Measured]]) -> None:
    """NCCL's few transfers, with every half of them as the one to fit, with protocols and without."""
    for name, transfers in found:
        if not name.startswith("param"):
            continue
        every = np.arange(len(transfers))
        halves = [np.array(half) for half in combinations(every.tolist(), len(every) // 2)]
        print(f"\n{name}: share near over all {len(halves)} halves", end="")
        for what, profile in (("protocols scaled", V100), ("straight lines", HOST)):
            near = [check(transfers, profile, (half, np.setdiff1d(every, half))).near or 0 for half in halves]
            print(f"; {what} {np.mean(near):.0%}, all of them in {sum(n == 1 for n in near)}", end="")
        print()


def _what_ifs(traces: list[tuple[str, Trace]]) -> None:
    print("\nFits on the base steps' all-reduces; what the variant's steps have besides, predicted. Times in ms.\n")
    print("| run | fitted on | new | type | measured median | predicted | sum predicted / measured | in the interval |")
    print("|---|---:|---:|---|---:|---:|---:|---:|")
    for name, trace in traces:
        base, new = _base_and_new(trace)
        fits = fit(base)
        said = CommunicationModel(replace(HOST, calibration=Calibration(collectives=fits))).predict(new.transfers)
        inside = (said.low_ns <= new.transfer_ns) & (new.transfer_ns <= said.high_ns)
        types = ", ".join(type_name(type) for type in np.unique(new.transfers.type).tolist())
        print(
            f"| {Path(name).name} | {sum(one.samples for one in fits)} | {len(new)} | {types} "
            f"| {np.median(new.transfer_ns) / 1e6:.2f} | {np.median(said.duration_ns) / 1e6:.2f} "
            f"| {said.duration_ns.sum() / new.transfer_ns.sum():.2f} | {inside.mean():.0%} |"
        )


def _base_and_new(trace: Trace) -> tuple[Measured, Measured]:
    """The transfers of even steps, and those of odd ones whose type and size no even step has."""
    names = {int(trace.iterations["index"][row]): trace.iterations.value("name", row)
             for row in range(len(trace.iterations))}  # fmt: skip
    odd = {index for index, name in names.items() if int(name.split("#")[1]) % 2}
    base = measured(trace.select_iterations(sorted(names.keys() - odd)))
    variant = measured(trace.select_iterations(sorted(odd)))
    variant = variant.take(variant.usable)
    known = np.isin(_kinds(variant), _kinds(base))
    return base, variant.take(np.flatnonzero(~known))


def _kinds(found: Measured) -> Array:
    kinds: Array = found.transfers.type * (1 << 40) + found.transfers.bytes
    return kinds


def _sharing() -> None:
    print("\nSharing of links, 64 devices in 8 nodes:\n\n| flows | seconds | flows a second |\n|---:|---:|---:|")
    tiers = (Tier("node", "switch", 8, 450e9, 300), Tier("net", "switch", 8, 50e9, 1500))
    random = np.random.default_rng(0)
    for count in FLOWS:
        way = routes(tiers, random.integers(0, 64, count), random.integers(0, 64, count))
        start, size = np.sort(random.integers(0, count * 300, count)), random.integers(0, 200_000, count)
        share(start, size, way.offsets, way.links, way.capacity)
        begun = time.process_time()
        share(start, size, way.offsets, way.links, way.capacity)
        taken = time.process_time() - begun
        print(f"| {count:,} | {taken:.3f} | {count / taken:,.0f} |", flush=True)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
