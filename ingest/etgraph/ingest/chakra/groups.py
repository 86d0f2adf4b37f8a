"""The members of process groups, as ASTRA-sim keeps them in a file of their own beside the traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from etgraph.ingest.source import SourceFile
from etgraph.model import Trace, process_group_tables

COMM_GROUPS: Final = "comm_groups.json"
"""Name of the file: an object of group names with lists of ranks."""
Groups = Mapping[str, list[int]]


def groups_in(source: SourceFile) -> Groups:
    """The groups that such a file names. Raises InputError for another content."""
    try:
        groups = msgspec.json.decode(b"".join(source.chunks()), type=dict[str, list[int]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise source.error(str(error), "an object of names with lists of ranks") from None
    for name, ranks in groups.items():
        if not ranks or len(set(ranks)) < len(ranks) or any(not 0 <= rank < 2**31 for rank in ranks):
            raise source.error(f"ranks {ranks[:8]}", "ranks from 0 to 2³¹ - 1, each once", f"group {name!r}")
    return groups


def with_members(trace: Trace, groups: Groups) -> Trace:
    """The trace with the members of those of its groups that have a name there and none so far."""
    if not groups or not len(trace.process_groups):
        return trace
    listed = []
    for row, known in enumerate(trace.group_ranks):
        group, ranks = trace.process_groups.row(row), list(known)
        if not ranks and group["name"] in groups:
            ranks = groups[group["name"]]
            group["size"] = len(ranks)
        listed.append((group["name"], group["description"], group["backend"], group["size"], ranks))
    process_groups, members = process_group_tables(listed)
    return replace(trace, process_groups=process_groups, group_members=members)
