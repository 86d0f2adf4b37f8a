"""The critical path as timelines show it, beside whatever else they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etgraph.model import Trace
from etgraph.model.errors import Cancelled, EtgraphError
from etgraph.queries.critical_path import critical_path

if TYPE_CHECKING:
    import pyarrow as pa


def path_to_show(trace: Trace, iterations: tuple[int, ...] | None) -> tuple[pa.Table | None, list[str]]:
    """The segments of the critical path of a timeline; or none, and why there is none."""
    try:
        return critical_path(trace, iteration=iterations).segments, []
    except Cancelled:
        raise
    except EtgraphError as error:
        return None, [f"no critical path: {error}"]


__all__ = ["path_to_show"]
