"""Communication: what operators say of collectives and messages, and which of them meet over all ranks.

`names` and `groups` read one file's words, `kernels` hands what a host call says to the kernel that it launched.
`matching.match` works on all ranks together: `members` and `communicators` prepare, `gather`, `candidates` and
`messages` find who meets whom, `clocks` compares the ranks' clocks.
"""

from etgraph.ingest.communication.names import (
    DTYPE_BYTES,
    collective_type,
    communication_annotation,
    communication_call,
    communication_kernel,
    elements_bytes,
    kernel_algorithm,
    message_bytes,
    node_type,
)

__all__ = [
    "DTYPE_BYTES",
    "collective_type",
    "communication_annotation",
    "communication_call",
    "communication_kernel",
    "elements_bytes",
    "kernel_algorithm",
    "message_bytes",
    "node_type",
]
