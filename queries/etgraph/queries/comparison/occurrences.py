"""Scratch."""

from __future__ import annotations

import numpy as np

from etgraph.model import Trace
from etgraph.queries.alignment import Alignment


def align(base: Trace, other: Trace, *, base_iterations=None, other_iterations=None) -> Alignment:
    known: dict = {}
    out = []
    for t, its in ((base, base_iterations), (other, other_iterations)):
        o = t.operators
        nm = o.texts("name").to_pylist()
        sc = o.texts("scope").to_pylist()
        sh = o.texts("shapes").to_pylist()
        step = np.append(t.iterations["index"], -1)[o["iteration"]] if len(t.iterations) else np.full(len(t), -1)
        count: dict = {}
        pos = np.full(len(t), -1, dtype=np.int64)
        kinds = t.lanes["kind"]
        par = o["parent"]
        pname = np.where(par >= 0, o["name"][par], -1)
        for r in range(len(t)):
            if its is not None and step[r] not in its:
                continue
            k = (
                int(kinds[o["lane"][r]]) if o["lane"][r] >= 0 else -1,
                sc[o["scope"][r]] if o["scope"][r] >= 0 else "",
                nm[o["name"][r]],
                sh[o["shapes"][r]] if o["shapes"][r] >= 0 else "",
                nm[pname[r]] if pname[r] >= 0 else "",
            )
            w = (int(o["rank"][r]), int(step[r]), k)
            n = count.get(w, 0)
            count[w] = n + 1
            pos[r] = known.setdefault((k, n), len(known))
        out.append(pos)
    both = [r for r in base.ranks if r in other.ranks]
    pairs = tuple((r, r) for r in both)
    if not pairs:
        pairs = tuple(zip(base.ranks, other.ranks))
    return Alignment(out[0], out[1], len(known), pairs)
