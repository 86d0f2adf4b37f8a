"""Kernels that PyTorch's Inductor generates for Triton: their names say what was fused, their buffers what is touched.

A pointwise kernel (`triton_poi_fused_…`) treats each of its points once. Where every buffer has as many elements as the
kernel has points, each is read or written once, and one that is changed in place counts once, because it is one buffer.
How many operations a point takes is not recorded.
"""

from __future__ import annotations

from math import prod

from etgraph.ingest.work.call import Call, Family, Work
from etgraph.model.tensors import Unknown

PREFIX = "triton_poi_fused_"


def pointwise(call: Call) -> Work:
    """Buffers, then the number of points in each direction."""
    buffers, values = call.tensors(), call.arguments
    points = [v for v in values or () if v.__class__ is int]
    if not points or not buffers or any(buffer.numel != prod(points) for buffer in buffers):
        raise Unknown
    return Work(None, buffers)


FAMILY = Family(
    "generated kernels",
    "unknown",
    "the buffers of a pointwise kernel (`triton_poi_fused_…`), where each has an element for each point",
    {},
)
