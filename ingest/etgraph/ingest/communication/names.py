"""Communication by name: which operators are collectives or messages, of which type and size."""

from __future__ import annotations

import re

from etgraph.model import CommType, NodeType

_TYPES = (
    ("reducescatter", CommType.REDUCE_SCATTER),
    ("allreduce", CommType.ALL_REDUCE),
    ("allgather", CommType.ALL_GATHER),
    ("alltoall", CommType.ALL_TO_ALL),
    ("all2all", CommType.ALL_TO_ALL),
    ("broadcast", CommType.BROADCAST),
    ("barrier", CommType.BARRIER),
    ("gather", CommType.GATHER),
    ("scatter", CommType.SCATTER),
    ("reduce", CommType.REDUCE),
)
_KERNEL = re.compile(r"^(?:void )?(?:r?ccl|nccl|msccl)\w*?(?:Dev)?Kernel", re.IGNORECASE)
_ANNOTATION = re.compile(r"^(?:gloo|mpi):")
_CALL = re.compile(r"^(?:c10d::|nccl:|record_param_comms$)")
_ALGORITHM = re.compile(r"_(TREE|RING|COLLNET(?:_DIRECT|_CHAIN)?|NVLS(?:_TREE)?|PAT)_(LL128|LL|SIMPLE)(?=_|\(|$)")

DTYPE_BYTES = {
    "bool": 1, "byte": 1, "char": 1, "uint8": 1, "int8": 1, "unsigned char": 1, "signed char": 1,
    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1,
    "short": 2, "half": 2, "bfloat16": 2, "c10::half": 2, "c10::bfloat16": 2, "float16": 2, "short int": 2,
    "int16": 2, "uint16": 2,
    "int": 4, "float": 4, "float32": 4, "int32": 4, "uint32": 4, "complexhalf": 4,
    "long": 8, "double": 8, "long int": 8, "float64": 8, "int64": 8, "uint64": 8, "c10::complex<float>": 8,
    "complexfloat": 8, "c10::complex<double>": 16, "complexdouble": 16,
}  # fmt: skip
"""Bytes an element by dtype names of PyTorch and its profiler, in lower case."""


def communication_kernel(name: str) -> bool:
    """Whether a device kernel belongs to NCCL or RCCL."""
    return _KERNEL.match(name) is not None


def communication_annotation(name: str) -> bool:
    """Whether an annotation is itself the communication: gloo and MPI run on host threads."""
    return _ANNOTATION.match(name) is not None


def communication_call(name: str) -> bool:
    """Whether a host operator or annotation issues communication that runs elsewhere: on a device or another thread."""
    return _CALL.match(name) is not None


def kernel_algorithm(name: str) -> tuple[str, str] | None:
    """Algorithm and protocol in the name of a kernel of NCCL or RCCL; None where it has none.

    Sends and receives are built as RING and SIMPLE whatever they do, and some builds leave both out.

    >>> kernel_algorithm("ncclDevKernel_AllReduce_Sum_bf16_TREE_LL128(ncclDevKernelArgsStorage<4096ul>)")
    ('TREE', 'LL128')
    """
    if not communication_kernel(name) or "sendrecv" in name.lower():
        return None
    found = _ALGORITHM.search(name)
    return (found[1], found[2]) if found else None


def collective_type(text: str) -> CommType | None:
    """The type of collective that a kernel's, annotation's or argument's text names, None where it names none."""
    plain = text.lower().replace("_", "").replace("-", "")
    for word, kind in _TYPES:
        if word in plain:
            return kind
    return None


def node_type(name: str) -> NodeType:
    """Chakra's type of a communication operator: send, receive, or collective (the rest)."""
    plain = name.lower().replace("_", "")
    if "sendrecv" in plain or collective_type(name) is not None:
        return NodeType.COMM_COLL
    if "recv" in plain:
        return NodeType.COMM_RECV
    return NodeType.COMM_SEND if "send" in plain else NodeType.COMM_COLL


def message_bytes(kind: CommType | None, elements_in: int, elements_out: int, dtype: str) -> int | None:
    """Size of the whole message as nccl-tests defines it: gathered for all-gather, full input otherwise."""
    if kind is None or kind is CommType.BARRIER:
        return None
    return elements_bytes(elements_out if kind in (CommType.ALL_GATHER, CommType.GATHER) else elements_in, dtype)


def elements_bytes(elements: int, dtype: str) -> int | None:
    """Size of that many elements, None where their number (below 0) or their dtype is not known."""
    width = DTYPE_BYTES.get(dtype.lower())
    return None if width is None or elements < 0 else elements * width
