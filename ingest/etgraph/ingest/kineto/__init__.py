"""Kineto traces (Chrome trace JSON written by the PyTorch profiler), both dialects, into drafts."""

from etgraph.ingest.kineto.reader import ARRAY, KinetoReader

__all__ = ["ARRAY", "KinetoReader"]
