"""Drafts as the rules of inference get them: of Kineto files, and of traces drawn as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.inference import infer
from etgraph.ingest.reading import read_file
from etgraph.ingest.source import SourceFile
from etgraph.model import DependencyKind
from support.build import build


def kineto_draft(path: Path) -> Draft:
    """The draft of one Kineto file before inference."""
    return read_file(SourceFile(path))


def drawn_draft(text: str, **ids: dict[str, int]) -> Draft:
    """The draft of a drawn trace. Launches share correlations; `ids` gives identifiers to operators by their names."""
    trace = build(text)
    d = trace.dependencies
    columns = {name: np.full(len(trace), NULL) for name in ("correlation", *ids)}
    launches = d["kind"] == int(DependencyKind.LAUNCH)
    columns["correlation"][d["src"][launches]] = d["src"][launches] + 1
    columns["correlation"][d["dst"][launches]] = d["src"][launches] + 1
    names = [trace.operators.value("name", row) for row in range(len(trace))]
    for column, values in ids.items():
        for name, value in values.items():
            columns[column][names.index(name)] = value
    return Draft(trace, columns)


def inferred(draft: Draft, kind: DependencyKind) -> list[tuple[str, str, str]]:
    """What the rules add to a draft: (source, target, method) of one kind, by names, as found."""
    before, trace = len(draft.trace.dependencies), infer(draft).trace
    d, names = trace.dependencies, trace.operators
    return [
        (names.value("name", int(d["src"][row])), names.value("name", int(d["dst"][row])), d.value("method", row))
        for row in range(before, len(d))
        if d["kind"][row] == int(kind)
    ]
