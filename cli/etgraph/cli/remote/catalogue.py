"""Entries of a server's catalogue, as a store on this machine has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from etgraph.cli.remote.asking import arguments_of, ask_root, ask_trace, found_at, pages
from etgraph.cli.remote.http import Client
from etgraph.cli.remote.reading import read, value_of
from etgraph.cli.remote.selections import MOST_ROWS, selection_of
from etgraph.model import Report, Source
from etgraph.model.result_tables import declared_fields
from etgraph.model.results import camel_case
from etgraph.store import IterationInfo, TraceInfo

_APART: Final = ("operators", "collectives", "report", "sources", "iterations")
"""Fields of an entry that have another form in the API."""
_ITERATIONS: Final = 64
"""Iterations that come with an entry; those of a trace with more are asked for by themselves."""
_ENTRIES: Final = 100
_FILE: Final = "name format rank rankFrom bytes sha256 metadata"
_STEP: Final = selection_of(IterationInfo).whole

ENTRY: Final = (
    f"{selection_of(TraceInfo, _APART).whole} operatorCount collectiveCount "
    f"report {{ {selection_of(Report).whole} files {{ {_FILE} }} }} iterations(first: {_ITERATIONS}) {{ {_STEP} }}"
)
"""What is asked of an entry."""
PART: Final = ("ranks", "operators", "dependencies", "collectives", "span_ns")
"""Fields of a trace that are others for a part of it, beside its iterations."""


def entry_of(client: Client, found: Mapping[str, Any]) -> TraceInfo:
    """The entry that an object of `ENTRY` is."""
    steps = _steps(client, found)
    files = found["report"]["files"]
    return replace(
        read(TraceInfo, found, _APART),
        operators=found["operatorCount"],
        collectives=found["collectiveCount"],
        report=read(Report, found["report"]),
        sources=tuple(read(Source, {**file, "document": file["metadata"] or {}}) for file in files),
        iterations=tuple(read(IterationInfo, step) for step in steps),
    )


def _steps(client: Client, found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All iterations of an entry."""
    steps = list(found["iterations"])
    more = len(steps) == _ITERATIONS
    while more:
        ask = ask_trace(client, found["id"], "iterations", arguments_of({"first": MOST_ROWS, "offset": len(steps)}))
        page = ask(f"{{ {_STEP} }}")
        steps += page
        more = len(page) == MOST_ROWS
    return steps


def entry(client: Client, reference: str, more: str = "") -> Mapping[str, Any]:
    """What the server says of the trace that a reference means: an object of `ENTRY`, or of what else is selected."""
    document = f"query ($reference: String!) {{ trace(reference: $reference) {{ {more or ENTRY} }} }}"
    found: Mapping[str, Any] = found_at(client.graphql(document, {"reference": reference}), "trace")
    return found


def entries(
    client: Client, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
) -> list[TraceInfo]:
    """Entries that satisfy all conditions, newest first."""
    asked = {"workload": workload, "team": team, "labels": [{"key": k, "value": v} for k, v in (labels or {}).items()]}
    variables = {name: value for name, value in asked.items() if value}
    types = {"workload": "String", "team": "String", "labels": "[LabelInput!]"}
    given = arguments_of(variables, types)
    inside = given.text[1:-1] + ", " if given.text else ""

    def ask(place: str, selection: str) -> Mapping[str, Any]:
        return ask_root(client, f"traces({inside}{place})", replace(given, text=""))(selection)

    return [entry_of(client, each) for each in pages(ask, ENTRY, _ENTRIES)]


def part_of(client: Client, trace_id: str, iterations: tuple[int, ...]) -> dict[str, Any]:
    """What is known of some iterations of a trace, by the names of `TraceInfo`."""
    names = " ".join(camel_case(name) for name in PART)
    ask = ask_trace(client, trace_id, "part", arguments_of({"iterations": iterations}))
    found = ask(f"{{ {names} iterations {{ {_STEP} }} }}")
    hints = declared_fields(TraceInfo)
    known = {name: value_of(hints[name], found[camel_case(name)]) for name in PART}
    return known | {"iterations": tuple(read(IterationInfo, step) for step in found["iterations"])}


__all__ = ["ENTRY", "entries", "entry", "entry_of", "part_of"]
