"""Sizes of messages as nccl-tests counts them: of a gather Chakra records what one rank gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from etgraph.model import Report, Trace
from etgraph.model.message_sizes import UNKNOWN_BYTES, gathers, group_sizes

FORMAT: Final = "chakra"
"""How the formats of Chakra's files begin."""


def normalise(trace: Trace) -> Trace:
    """Gathered sizes times the number of ranks; null where that is not known, as the recorded one is not the message's.

    Ranks 0 to n - 1 that come from Chakra files, which do not say how many ranks there are, are taken for all. A trace
    of other formats is left as it is.
    """
    sources = trace.metadata.sources
    if not sources or not all(s.format.startswith(FORMAT) for s in sources):
        return trace
    if trace.metadata.world_size is None and len(sources) > 1:
        ranks = sorted(s.rank for s in sources)
        if ranks == list(range(len(ranks))):
            trace = replace(trace, metadata=replace(trace.metadata, world_size=len(ranks)))
        else:
            gaps = sorted(set(range(ranks[-1])) - set(ranks))
            shown = ", ".join(map(str, gaps[:8])) + (", …" if len(gaps) > 8 else "")
            warning = f"ranks are missing: there are files of {len(ranks)}, up to rank {ranks[-1]}, but none of {shown}"
            report = trace.metadata.report + Report(warnings=(warning,))
            trace = replace(trace, metadata=trace.metadata.with_report(report))
    rows = gathers(trace)
    if not len(rows):
        return trace
    size = group_sizes(trace)[rows].astype(np.int64)
    recorded = trace.operators["comm_bytes"][rows]
    fits = (size > 0) & (recorded <= (2**63 - 1) // np.maximum(size, 1))
    sizes = trace.operators["comm_bytes"].copy()
    sizes[rows] = np.where(fits, recorded * np.maximum(size, 1), UNKNOWN_BYTES)
    trace = replace(trace, operators=trace.operators.replace({"comm_bytes": sizes}))
    unknown = int((~fits).sum())
    warning = f"{unknown} gathers are of unknown size: the number of ranks of their group is not recorded"
    report = trace.metadata.report.with_count("gathersOfUnknownSize", unknown, warning)
    return replace(trace, metadata=trace.metadata.with_report(report))
