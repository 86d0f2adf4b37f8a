"""Small traces with work: flops and bytes of operators by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array


def with_work(trace: Trace, work: Mapping[str, tuple[int, int]]) -> Trace:
    """The trace with flops and bytes of the operators of those names; the others' are not known."""
    o = trace.operators
    columns: dict[str, Array] = {}
    for place, name in enumerate(("flops", "bytes")):
        null = o.table.column(name).null
        columns[name] = np.array([work.get(str(o.value("name", i)), (null, null))[place] for i in range(len(trace))])
    return replace(trace, operators=o.replace(columns))
