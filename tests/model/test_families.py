"""Families by name: kernels of several libraries, and agreement with what is known of operators' work."""

from __future__ import annotations

import pytest

from etgraph.ingest.work.families import _BY_NAME
from etgraph.ingest.work.families import FAMILIES as OF_WORK
from etgraph.model.families import FAMILIES, family_of

SAME_KIND = {
    "lookup": "embedding",
    "embedding bag": "embedding",
    "sparse data of FBGEMM": "embedding",
    "batched embeddings": "embedding",
    "reductions": "reduction",
    "copies": "copy",
    "views": "other",
}
"""Families of work and of names that go by different names."""


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("void flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128>>", "attention"),
        ("attn_fwd", "attention"),
        ("void split_embedding_backward_codegen_rowwise_adagrad_unweighted_kernel_cta_per_row_1<float>", "embedding"),
        ("torch::autograd::CppNode<SplitLookupFunction_rowwise_adagrad_exact_Op>", "embedding"),
        ("void multi_tensor_apply_kernel<TensorListMetadata<4>, AdamFunctor<float>>", "optimizer"),
        ("cudnn_volta_scudnn_128x64_relu_xregs_large_nn_v1", "convolution"),
        ("void implicit_convolve_sgemm<float, float, 1024, 6, 7>", "convolution"),
        ("void cudnn::bn_fw_tr_1C11_kernel_NCHW<float, float, int, 128, true, 1, true>", "normalisation"),
        ("void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float, float>", "normalisation"),
        ("void (anonymous namespace)::softmax_warp_forward<float, float, float, 7, false>", "softmax and loss"),
        ("void at::native::(anonymous namespace)::max_pool_forward_nchw<float, float>", "pooling"),
        ("ampere_sgemm_128x64_nn", "matmul"),
        ("Cijk_Ailk_Bljk_HHS_BH_MT128x128x32", "matmul"),
        ("void cutlass::Kernel<cutlass_80_tensorop_s1688gemm_128x64_32x6_nt_align1>", "matmul"),
        ("void splitKreduce_kernel<float, float, float, float, true, false, false>", "matmul"),
        ("void at::native::(anonymous namespace)::CatArrayBatchedCopy<float, unsigned int, 2, 128, 1>", "copy"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>>", "copy"),
        ("void at::native::reduce_kernel<128, 4, at::native::ReduceOp<float>>", "reduction"),
        ("triton_red_fused_sum_0", "reduction"),
        ("triton_poi_fused_add_0", "elementwise"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::{lambda()#2}>", "elementwise"),
        ("void at::native::elementwise_kernel<128, 2, at::native::BinaryFunctor<float>>", "elementwise"),
        ("aten::view", "other"),
        ("", "other"),
    ],
)
def test_a_name_tells_the_family(name: str, family: str) -> None:
    assert family_of(name) == family
    assert family in FAMILIES


def test_operators_of_known_work_are_of_the_family_that_their_work_says() -> None:
    assert len(_BY_NAME) > 400
    different = {}
    for name, known in _BY_NAME.items():
        of_work = OF_WORK[known.family].name
        expected = SAME_KIND.get(of_work, of_work)
        if expected != "wrappers" and family_of(name) != expected:
            different[name] = (expected, family_of(name))
    assert different == {}


def test_every_family_is_found() -> None:
    found = {family_of(name) for name in _BY_NAME}
    assert found == set(FAMILIES)
