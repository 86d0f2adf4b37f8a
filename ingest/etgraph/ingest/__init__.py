"""Ingest: trace files of all supported formats into traces."""

from etgraph.ingest.discovery import trace_files
from etgraph.ingest.kept import KeptRanks
from etgraph.ingest.pipeline import read, read_each
from etgraph.ingest.source import Limits

__all__ = ["KeptRanks", "Limits", "read", "read_each", "trace_files"]
