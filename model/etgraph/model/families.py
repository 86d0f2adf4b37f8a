"""Families of operators and kernels by name: what kind of computation one is, whichever library wrote it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_ELEMENTWISE = (
    "abs|acosh?|add|addcdiv|addcmul|asinh?|atan2?|atanh|bitwise_\\w+|ceil|clamp\\w*|cosh?|digamma|div|divide|elu|eq|"
    "erf|erfc|erfinv|exp|exp2|expm1|floor|floor_divide|fmax|fmin|fmod|frac|ge|gelu|greater\\w*|gt|hardsigmoid|hardswish|"
    "hardtanh|isfinite|isinf|isnan|le|leaky_relu|lerp|less\\w*|lgamma|log|log10|log1p|log2|log_sigmoid|logical_\\w+|"
    "logit|lt|masked_fill|maximum|minimum|mish|mul|multiply|nan_to_num|native_dropout|ne|neg|pow|reciprocal|relu6?|"
    "remainder|round|rsqrt|rsub|sigmoid|sign|silu|sinh?|softplus|sqrt|square|sub|subtract|tanh?|threshold|true_divide|"
    "trunc|where"
)
_RULES: Final = tuple(
    (family, re.compile(pattern, re.IGNORECASE))
    for family, pattern in (
        ("attention", r"attention|\battn_|flash_(?:fwd|bwd)|fmha|\bmha_|paged_attn"),
        ("embedding",
         r"embedding|permute_pooled|_embs|permute_2d|permute_sparse|permute_indices|bounds_check_indices|cumsum_?kernel$|"
         r"fbgemm::|linearize_index|recat|fp8|complete_cumsum|indexselect|index_?elementwise|indexing_backward|"
         r"splitlookupfunction|"
         r"aten::(?:_index_put_impl_|gather|index|index_add|index_copy|index_select|scatter|scatter_add)_?$"),
        ("optimizer", r"multi_tensor_apply|adam|adagrad|_fused_sgd|_foreach_|lambstage|\blamb(?:_\w*)?\b|optimizer"),
        ("convolution",
         r"conv(?!ert)|scudnn|winograd|[dw]grad|_fprop_|im2col|col2im|miopensp3|igemm_(?:fwd|bwd|wrw)|naive_conv"),
        ("normalisation",
         r"(?:batch|layer|group|instance|rms)_?norm|\bbn_(?:fw|bw)|cunn_batch|welford|gammabeta|rowwisemoments|"
         r"computeinternalgradients"),
        ("softmax and loss", r"softmax|nll_loss|cross_entropy|mse_loss|nllcriterion"),
        ("pooling", r"(?:max|avg|average)_?pool"),
        ("matmul",
         r"gemm|gemv|_matmul_|\bcijk_|cutlass|cublas|splitkreduce|nvjet|tensorop|triton_mm|"
         r"aten::(?:_addmm_activation|_scaled_mm|addmm|addmv|baddbmm|bmm|dot|einsum|linear|matmul|mkldnn_linear|mm|mv|vdot)"
         r"_?$"),
        ("copy",
         r"catarray|fillfunctor|direct_?copy|batched_transpose|nchwtonhwc|nhwctonchw|unrolled_elementwise_kernel.*copy|\bdistribution_|"
         r"triu_tril|"
         r"aten::(?:_cat|_copy_from|_local_scalar_dense|bernoulli|cat|clone|concat|copy|exponential|fill|flip|normal|"
         r"random|roll|stack|tril|triu|uniform|zero)_?$"),
        ("reduction",
         r"reduce|triton_(?:red|per)_|radixsort|devicescan|devicemerge|segmentedsort|bitonicsort|topk|"
         r"aten::(?:all|amax|amin|any|argmax|argmin|cumprod|cumsum|linalg_vector_norm|logcumsumexp|logsumexp|max|mean|"
         r"min|nansum|norm|prod|sort|std|sum|topk|var)_?$"),
        ("elementwise",
         r"elementwise|triton_poi_|dropout_kernel|functor<|"
         rf"aten::(?:{_ELEMENTWISE})(?:_backward|_forward)?(?:_data)?_?$"),
    )
)  # fmt: skip
FAMILIES: Final = (*(family for family, _ in _RULES), "other")
"""All families that `family_of` gives, in the order in which they are looked for."""


@lru_cache(maxsize=1 << 14)
def family_of(name: str) -> str:
    """The family of a host operator or of a device kernel by its name; `other` where the name tells none.

    A name can fit several: the first of `FAMILIES` counts, so that `implicit_convolve_sgemm` is a convolution.

    >>> family_of("aten::addmm"), family_of("ampere_sgemm_128x64_nn"), family_of("aten::view")
    ('matmul', 'matmul', 'other')
    """
    for family, pattern in _RULES:
        if pattern.search(name):
            return family
    return "other"
