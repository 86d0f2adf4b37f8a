"""What a type or a field says of itself, out of docstrings."""

from __future__ import annotations

import inspect
import re
from types import MappingProxyType
from typing import Annotated, Any, Final, get_args, get_origin

from etgraph.model.results import camel_case

_UNITS: Final = MappingProxyType({"ns": "in ns", "bytes": "in bytes", "share": "as a share, 0 to 1"})
"""What the last word of a field's name says of its values."""

_USUAL: Final = MappingProxyType(
    {
        "branch": "Branch of the traced program.",
        "columns": "Names of the columns.",
        "commit": "Commit of the traced program.",
        "dependencies": "Number of dependencies by kind; a collective counts as one.",
        "device_model": "Name of the devices.",
        "iterations": "Iterations, by index.",
        "labels": "Labels by key.",
        "makespan_ns": "Predicted time of the whole.",
        "measured_ns": "Measured time of the same.",
        "newest": "When the newest of its traces came.",
        "revision": "Version of the pipeline that made the graph.",
        "simulations": "Simulations, oldest first.",
        "span_ns": "Time from the first start to the last end.",
        "start_time": "Moment at which the run began, as recorded.",
        "tags": "Tags, by name.",
        "team": "Team that published it, or asks.",
        "teams": "Teams that published under it.",
        "warnings": "What is to be known of it, in words.",
        "workload": "Name of the workload.",
        "world_size": "Number of ranks of the run, traced or not.",
        "activity": "computation, communication or memory",
        "category": "computation, communication, memory, cpu, launch or idle",
        "count": "How many there are.",
        "created": "The moment at which it was kept.",
        "detail": "What within the category.",
        "device": "The device; null where it is not recorded.",
        "duration_ns": "Time from start to end.",
        "end_ns": "End, from the trace's zero.",
        "id": "Names it among others of its kind.",
        "iteration": "Index of the iteration; null where it is none, or more than one.",
        "index": "Its number.",
        "key": "What is counted together.",
        "kind": "Of which kind it is.",
        "name": "Its name.",
        "ns": "Time.",
        "rank": "Rank of the process.",
        "ranks": "Ranks, ascending.",
        "share": "Part of the whole, 0 to 1.",
        "start_ns": "Start, from the trace's zero.",
        "trace": "Id of the trace.",
        "trust": "How far the answer can be trusted.",
        "type": "Of which type it is.",
    }
)
"""What fields of these names say wherever nothing else is said."""


def of_type(described: Any) -> str:
    """A class' or function's docstring as a description."""
    return spoken(inspect.getdoc(described) or "")


def of_field(owner: type, name: str, hint: Any = None) -> str:
    """What is declared of a field beside its type, the sentences of its class' docstring that name it, or its name."""
    declared = [each for each in get_args(hint)[1:] if isinstance(each, str)] if get_origin(hint) is Annotated else []
    if declared:
        return sentence(declared[-1])
    told = [each for each in _sentences(inspect.getdoc(owner) or "") if f"`{name}`" in each]
    if told:
        return sentence(" ".join(told).rstrip(";:"))
    return sentence(_USUAL[name]) if name in _USUAL else sentence(words(name))


def words(name: str) -> str:
    """`exposed_memory_ns` → "exposed memory, in ns"."""
    *head, last = name.lower().split("_")
    return f"{' '.join(head)}, {_UNITS[last]}" if head and last in _UNITS else " ".join([*head, last])


def sentence(text: str) -> str:
    """A text with a capital and a full stop."""
    return spoken(text[:1].upper() + text[1:].rstrip(".") + ".")


def spoken(text: str) -> str:
    """A docstring as a client of the API reads it: its lines joined, Python's names and None in GraphQL's."""
    joined = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
    named = re.sub(r"`([a-z]+(?:_[a-z0-9]+)+)`", lambda match: f"`{camel_case(match[1])}`", joined)
    return re.sub(r"\bNone\b", "null", named)


def _sentences(text: str) -> list[str]:
    """The sentences of a docstring."""
    return [
        each for part in text.split("\n\n") for each in re.split(r"(?<=[.;:])\s+(?=[`A-Z])", " ".join(part.split()))
    ]
