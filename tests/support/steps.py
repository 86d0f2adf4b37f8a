"""Small runs of two ranks in steps: what checks compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from etgraph.model import Trace
from support.build import build


def steps(times: Sequence[int], *, late: int = 0, extra: str = "") -> Trace:
    """Steps that take so long (ns): a product, then an all-reduce, on which rank 1 is `late`.

    `extra` is an operator after it, in every step. The trace's id is of what it says.
    """
    lines, at = [], 0
    for number, time in enumerate(times):
        begin, middle, end = at, at + time * 6 // 10, at + time * 9 // 10
        at += time
        for rank in (0, 1):
            start = middle + late * rank
            lines += [
                f"rank {rank} | thread 1 | iteration ProfilerStep#{number} {begin}..{at}",
                f"rank {rank} | thread 1 | aten::mm {begin}..{start}",
                f"rank {rank} | thread 1 | gloo:all_reduce 4MB {start}..{end}",
            ]
            lines += [f"rank {rank} | thread 1 | {extra} {end}..{at}"] if extra else []
    text = "\n".join(lines)
    return replace(build(text), trace_id=sha256(text.encode()).hexdigest())
