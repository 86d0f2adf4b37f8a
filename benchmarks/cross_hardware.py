"""Computation time predicted from one device's trace for another, beside predictors without a model, and its speed."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.families import FAMILIES
from etgraph.sim.compute import Calibrated, CostModel, Scaled, fit
from etgraph.sim.compute.evaluation import CrossHardware, cross_hardware
from etgraph.sim.compute.formulas import modelled_ns
from etgraph.sim.compute.rates import rates_of
from etgraph.sim.compute.units import is_device, units_of
from etgraph.sim.profiles import Device

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

MODELS = {"bert-small": "gaunernst_bert-small-uncased__1016001", "nsfw": "Falconsai_nsfw_image_detection__1016002"}
LARGE = "hta/trace_diff/control/control.json.gz"
RESNET = "kineto_tb/resnet50_num_workers_0/worker0.1623143089861.pt.trace.json.gz"
OPERATORS = 1_000_000
SHOWN = 0.01
"""Families of a smaller share are not shown."""
Traces = Mapping[tuple[str, str], Trace]


def _devices() -> dict[str, Device]:
    """The devices of the recorded traces, by their public figures alone."""
    from support.devices import H100, MI300X

    return {"h100": H100, "mi300": MI300X}


def main() -> None:
    """Print a row for each prediction and choice of calibration in Markdown, then the speed on a large trace."""
    devices = _devices()
    traces = {
        (device, model): read(folder() / "tracelens" / device / f"{file}.json.gz")
        for device in devices
        for model, file in MODELS.items()
    }
    columns = ["calibrated on", "by", "from → to", "model", "measured ms", "predicted ms", "90 %", "error", "same time",
               "bandwidths", "peaks", "roofline", "operators: error", "in interval", "extrapolated"]  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{'---|' * 4}{'---:|' * (len(columns) - 4)}")
    for calibrated in ("nothing", "the other model", "both models"):
        for by in ("scaling", "formulas"):
            _rows(traces, devices, calibrated, by)
    _families()
    _speed(folder() / LARGE, *devices.values())


def _rows(traces: Traces, devices: Mapping[str, Device], calibrated: str, by: str) -> None:
    found = []
    for (here, there), model in itertools.product(itertools.permutations(devices, 2), MODELS):
        learned = {"nothing": [], "the other model": [m for m in MODELS if m != model], "both models": [*MODELS]}[
            calibrated
        ]
        source, target = (
            fit([traces[device, m] for m in learned], devices[device]) if learned else None for device in (here, there)
        )
        scaled = Scaled(devices[here], devices[there], source, target)
        cost: CostModel = scaled if by == "scaling" else Calibrated(devices[there], target)
        one = cross_hardware(traces[here, model], traces[there, model], cost, devices[here], devices[there])
        found.append(one)
        print(f"| {calibrated} | {by} | {here} → {there} | {model} | {_row(one)} |")
    naive = [_mean([one.naive[name] for one in found]) for name in found[0].naive]
    means = ["", "", "", "", f"**{_mean([one.error for one in found])}**", *naive, "", "", ""]
    print(f"| {calibrated} | {by} | mean of absolute errors | {' | '.join(means)} |")


def _row(one: CrossHardware) -> str:
    ends = f"{one.low_ns / 1e6:.3f} to {one.high_ns / 1e6:.3f}"
    naive = " | ".join(f"{error:+.1%}" for error in one.naive.values())
    return (
        f"{one.measured_ns / 1e6:.4f} | {one.predicted_ns / 1e6:.4f} | {ends}{'' if one.holds else ' (missed)'} "
        f"| {one.error:+.1%} | {naive} | {one.operator_error:.0%} | {one.covered:.0%} | {one.extrapolated_share:.0%}"
    )


def _mean(errors: Sequence[float]) -> str:
    return f"{fmean(map(abs, errors)):.1%}"


def _families() -> None:
    """Formulas beside what was measured on two more devices: by datasheets alone, and calibrated on the trace."""
    from support.devices import A100, V100

    columns = [
        "trace",
        "device",
        "family",
        "share of the time",
        "datasheet: total",
        "spread",
        "calibrated: total",
        "spread",
    ]
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * 3}{'---:|' * 5}")
    for name, device in ((RESNET, V100), (LARGE, A100)):
        trace = read(folder() / name)
        units = units_of(trace)
        seen = units.kinds.known[units.kind] & (units.measured_ns > 0)
        family, measured = units.kinds.family[units.kind], units.measured_ns
        modelled = [
            modelled_ns(units.kinds, device, rates_of(device, c))[units.kind] for c in (None, fit(trace, device))
        ]
        chosen = [seen] + [seen & (family == one) for one in np.unique(family[seen])]
        labels = ["all of known work", *(FAMILIES[one] for one in np.unique(family[seen]))]
        for label, own in zip(labels, chosen, strict=True):
            share = measured[own].sum() / measured[seen].sum()
            if share < SHOWN:
                continue
            cells = []
            for times in modelled:
                spread = np.sqrt(np.mean(np.log(times[own] / measured[own]) ** 2))
                cells += [f"{times[own].sum() / measured[own].sum() - 1:+.0%}", f"{spread:.2f}"]
            print(f"| {name} | {device.name} | {label} | {share:.0%} | {' | '.join(cells)} |")


def _speed(file: Path, source: Device, target: Device) -> None:
    """Operators a second of the first prediction of a trace, and of later ones, which find its units again."""
    trace = read(file)
    copies = -(-OPERATORS // len(trace))
    large = Trace.concat([_as_rank(trace, rank) for rank in range(copies)])
    rows = np.flatnonzero(is_device(large))
    print(f"\n{len(large):,} operators, {len(rows):,} of them on the device, {len(units_of(trace).kinds)} kinds\n")
    print("| prediction | seconds | million operators a second |")
    print("|---|---:|---:|")
    for which in ("the first", "the next"):
        start = time.perf_counter()
        Scaled(source, target).predict(large, rows)
        taken = time.perf_counter() - start
        print(f"| {which} | {taken:.3f} | {len(large) / taken / 1e6:.1f} |")


def _as_rank(trace: Trace, rank: int) -> Trace:
    changed = {
        name: columns.replace({"rank": np.full(len(columns), rank)})
        for name in ("operators", "lanes", "iterations", "annotations", "instants", "memory_events", "counters")
        if len(columns := trace.tables[name])
    }
    return replace(trace, **changed)
