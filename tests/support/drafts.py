"""Drafts as the rules of inference get them: of Kineto files, and of traces drawn as text."""

from __future__ import annotations

from collections.abc import Mapping
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


def drawn_draft(text: str, waves: Mapping[str, float] | None = None, **ids: dict[str, int]) -> Draft:
    """The draft of a drawn trace. Launches share correlations; `waves` and `ids` are by names of operators."""
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
    draft = Draft(trace, columns)
    return draft.with_operators({"waves": [waves.get(name, np.nan) for name in names]}) if waves else draft


def inferred(draft: Draft, kind: DependencyKind) -> list[tuple[str, str, str]]:
    """What the rules add to a draft: (source, target, method) of one kind, by names, as found."""
    before, trace = len(draft.trace.dependencies), infer(draft).trace
    d, names = trace.dependencies, trace.operators
    return [
        (names.value("name", int(d["src"][row])), names.value("name", int(d["dst"][row])), d.value("method", row))
        for row in range(before, len(d))
        if d["kind"][row] == int(kind)
    ]
