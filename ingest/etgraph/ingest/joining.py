"""Drafts of different ranks as one: one zero, iterations numbered alike, missing ranks named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from etgraph.ingest.draft import Draft
from etgraph.ingest.iterations import step_indices
from etgraph.ingest.shifting import move
from etgraph.model import Report, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import EtgraphError

_NAMED: Final = 8
"""Ranks that a warning names."""


def join(drafts: Sequence[Draft]) -> Draft:
    """One draft of all ranks, in their order. Identifiers that some ranks have are `NULL` on the others.

    Raises EtgraphError for a rank that occurs twice.
    """
    drafts = sorted(drafts, key=lambda draft: [source.rank for source in draft.trace.metadata.sources][:1])
    if len(drafts) == 1:
        return with_missing_ranks(drafts[0])
    zeros = [draft.trace.metadata.zero_ns for draft in drafts]
    zero = min((z for z in zeros if z is not None), default=None)
    shifted = [
        _later(draft.trace, 0 if z is None or zero is None else z - zero)
        for draft, z in zip(drafts, zeros, strict=True)
    ]
    _check_order(shifted)
    joined = Trace.concat(shifted)
    joined = replace(joined, metadata=replace(joined.metadata, zero_ns=zero))
    return with_missing_ranks(Draft(_number_iterations(joined), _joined_ids(drafts)))


def _check_order(traces: Sequence[Trace]) -> None:
    """The ranks ascend, so that joining keeps the order of operators, to which the identifiers belong."""
    ranks = [rank for trace in traces for rank in trace.ranks]
    for before, after in pairwise(ranks):
        if before >= after:
            raise EtgraphError(f"rank {after} occurs in two of the files, or after rank {before}")


def _joined_ids(drafts: Sequence[Draft]) -> dict[str, Array]:
    names = sorted({name for draft in drafts for name in draft.ids})
    for draft in drafts:
        for name, values in draft.ids.items():
            if len(values) != len(draft.trace):
                raise ValueError(f"{len(values)} identifiers {name!r} of {len(draft.trace)} operators")
    return {name: np.concatenate([draft.id(name).astype(np.int64, copy=False) for draft in drafts]) for name in names}


def _later(trace: Trace, by: int) -> Trace:
    return move(trace, lambda _: by) if by else trace


def _number_iterations(trace: Trace) -> Trace:
    """Number the iterations by the step in their names, so that one index is one step on all ranks."""
    if not len(trace.iterations):
        return trace
    i = trace.iterations
    names = [i.texts("name")[code].as_py() for code in i["name"].tolist()]
    return replace(trace, iterations=i.replace({"index": step_indices(names, i["rank"])}))


def with_missing_ranks(draft: Draft) -> Draft:
    """The draft with a warning, which every answer carries, where not all ranks of the world are there."""
    metadata = draft.trace.metadata
    size = metadata.world_size
    held = {source.rank for source in metadata.sources}
    if size is None or len(held) >= size:
        return draft
    warning = f"{len(held)} of {size} ranks are recorded: waiting for the others cannot be told from transfer"
    missing = [rank for rank in range(min(size, len(held) + _NAMED + 1)) if rank not in held]
    if len(held) > 1:
        more = ", …" if size - len(held) > _NAMED else ""
        warning += f" (missing: {', '.join(map(str, missing[:_NAMED]))}{more})"
    return draft.with_report(Report(warnings=(warning,)))
