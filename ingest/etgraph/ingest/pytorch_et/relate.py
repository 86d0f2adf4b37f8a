"""What nodes' parents, order and forward operators say: dependencies, and the steps that annotations mark."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace

import numpy as np

from etgraph.ingest.draft import NULL, Draft, dependencies
from etgraph.ingest.identifiers import rows_of, sorting
from etgraph.ingest.iterations import STEP, step_indices
from etgraph.ingest.possible import with_possible
from etgraph.ingest.tree import nearest, visits
from etgraph.model import TABLES, Category, Columns, DependencyKind, LaneKind, Report
from etgraph.model.columns import Array


def relate(draft: Draft) -> Draft:
    """Add the dependencies that a PyTorch execution trace records, and the order of siblings.

    `ctrl_deps` names the parent. CALL joins a parent with a child on its own thread, and the process, which has no
    thread, with its threads: that is book-keeping. SPAWN joins it with a child on another thread, LAUNCH with one on
    a stream. THREAD joins siblings on one thread, in order. `fw_parent` names what was open on the forward thread when
    a backward operator started, in practice the call of `backward`: on another thread it is what spawned it. Of what
    ET+ says that operators wait for, the draft's dependencies so far, that is kept which can be.
    """
    o = draft.trace.operators
    parent = o["parent"]
    lane = o["lane"]
    child = np.flatnonzero(parent >= 0)
    streams = draft.trace.lanes["kind"] == int(LaneKind.STREAM)
    on_stream = (lane >= 0) & (streams[lane] if len(streams) else False)
    around = parent[child]
    launched = on_stream[child] & ~on_stream[around]
    called = (lane[child] == lane[around]) | (lane[around] < 0)
    method = "parent" if _flat(draft) else "ctrl_deps"
    kinds = (
        (DependencyKind.CALL, called & ~launched),
        (DependencyKind.SPAWN, ~called & ~launched),
        (DependencyKind.LAUNCH, launched),
    )
    recorded = [dependencies(kind, around[which], child[which], method) for kind, which in kinds]
    host = np.flatnonzero(~on_stream & (lane >= 0) & (parent >= 0))
    host = host[np.lexsort((host, lane[host], parent[host]))]
    alike = (parent[host[1:]] == parent[host[:-1]]) & (lane[host[1:]] == lane[host[:-1]])
    siblings = dependencies(DependencyKind.THREAD, host[:-1][alike], host[1:][alike], "sibling order", inferred=True)
    callers, backward, against = _backward(draft)
    spawned = dependencies(DependencyKind.SPAWN, callers, backward, "fw_parent")
    report = Report(launched_device_operators=int(launched.sum())).with_count("forwardParentsAgainstOrder", against)
    waits = draft.trace.dependencies
    bare = replace(draft, trace=replace(draft.trace, dependencies=Columns.empty(TABLES["dependencies"])))
    related = bare.with_dependencies(*recorded, siblings, spawned).with_report(report)
    return with_possible(related, waits, "recordedDependenciesAgainstTime") if len(waits) else related


def _flat(draft: Draft) -> bool:
    """Whether the schema is the first one, which calls the parent `parent`."""
    return all(str(s.document.get("schema", "")).startswith("1.0.1") for s in draft.trace.metadata.sources)


def _backward(draft: Draft) -> tuple[Array, Array, int]:
    """Backward operators with what called them from another thread; and how many contradict the order or name no node.

    One on the same thread encloses the operator, which CALL says already. One on another thread counts when a walk
    through the tree enters it first: that walk is one way in which everything can run, so no cycle comes of it.
    """
    o = draft.trace.operators
    lane = o["lane"]
    backward = np.flatnonzero(draft.id("forward") != NULL)
    if not len(backward):
        return backward, backward, 0
    ids = o["node_id"]
    caller = rows_of(draft.id("forward")[backward].astype(np.uint64), ids, sorting(ids))
    elsewhere = (caller < 0) | (lane[caller] != lane[backward])
    caller, backward = caller[elsewhere], backward[elsewhere]
    enter, _ = visits(o["parent"])
    good = (caller >= 0) & (enter[caller] < enter[backward])
    return caller[good], backward[good], int((~good).sum())


def mark_steps(draft: Draft, annotation: str = STEP) -> Draft:
    """Add the iterations, and for each operator the one that it belongs to.

    `annotation` is a glob over names of user annotations; inside one that matches no other counts. An operator
    belongs to the step that encloses it. Those on threads without steps, such as autograd's, belong to the step that
    was open when they started, by record order. Nothing here has times, so the iterations have none either.
    """
    o = draft.trace.operators
    matches = o.codes_where("name", re.compile(fnmatch.translate(annotation)).match)
    if not matches.any():
        return draft
    flagged = matches[o["name"]] & (o["category"] == int(Category.ANNOTATION))
    parent = o["parent"]
    enter, _ = visits(parent)
    flagged &= nearest(parent, enter, flagged, itself=False) < 0
    steps = np.flatnonzero(flagged)
    if not len(steps):
        return draft
    names = o.texts("name")
    number = np.full(len(o) + 1, -1, dtype=np.int32)
    number[steps] = np.arange(len(steps))
    belongs = number[nearest(parent, enter, flagged, itself=True)]
    has_steps = np.isin(o["lane"], o["lane"][steps])
    changes = np.flatnonzero(has_steps & (flagged | (belongs < 0)))
    others = np.flatnonzero(~has_steps & (belongs < 0) & (o["lane"] >= 0))
    before = np.searchsorted(changes, others) - 1
    belongs[others] = np.where(before >= 0, belongs[changes[before]], -1)
    step_names = [names[code].as_py() for code in o["name"][steps].tolist()]
    iterations = Columns(
        TABLES["iterations"],
        {
            "index": step_indices(step_names, o["rank"][steps]),
            "rank": o["rank"][steps],
            "name": o["name"][steps],
            "lane": o["lane"][steps],
        },
        {"name": names},
    )
    marked = draft.with_operators({"iteration": belongs})
    return replace(marked, trace=replace(marked.trace, iterations=iterations))
