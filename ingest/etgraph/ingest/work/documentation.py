"""The reference of operators with known work as Markdown, from the formulas themselves.

`python -m etgraph.ingest.work.documentation > docs/work.md` writes the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from etgraph.ingest.work.elementwise import RULES
from etgraph.ingest.work.families import FAMILIES
from etgraph.ingest.work.fbgemm import LOOKUP, UPDATE
from etgraph.ingest.work.generated import PREFIX

_INTRODUCTION = """\
# Work of operators

Traces that record the dims of inputs (`record_shapes=True` in PyTorch's profiler, every PyTorch execution trace) say
enough to compute how many floating-point operations an operator takes and how many bytes it reads and writes. Reading a
trace fills the columns `flops` and `bytes` of host operators with that (`etgraph.ingest.work.estimate`). The families
below are written by `python -m etgraph.ingest.work.documentation > docs/work.md` from the formulas; each formula, with
its source, is in the docstring of its module in `ingest/etgraph/ingest/work/`.

## What the numbers mean
- `flops` counts additions, multiplications, divisions, comparisons and elementary functions on floating-point numbers,
  one each; a multiplication with the addition of its product is two. Integers take none.
- `bytes` is what has to move at least: every element of an input that is read once, every element of a result that is
  written once, whatever a kernel reads again. An operand counts at its recorded dims, expanded or not.
- Products, convolutions and attention are counted as `torch.utils.flop_counter` does, and a test compares them with a
  table that it made. In two places the counter is not followed: it takes the gradient of the weight of a grouped
  convolution for `groups` times its products, and it reads the dims of `_efficient_attention_forward` and
  `…_backward` in another order than these operators have them.
- Null is unknown: semantics that nobody declared, dims or types or values that were not recorded, a number beyond
  int64. Flops can be known where bytes are not, and the other way round.

## Whose work it is
An operator has the work that it does itself, so that a sum over any operators counts nothing twice. The innermost
operator whose semantics are known has it, since it is the one that runs: `aten::linear` calls `aten::addmm`, which has
the product, and `aten::linear` has 0. Where a trace records no operator inside, the outer one has it. An operator
leaves its work only to those of its own kind, which its family names below; an `aten::addmm` that copies its bias first
keeps its product, and the copy has its own bytes. Autograd nodes such as `MmBackward0` only call operators and have 0.

Device operators have none: one launch can serve several kernels, and several operators one kernel. The host operator
that launched them has it. `etgraph.ingest.work.coverage` gives the share of the computation time under operators with
recorded dims that operators with known work account for: more than 90 % on each trace that we have, which
`python -m benchmarks work` prints.

## What one operator lacks and another records
- Values of inputs that are no tensors (stride, reduced dims) come from `Concrete Inputs` of Kineto or the `values` of
  execution traces. They are read only for operators that need them.
- Kineto before 2022 has none. The output of a convolution is then that of the convolutions backward with the same input
  and weight, where all of the trace agree; a batch norm learned where the trace has its backward operator; the halves
  of a cuDNN convolution backward take the dims they lack from the operator around them.
- Lists of tensors are left out by some versions: the result of `cat`, `stack` and `index` then has the size of its
  gradient, in the autograd node of the same name and sequence number.
- A batched lookup of FBGEMM records tables and lookups, its backward node batch and width; the two are paired in the
  order in which autograd runs back. Tables of different widths are taken at their mean width.

## Example
ResNet-50 of the Kineto samples, six steps of 32 images. Its `aten::cudnn_convolution` of 32 × 3 × 224 × 224 images with
64 filters of 3 × 7 × 7 has no stride recorded; the backward convolution says 112 × 112. So it takes
2 · 32 · 112 · 112 · (64 · 3 · 7 · 7) = 7.55 GFLOP and moves 4 · (4 816 896 + 9 408 + 25 690 112) B = 122 MB. All
convolutions of one image forward are 4.09 G multiplications with their additions, as for the published model.

## Families
"""


def work_page() -> str:
    """All of `docs/work.md`."""
    return f"{_INTRODUCTION}\n{families_markdown()}"


def families_markdown() -> str:
    """The families: what is counted, for which operators, and whom an operator leaves its work to."""
    sections = []
    for family in FAMILIES:
        yields = ", ".join(sorted(family.yields_to)) or "nobody"
        sections.append(
            f"### {family.name}\n\nFlops: {family.flops}. Bytes: {family.bytes}. Leaves its work to: {yields}.\n\n"
            + _names(_patterns(family.name) + list(family.formulas))
        )
    rows = sorted(((rule.flops, name) for name, rule in RULES.items() if rule.flops != 1), reverse=True)
    by_flops: dict[int, list[str]] = {}
    for flops, name in rows:
        by_flops.setdefault(flops, []).append(name)
    table = _table(("flops an element", "elementwise operators; all others 1"),
                   ((str(n), ", ".join(sorted(names))) for n, names in by_flops.items()))  # fmt: skip
    return "\n\n".join([*sections, "### Elementwise, in numbers", table]) + "\n"


def _patterns(family: str) -> list[str]:
    """Names that stand for many, as the pattern that they match."""
    if family == "batched embeddings":
        return [LOOKUP.pattern, UPDATE.pattern]
    if family == "generated kernels":
        return [f"{PREFIX}…"]
    return [r"NameBackward0", "autograd::engine::evaluate_function: …"] if family == "wrappers" else []


def _names(names: Iterable[str]) -> str:
    """Names as a list without their common namespace; those that end in `_` beside the one that does not."""
    shown: list[str] = []
    known = set(names := [name.removeprefix("aten::") for name in names])
    for name in names:
        if not (name.endswith("_") and name[:-1] in known):
            shown.append(f"`{name}`" + (" (and `_`)" if f"{name}_" in known else ""))
    return ", ".join(shown)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    print(work_page(), end="")
