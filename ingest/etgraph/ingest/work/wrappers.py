"""Operators without work of their own: views of a tensor, and those that only call others.

A view, an empty tensor or a query moves no data. A wrapper (`aten::to`, an autograd node such as `MmBackward0`) leaves
everything to the operators inside it: its own work is 0 where it has any, and unknown where none was recorded.
"""

from __future__ import annotations

import re

from etgraph.ingest.work.call import Call, Family, Work

VIEWS = (
    "view", "view_as", "reshape_alias", "_reshape_alias", "_unsafe_view", "as_strided", "t", "numpy_T", "transpose",
    "transpose_", "permute", "slice", "select", "narrow", "expand", "expand_as", "unsqueeze", "unsqueeze_", "squeeze",
    "squeeze_", "unbind", "unflatten", "split", "split_with_sizes", "chunk", "diagonal", "alias", "detach", "detach_",
    "conj", "resolve_conj", "resolve_neg", "lift_fresh", "movedim", "swapaxes", "unfold", "_conj", "real", "imag",
    "view_as_real", "view_as_complex", "tensor_split",
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_", "set_", "result_type",
    "is_same_size", "is_pinned", "record_stream", "to", "contiguous", "reshape", "flatten", "type_as", "requires_grad_",
)  # fmt: skip
WRAPPERS = (
    "_to_copy", "zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones", "full", "full_like", "new_full",
    "scalar_tensor", "repeat", "cross_entropy_loss", "nll_loss_nd", "dropout", "_embedding_bag_backward",
    "binary_cross_entropy_with_logits", "gather_backward", "index_backward", "slice_backward", "select_backward",
    "linalg_norm", "tensordot", "index_put", "index_put_", "group_norm", "rms_norm", "instance_norm", "rand", "randn",
    "randint", "hstack", "vstack", "dstack", "diff", "pin_memory", "_pin_memory", "item", "is_nonzero", "argsort",
    "flatten_dense_tensors", "unflatten_dense_tensors", "value_selecting_reduction_backward",
)  # fmt: skip
_NODE = re.compile(r"^(?:autograd::engine::evaluate_function: .*|\w+Backward\d+|torch::autograd::AccumulateGrad"
                   r"|torch::autograd::CopySlices|<(?:forward|backward) op>)$")  # fmt: skip


def nothing(call: Call) -> Work:
    """No work at all."""
    return Work(0, ())


VIEW_FAMILY = Family(
    "views",
    "0",
    "0: no data moves",
    {f"aten::{name}": nothing for name in VIEWS} | {"detach": nothing, "detach_": nothing},
)
WRAPPER_FAMILY = Family(
    "wrappers",
    "0: the operators inside have it; null where none is recorded",
    "0, likewise",
    {f"aten::{name}": nothing for name in WRAPPERS},
)


def is_node(name: str) -> bool:
    """Whether a name is that of an autograd node that PyTorch generates: it only calls operators."""
    return _NODE.match(name) is not None
