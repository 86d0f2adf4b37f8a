"""Linking a rank's host and device file: µs a host operator, by recorded ids and without, up to a million operators.

The linker of `mlc-chakra` (`chakra_trace_link`) needs a package that is not on PyPI, so it does not run from an
installation; with that in place it took 8 s for 40 600 events and 134 s for 109 000 (processor time, two shared
x86-64 cores, November 2026), which is printed beside.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clock import seconds
from benchmarks.collection import folder
from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.linking import add_data, link
from etgraph.ingest.linking.attributes import join
from etgraph.ingest.linking.matching import match
from etgraph.ingest.linking.records import records
from etgraph.ingest.reading import read_file
from etgraph.ingest.source import SourceFile
from etgraph.model import LINK_CONFIDENCE, Columns, LinkMethod
from etgraph.model.columns import Array

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

CUTS = 2_000
TIMES = (1, 6, 53)
PEER = ((40_600, 8.0), (109_000, 134.0))


def pair() -> tuple[Path, Path]:
    """The longest recorded pair of the collection, else one of the samples."""
    for run in ("recorded/gpt_ddp_5steps", "gpt_ddp"):
        host = folder() / run / "et_rank0.json.gz"
        if host.exists():
            return host, host.with_name("kineto_rank0.json.gz")
    raise SystemExit(f"{folder()} has no pair of files")


def _draft(path: Path) -> Draft:
    return read_file(SourceFile(path))


def repeated(draft: Draft, times: int) -> Draft:
    """The same recording several times over, later and with other ids each time."""
    trace = draft.trace
    count, span = len(trace), trace.span_ns + 1000
    ids = {name: _later(v, times, int(v.max()) + 1) for name, v in draft.ids.items()}
    limits = {name: int(v.max()) + 1 for name, v in draft.ids.items()}
    of_annotations = {
        name: _later(v, times, max(int(v.max()) + 1, limits.get(name, 0))) for name, v in draft.annotation_ids.items()
    }
    tensors = {
        name: np.tile(v, times) if name == "writes" else _later(v, times, count if name == "operator" else 1 << 20)
        for name, v in draft.tensors.items()
    }
    steps = {"operators": count, "times": span}
    trace = replace(
        trace,
        operators=_repeated(trace.operators, times, steps),
        dependencies=_repeated(trace.dependencies, times, steps),
        annotations=_repeated(trace.annotations, times, steps),
    )
    return Draft(trace, ids, of_annotations, tensors)


def _repeated(columns: Columns, times: int, steps: dict[str, int]) -> Columns:
    data: dict[str, Array] = {}
    masks: dict[str, Array] = {}
    for column in columns.table.columns:
        if column.name not in columns.filled:
            continue
        values = columns[column.name]
        by = steps.get(column.refers, 0)
        if column.name == "start_ns":
            by = steps["times"]
        if column.name == "node_id":
            by, masks[column.name] = 1 << 22, np.tile(~columns.is_null("node_id"), times)
        data[column.name] = _later(values, times, by)
        if column.name == "index":
            data[column.name] = np.arange(len(values) * times)
    texts = {c.name: columns.texts(c.name) for c in columns.table.columns if c.type == "text" and c.name in data}
    return Columns(columns.table, data, texts, masks)


def _later(values: Array, times: int, by: int) -> Array:
    """The values again and again, `by` more each time; nulls stay nulls."""
    turn = np.repeat(np.arange(times), len(values)).astype(values.dtype)
    again = np.tile(values, times)
    null = (again == NULL) | (again == -1) if values.dtype.kind == "i" else np.zeros(len(again), dtype=bool)
    return np.where(null, again, again + turn * np.array(by).astype(values.dtype))


def without_ids(draft: Draft) -> Draft:
    """The same draft as if the two files shared no ids."""
    ids, of_annotations = (
        {name: values for name, values in known.items() if name != "record_function"}
        for known in (draft.ids, draft.annotation_ids)
    )
    return replace(draft, ids=ids, annotation_ids=of_annotations)


def processor(run: Callable[[], Any], repeats: int = 3) -> float:
    """Processor seconds of the cheapest of several runs."""
    return seconds(run, repeats, time.process_time)


def main() -> None:
    """Print both tables."""
    host_file, device_file = pair()
    host, device = _draft(host_file), _draft(device_file)
    print(
        "processor µs a host operator; alignment: records paired by names alone; attributes: both files' texts joined"
    )
    print(
        f"{'host operators':>14} {'by ids':>7} {'alignment':>10} {'merge':>6} {'attributes':>11} {'all':>6} {'DATA':>6}"
    )
    for times in TIMES:
        ours, theirs = repeated(host, times), repeated(device, times)
        blind = without_ids(theirs)
        count = len(ours.trace)
        link(ours, blind)
        by_ids = processor(lambda: match(*records(ours, theirs)))  # noqa: B023
        aligned = processor(lambda: match(*records(ours, blind)))  # noqa: B023
        whole = processor(lambda: link(ours, blind), 2)  # noqa: B023
        rows, other = ours.trace.operators["attrs"], theirs.trace.operators["attrs"]
        some = min(len(rows), len(other))
        texts = theirs.trace.attributes, ours.trace.attributes
        joined = processor(lambda: join(*texts, other[:some], rows[:some], rows[:0], ""), 2)  # noqa: B023
        linked = link(ours, blind)
        data = processor(lambda: add_data(linked), 2)  # noqa: B023
        figures = (by_ids, aligned, whole - aligned - joined, joined, whole, data)
        cells = " ".join(f"{s / count * 1e6:{w}.2f}" for s, w in zip(figures, (7, 10, 6, 11, 6, 6), strict=True))
        print(f"{count:14,} {cells}")
    for events, taken in PEER:
        print(f"mlc-chakra's linker, {events:,} events, as measured before: {taken / events * 1e6:,.0f} µs an event")
    print("\nrecorded pairs with their ids hidden, judged by these ids")
    right = found = known = 0
    for file in sorted(folder().rglob("et_rank*.json.gz")):
        ours, theirs = _draft(file), _draft(file.with_name(file.name.replace("et_", "kineto_")))
        truth = match(*records(ours, theirs)).partner
        blind_partner = match(*records(ours, without_ids(theirs))).partner
        known += int((truth >= 0).sum())
        found += int((blind_partner >= 0).sum())
        right += int(((blind_partner == truth) & (truth >= 0)).sum())
    print(f"{known:,} links, {found:,} found: precision {right / found:.4%}, recall {right / known:.4%}")
    for steps in (False, True):
        cuts(steps)


def cuts(steps: bool) -> None:
    """Print what becomes of random cuts of recorded pairs, 0 to 5 % of their records edited."""
    from support.cuts import hidden, outcome, random_case

    files = sorted(folder().rglob("et_rank*.json.gz"))
    pairs = [hidden(_draft(f), _draft(f.with_name(f.name.replace("et_", "kineto_"))), steps=steps) for f in files]
    found = [outcome(random_case(pairs, seed)) for seed in range(CUTS)]
    verdicts = Counter(each.verdict for each in found)
    print(f"\n{CUTS:,} random cuts, {'only names of steps known' if steps else 'nothing known'}: {dict(verdicts)}")
    method = np.concatenate([each.method for each in found if each.candidates == 1])
    wrong = np.concatenate([each.is_wrong for each in found if each.candidates == 1])
    for each in np.unique(method).tolist():
        here = method == each
        sure = LINK_CONFIDENCE[LinkMethod(each)]
        print(
            f"{LinkMethod(each).name:20} {here.sum():9,} links, right {1 - wrong[here].mean():.5f}; confidence {sure}"
        )
