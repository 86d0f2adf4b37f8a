"""Small traces of communication in the notation of `build`, with what files say of it written into the names.

    rank 0 | stream 7 | all_reduce@tp!3 4MB  10..50
    rank 0 | thread 1 | send>1#5 8B          60..70

`@` names the process group, `!` the number in it, `>` and `<` the peer of a send or receive, `#` its tag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from etgraph.ingest.communication.matching import match
from etgraph.ingest.draft import NULL, Draft
from etgraph.model import TABLES, Columns, Metadata, NodeType, Source, Trace, process_group_tables
from support.build import build

_NAME = re.compile(r"^[^@!<>#]+(?:@(?P<group>\w+))?(?:!(?P<number>\d+))?(?:[<>](?P<peer>\d+))?(?:#(?P<tag>\d+))?$")
_NULL32 = -(2**31)


def draft_of(
    text: str,
    groups: Mapping[str, Sequence[int]] | None = None,
    *,
    world_size: int | None = None,
    hosts: Sequence[str] | None = None,
    format: str = "kineto",
    timed: bool = True,
) -> Draft:
    """The draft that the text describes, unmatched. A group without ranks is one whose members no file tells."""
    trace = build(text, world_size=world_size)
    o = trace.operators
    names = [o.value("name", row) for row in range(len(o))]
    found = [_NAME.match(name) for name in names]
    known = list(groups or {})

    def said(part: str) -> list[int | None]:
        return [None if m is None or m[part] is None else int(m[part]) for m in found]

    kind = [
        int(NodeType.COMM_SEND if n.startswith("send") else NodeType.COMM_RECV if n.startswith("recv") else k)
        for n, k in zip(names, o["kind"].tolist(), strict=True)
    ]
    data = {
        "kind": kind,
        "group": [known.index(m["group"]) if m and m["group"] else -1 for m in found],
        "peer": [_NULL32 if p is None else p for p in said("peer")],
        "tag": [_NULL32 if t is None else t for t in said("tag")],
        "collective": np.full(len(o), -1),
    }
    if not timed:
        data |= {"start_ns": np.full(len(o), NULL), "duration_ns": np.full(len(o), NULL)}
    tables = process_group_tables([(n, None, None, len(r) or None, list(r)) for n, r in (groups or {}).items()])
    sources = tuple(
        Source(f"{r}", format, r, 0, "", "", {"host_name": hosts[r] if hosts else "host"}) for r in trace.ranks
    )
    bare = replace(
        trace,
        operators=o.replace(data),
        collectives=Columns.empty(TABLES["collectives"]),
        process_groups=tables[0],
        group_members=tables[1],
        metadata=Metadata(sources=sources, world_size=world_size, clock_offsets_ns=dict.fromkeys(trace.ranks, 0)),
    )
    return Draft(bare, {"comm_sequence": np.array([NULL if n is None else n for n in said("number")])})


def matched(text: str, groups: Mapping[str, Sequence[int]] | None = None, **more: object) -> Trace:
    """The trace that the text describes, with its collectives and messages matched."""
    return match(draft_of(text, groups, **more)).trace  # type: ignore[arg-type]


def meetings(trace: Trace) -> list[list[tuple[int, int]]]:
    """For each collective its members as (rank, index among the communication of the rank)."""
    o = trace.operators
    rows = np.flatnonzero((o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL)))
    turn: dict[int, int] = {}
    found: list[list[tuple[int, int]]] = [[] for _ in range(len(trace.collectives))]
    for row in rows.tolist():
        rank = int(o["rank"][row])
        turn[rank] = turn.get(rank, -1) + 1
        if o["collective"][row] >= 0:
            found[o["collective"][row]].append((rank, turn[rank]))
    return found
