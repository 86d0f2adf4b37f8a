"""Sweeps: points a second on real traces, in one process and in two, beside predicting every point anew."""

from __future__ import annotations

import itertools
import os
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.clock import seconds
from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.kernels import compiling_from
from etgraph.queries.sweep_measures import MEASURES
from etgraph.sim.predict import Predictor, predict
from etgraph.sim.profiles import load
from etgraph.sim.sweeps import Grid, Measure, loads, sweep
from etgraph.sim.sweeps.study import Study

TRACES = (("hta/ns_resolution_trace", "h100-sxm"), ("param/dlrm_kineto", "dgx-h100"))
"""Traces of the collection, and the profile that each is tried on."""
POINTS = 200
ANEW = 10
"""Points that are predicted anew, without and with the kernels as machine code."""


Times = tuple[float, float]
"""Seconds a point: of the clock, and of processors."""


def grid_of(profile: str, points: int) -> Grid:
    """A grid of so many points over memory bandwidth, launch latency and, where there is one, the network."""
    tiers = load(profile).tiers
    axes = {"device.memory_bandwidth": 10, "device.launch_latency": points // 10}
    if tiers:
        axes = {"device.memory_bandwidth": 10, f"tiers.{tiers[0].name}.bandwidth": points // 10}
    lines = [f"{path} = {[f'x{1 + step / 10:g}' for step in range(1, count + 1)]}" for path, count in axes.items()]
    return loads("\n".join([f'profiles = ["{profile}"]', "[grid]", *lines]))


def main() -> None:
    """Print the table, a row a trace and way."""
    print(f"{POINTS} points each; {os.cpu_count()} processors\n")
    print("| trace | operators | way | points/s | ms a point | processor time, ms a point | times `predict` anew |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for name, profile in TRACES:
        trace = read(folder() / name)
        grid = grid_of(profile, POINTS)
        anew = _anew(trace, grid)
        rows = [("`predict` anew, kernels as the trace's size has them", anew)]
        with compiling_from(0):
            rows.append(("`predict` anew, machine code", _anew(trace, grid)))
            predictor, profiles = Predictor(trace), _profiles(trace, grid)
            rows.append(("`Predictor.predict`", _each(profiles, predictor.predict)))
            rows.append(("`Predictor.run`", _each(profiles, predictor.run)))
        for measures, workers in itertools.product((MEASURES[:0], MEASURES[:1], MEASURES), (1, 2)):
            rows.append((_way(measures, workers), _swept(trace, grid, measures, workers)))
        for way, (wall, processor) in rows:
            print(
                f"| {name} | {len(trace):,} | {way} | {1 / wall:.0f} | {wall * 1e3:.1f} | {processor * 1e3:.1f} "
                f"| {anew[0] / wall:.1f} |"
            )


def _profiles(trace: Trace, grid: Grid) -> list[Any]:
    study = Study(trace, grid)
    return [study.profile(setting) for setting in grid.settings[:ANEW]]


def _anew(trace: Trace, grid: Grid) -> Times:
    """Times of predicting from the trace for each point."""
    profiles = _profiles(trace, grid)
    predict(trace, profiles[0])
    return _each(profiles, lambda profile: predict(trace, profile))


def _each(profiles: Sequence[Any], ask: Callable[[Any], Any]) -> Times:
    def run() -> None:
        for profile in profiles:
            ask(profile)

    return seconds(run) / len(profiles), seconds(run, clock=_processor) / len(profiles)


def _processor() -> float:
    """Seconds of processor time that this process and those that it has waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _swept(trace: Trace, grid: Grid, measures: Sequence[Measure], workers: int) -> Times:
    """Times a point of a whole sweep, the start of its processes included."""
    began, used = time.perf_counter(), _processor()
    found = sweep(trace, grid, measures=measures, workers=workers)
    took, used = time.perf_counter() - began, _processor() - used
    assert all(point.error is None for point in found.points)
    return took / len(found.points), used / len(found.points)


def _way(measures: Sequence[Measure], workers: int) -> str:
    asked = " and ".join(measure.name for measure in measures) or "times alone"
    return f"sweep, {asked}, {workers} process{'es' * (workers > 1)}"


if __name__ == "__main__":
    main()
