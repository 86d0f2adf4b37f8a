"""The model: traces as columns, their schema, graphs over them, and the errors that etgraph raises.

Names are imported when they are first asked for, so that `etgraph.model.errors` costs nothing and needs nothing that is
installed: a training process that records itself has PyTorch, and perhaps not what columns are made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etgraph.model.lazy import names_of

if TYPE_CHECKING:
    from etgraph.model.attributes import Attributes, AttributeWriter
    from etgraph.model.columns import Columns
    from etgraph.model.metadata import Metadata, Report, Source
    from etgraph.model.results import Trust, to_json
    from etgraph.model.schema import (
        DEPENDENCIES,
        REVISION,
        TABLES,
        Category,
        CommType,
        DependencyKind,
        LaneKind,
        NodeType,
        Span,
    )
    from etgraph.model.trace import Trace, process_group_tables
else:
    __getattr__ = names_of(
        __name__,
        {
            "attributes": ("AttributeWriter", "Attributes"),
            "columns": ("Columns",),
            "metadata": ("Metadata", "Report", "Source"),
            "results": ("Trust", "to_json"),
            "schema": (
                "DEPENDENCIES",
                "REVISION",
                "TABLES",
                "Category",
                "CommType",
                "DependencyKind",
                "LaneKind",
                "NodeType",
                "Span",
            ),
            "trace": ("Trace", "process_group_tables"),
        },
    )

__all__ = [
    "DEPENDENCIES",
    "REVISION",
    "TABLES",
    "AttributeWriter",
    "Attributes",
    "Category",
    "Columns",
    "CommType",
    "DependencyKind",
    "LaneKind",
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
