"""The model: traces as columns, their schema, graphs over them, and the errors that etgraph raises."""

from __future__ import annotations

from etgraph.model.attributes import Attributes, AttributeWriter
from etgraph.model.columns import Columns
from etgraph.model.metadata import Ignored, Metadata, Report, Source
from etgraph.model.results import Trust, to_json
from etgraph.model.schema import (
    DEPENDENCIES,
    LINK_CONFIDENCE,
    REVISION,
    TABLES,
    Category,
    CommType,
    DependencyKind,
    LaneKind,
    LinkMethod,
    NodeType,
    Span,
)
from etgraph.model.trace import Trace, process_group_tables

__all__ = [
    "DEPENDENCIES",
    "LINK_CONFIDENCE",
    "REVISION",
    "TABLES",
    "AttributeWriter",
    "Attributes",
    "Category",
    "Columns",
    "CommType",
    "DependencyKind",
    "Ignored",
    "LaneKind",
    "LinkMethod",
    "Metadata",
    "NodeType",
    "Report",
    "Source",
    "Span",
    "Trace",
    "Trust",
    "process_group_tables",
    "to_json",
]
