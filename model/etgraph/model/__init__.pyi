from .attributes import Attributes, AttributeWriter
from .columns import Columns
from .metadata import Ignored, Metadata, Report, Source
from .results import Trust, to_json
from .schema import (
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
from .trace import Trace, process_group_tables

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
