"""The members of process groups, as ASTRA-sim keeps them in a file of their own beside the traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from etgraph.model import Trace, process_group_tables
from etgraph.model.errors import InputError

COMM_GROUPS: Final = "comm_groups.json"
"""Name of the file: an object of group names with lists of ranks."""
Groups = Mapping[str, list[int]]


def read_groups(folder: Path) -> Groups:
    """The groups that a folder's file names; none where it has no such file. Raises InputError for another content."""
    path = folder / COMM_GROUPS
    if not path.is_file():
        return {}
    try:
        groups = msgspec.json.decode(path.read_bytes(), type=dict[str, list[int]])
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(str(path), found=str(error), expected="an object of names with lists of ranks") from None
    for name, ranks in groups.items():
        if not ranks or len(set(ranks)) < len(ranks) or any(not 0 <= rank < 2**31 for rank in ranks):
            expected = "ranks from 0 to 2³¹ - 1, each once"
            raise InputError(str(path), found=f"ranks {ranks[:8]}", expected=expected, place=f"group {name!r}")
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
