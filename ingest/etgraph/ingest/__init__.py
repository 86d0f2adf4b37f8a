"""Ingest: trace files of all supported formats into traces."""

from etgraph.ingest.pipeline import read, read_each, trace_files
from etgraph.ingest.source import Limits

__all__ = ["Limits", "read", "read_each", "trace_files"]
