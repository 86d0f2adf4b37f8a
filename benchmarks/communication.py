"""Matching communication over ranks: time an operator, whether it is linear, what is found where files say little."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from etgraph.ingest.communication.matching import match
from etgraph.ingest.draft import NULL, Draft
from etgraph.model import TABLES, Category, Columns, CommType, Metadata, NodeType, Source, Trace, process_group_tables

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

SIZES = (1_000_000, 2_000_000, 4_000_000)
RANKS = 8
SHARE = 30
"""One operator in so many communicates."""
PROGRAMS = 60


def main() -> None:
    """Print time an operator, and precision and recall on random programs."""
    print("| recorded | operators | collectives | µs an operator (CPU) |\n|---|---:|---:|---:|")
    for what, numbers, named in (("group and number", True, True), ("group", False, True), ("nothing", False, False)):
        for size in SIZES:
            draft = _synthetic(size, numbers=numbers, named=named)
            match(draft)
            begun = process_time()
            trace = match(draft).trace
            taken = (process_time() - begun) / len(trace)
            assert len(trace.collectives) == size // RANKS // SHARE, "not all collectives were found"
            print(f"| {what} | {len(trace):,} | {len(trace.collectives):,} | {taken * 1e6:.3f} |", flush=True)
    print(
        f"\n{PROGRAMS} random programs of 2 to 8 ranks: how much of what is matched is right, of what could be is found"
    )
    print("\n| recorded | regular programs: right | found | any programs: right | found |\n|---|---:|---:|---:|---:|")
    for what, how in _kinds().items():
        cells = []
        for regular in (True, False):
            matched, wrong, possible = _scores(how, regular)
            cells += [f"{1 - wrong / max(matched, 1):.4f}", f"{(matched - wrong) / possible:.3f}"]
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


def _synthetic(size: int, *, numbers: bool, named: bool) -> Draft:
    """Ranks that compute and meet all together every `SHARE` operators; a late rank in turn."""
    each = size // RANKS // SHARE * SHARE
    position = np.tile(np.arange(each), RANKS)
    rank = np.repeat(np.arange(RANKS), each)
    meets = position % SHARE == SHARE - 1
    turn = position // SHARE
    start = position * 1_000_000
    late = turn % RANKS == rank
    start = np.where(meets & late, start + 500_000, start)
    end = np.where(meets, position * 1_000_000 + 560_000, start + 900_000)
    groups = process_group_tables([("0", None, None, RANKS, list(range(RANKS)))] if named else [])
    data = {
        "rank": rank,
        "index": position,
        "name": meets.astype(np.int32),
        "kind": np.where(meets, int(NodeType.COMM_COLL), int(NodeType.COMP)),
        "category": np.full(len(rank), int(Category.KERNEL)),
        "lane": np.full(len(rank), -1),
        "start_ns": start,
        "duration_ns": end - start,
        "comm_type": np.where(meets, int(CommType.ALL_REDUCE), -(2**31)),
        "comm_bytes": np.where(meets, 1 << 20, NULL),
        "group": np.where(meets & named, 0, -1),
    }
    sources = tuple(Source(str(r), "kineto", r, 0, "", "", {"host_name": f"host{r}"}) for r in range(RANKS))
    trace = Trace(
        Columns(TABLES["operators"], data, {"name": ["gemm", "ncclDevKernel_AllReduce"]}),
        process_groups=groups[0],
        group_members=groups[1],
        metadata=Metadata(sources=sources, world_size=RANKS),
    )
    return Draft(trace, {"comm_sequence": np.where(meets & numbers, turn, NULL)})


def _kinds() -> dict[str, Callable[[Any, random.Random], Any]]:
    """What files tell, by its words."""
    from support.distributed_programs import Recorded

    def lost(p: Any, rng: random.Random) -> dict[int, int]:
        return {rank: rng.randrange(5) for rank in range(p.ranks)}

    bare = Recorded(groups=False, hosts=True)
    return {
        "groups": lambda p, rng: Recorded(hosts=True),
        "groups; clocks 10 ms apart": lambda p, rng: Recorded(
            clocks={r: rng.randrange(-(10**7), 10**7) for r in range(p.ranks)}
        ),
        "groups; first operators lost": lambda p, rng: Recorded(hosts=True, dropped=lost(p, rng)),
        "groups, numbers; first operators lost": lambda p, rng: Recorded(
            numbers=True, hosts=True, dropped=lost(p, rng)
        ),
        "groups; a rank missing": lambda p, rng: Recorded(
            hosts=True, missing=(rng.randrange(p.ranks),) if p.ranks > 2 else ()
        ),
        "groups, no times": lambda p, rng: Recorded(times=False),
        "groups declared, not by operators": lambda p, rng: bare,
        "the same; first operators lost": lambda p, rng: replace(bare, dropped=lost(p, rng)),
        "no groups at all": lambda p, rng: replace(bare, declared=False),
        "groups declared, no times": lambda p, rng: replace(bare, times=False),
    }


def _scores(how: Callable[[Any, random.Random], Any], regular: bool) -> tuple[int, int, int]:
    from support.distributed_programs import program, record, score

    matched = wrong = possible = 0
    for seed in range(PROGRAMS):
        p = program(seed, steps=24, regular=regular)
        draft, truth = record(p, how(p, random.Random(seed)))
        found = score(match(draft).trace, truth)
        matched, wrong, possible = matched + found.matched, wrong + found.wrong, possible + found.possible
    return matched, wrong, possible
