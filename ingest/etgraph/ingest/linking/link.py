"""Host and device file of one rank into one draft."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.linking.grading import regraded
from etgraph.ingest.linking.identity import Identity, identify, refusal, same_process
from etgraph.ingest.linking.matching import Matches, match
from etgraph.ingest.linking.merging import Links, merge
from etgraph.ingest.linking.records import Records, records
from etgraph.ingest.linking.shapes import contradict
from etgraph.model import LaneKind, LinkMethod, Report
from etgraph.model.columns import Array

ONE_PROGRAM = 0.5
"""Share of records of the shorter file that must be linked, where nothing else says that the files are of one run."""


def link(host: Draft, device: Draft) -> Draft:
    """The draft of a rank from that of its PyTorch execution trace and that of its Kineto trace.

    Times, lanes, nesting and order are the device's; ids, schemas and tensors the host's. The result's `link` column
    says how each operator was linked, the report's `pairs` what the two files are of each other. Operators that one
    file alone records are kept, those of the host's without times. Where several iterations are alike and nothing tells
    which one the host's file is of, nothing is linked.

    Raises InputError naming both files and why, where they are not of one rank of one run.
    """
    _check(host, device)
    process = same_process(host, device)
    ours, theirs, names = records(host, device)
    matches = match(ours, theirs, names)
    wrong = _against_shapes(host, device, ours, theirs, matches)
    matches.partner[wrong] = -1
    for lane in np.unique(ours.lane[wrong]).tolist():
        thread = np.flatnonzero(ours.lane == lane)
        matches.method[thread] = regraded(matches.method[thread], wrong[thread])
    linked = np.flatnonzero(matches.partner >= 0)
    fewest = ONE_PROGRAM * min(len(ours), len(theirs))
    if not process and not matches.ambiguous and len(linked) < fewest:
        found = f"{len(linked)} of {len(ours)} operators alike"
        raise refusal(host, device, found)
    pairs = matches.partner[linked]
    steps = linked[names.step[ours.token[linked]]]
    identity, difference = identify(
        process if len(linked) else None,
        ours.sequence[linked],
        theirs.sequence[pairs],
        [names.names[code] for code in ours.name[steps].tolist()],
        [names.names[code] for code in theirs.name[matches.partner[steps]].tolist()],
        shared_ids=bool((matches.method[linked] == int(LinkMethod.RECORDED_ID)).any()),
    )
    links = _links(len(host.trace), ours, theirs, matches, linked)
    report = _report(ours, theirs, matches, linked, int(wrong.sum()), identity, difference)
    return merge(host, device, links, identity).with_report(report)


def _check(host: Draft, device: Draft) -> None:
    """Refuse files of other kinds than these two."""
    formats = [draft.trace.metadata.sources[0].format for draft in (host, device)]
    if formats[0] != "pytorch-et" or not formats[1].startswith("kineto"):
        raise refusal(host, device, f"formats {' and '.join(formats)}")
    if (host.trace.lanes["kind"] == int(LaneKind.STREAM)).any():
        raise refusal(host, device, "a host file that holds device operators, so it is linked already")


def _against_shapes(host: Draft, device: Draft, ours: Records, theirs: Records, matches: Matches) -> Array:
    """Which records are linked to one whose shapes contradict theirs."""
    wrong = np.zeros(len(ours), dtype=bool)
    linked = np.flatnonzero(matches.partner >= 0)
    texts = [draft.trace.operators.texts("shapes").to_pylist() for draft in (host, device)]
    wrong[linked] = contradict(ours.shapes[linked], theirs.shapes[matches.partner[linked]], texts[0], texts[1])
    return wrong


def _links(count: int, ours: Records, theirs: Records, matches: Matches, linked: Array) -> Links:
    """Links between rows; nothing is linked where the iteration is ambiguous."""
    partner = np.full(count, NULL)
    method = np.full(count, -1, dtype=np.int8)
    partner[ours.row[linked]] = theirs.row[matches.partner[linked]]
    method[ours.row[linked]] = matches.method[linked]
    return Links(partner, method)


def _report(
    ours: Records, theirs: Records, matches: Matches, linked: Array, wrong: int, identity: Identity,
    difference: int | None,
) -> Report:  # fmt: skip
    counts = {
        "recordsOfHostFile": len(ours),
        "linkedAnnotations": int((theirs.row[matches.partner[linked]] < 0).sum()),
        "recordsOfHostFileOnly": len(ours) - len(linked),
        "recordsOfDeviceFileOnly": len(theirs) - len(linked),
        "linksAgainstShapes": wrong,
        "communicationNotLinked": matches.unmatched_communication,
    }
    report = Report(linked_operators=len(linked))
    for name, number in counts.items():
        report = report.with_count(name, number)
    warnings = []
    if matches.ambiguous:
        candidates = matches.iterations
        warnings.append(f"iteration ambiguous, {candidates} candidates: operators of the host's file have no times")
    elif not len(linked):
        warnings.append("nothing of host and device file is alike: operators of the host's file have no times")
    elif identity is not Identity.SAME:
        apart = f", {abs(difference)} sequence numbers apart" if difference else ""
        warnings.append(f"host and device file: {identity}{apart}; structure is taken over, values stand apart")
    if matches.unaligned and not matches.ambiguous:
        warnings.append(
            f"{matches.unaligned} operators of the host's file are on threads that are like none of the device's, "
            "or like several parts of one"
        )
    return report + Report(warnings=tuple(warnings))
