"""Timelines: all ranks and lanes on one axis, dependencies as arrows, the critical path as a track of its own."""

from etgraph.ingest.writers.timeline.chrome import write_chrome
from etgraph.ingest.writers.timeline.perfetto import write_perfetto
from etgraph.ingest.writers.timeline.speedscope import write_speedscope

__all__ = ["write_chrome", "write_perfetto", "write_speedscope"]
