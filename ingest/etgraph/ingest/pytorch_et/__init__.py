"""PyTorch execution traces (JSON written by its ExecutionTraceObserver), all schema versions, into drafts."""

from etgraph.ingest.pytorch_et.reader import ARRAY, PyTorchReader
from etgraph.ingest.pytorch_et.relate import mark_steps, relate

__all__ = ["ARRAY", "PyTorchReader", "mark_steps", "relate"]
