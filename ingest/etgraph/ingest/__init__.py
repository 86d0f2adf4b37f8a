"""Ingest: trace files of all supported formats into traces.

Names are imported when they are first asked for: `etgraph.ingest.record` runs inside training processes, which need
none of the readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etgraph.model.lazy import names_of

if TYPE_CHECKING:
    from etgraph.ingest.pipeline import read, read_each, trace_files
    from etgraph.ingest.source import Limits
else:
    __getattr__ = names_of(__name__, {"pipeline": ("read", "read_each", "trace_files"), "source": ("Limits",)})

__all__ = ["Limits", "read", "read_each", "trace_files"]
