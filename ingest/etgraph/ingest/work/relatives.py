"""What one operator does not record and another of the same trace does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from etgraph.ingest.work.call import Dims
from etgraph.ingest.work.convolution import TRIPLES
from etgraph.ingest.work.fbgemm import batched, stem
from etgraph.model.tensors import Input, Tensor

_NORMALISED = {"aten::cudnn_batch_norm_backward": 0, "aten::miopen_batch_norm_backward": 0,
               "aten::native_batch_norm_backward": 1}  # fmt: skip
RELATED = frozenset({*TRIPLES, *_NORMALISED})
"""Names of the operators that others are completed from."""


class BackwardDims:
    """What the backward operators of a trace say of the forward ones, by their dims.

    A convolution backward records input, weight and the gradient of the output. Where all of one trace with the same
    input and weight agree on the output, it is that of the forward convolutions with these dims too. A batch norm
    backward says that batches of these dims were normalised by their own statistics.
    """

    def __init__(self) -> None:
        self._output: dict[tuple[Dims, Dims], Dims | None] = {}
        self._learned: set[Dims] = set()

    def add(self, name: str, inputs: Sequence[Input]) -> None:
        """Take in one operator of `RELATED`."""
        places = TRIPLES.get(name) or (_NORMALISED[name],)
        dims = [t.dims for at in places if at < len(inputs) and isinstance(t := inputs[at], Tensor)]
        if len(dims) == 3:
            x, weight, output = dims
            if self._output.setdefault((x, weight), output) != output:
                self._output[x, weight] = None
        elif name in _NORMALISED:
            self._learned.update(dims)

    def output(self, x: Dims, weight: Dims) -> Dims | None:
        """Dims of a convolution's output by those of its input and weight; None where the trace does not have them."""
        return self._output.get((x, weight))

    def learned(self, x: Dims) -> bool:
        """Whether a batch norm of these dims was trained."""
        return x in self._learned


def pair_lookups(calls: Iterable[tuple[int, str]]) -> dict[int, int]:
    """Batched lookups with their backward nodes, both ways; calls are numbers and names, in order of start.

    Autograd runs backwards: a node belongs to the last lookup of its optimizer that has none yet. Lookups that never
    get one (evaluation, the end of the recording) stay single.
    """
    waiting: dict[str, list[int]] = {}
    partner: dict[int, int] = {}
    for call, name in calls:
        half = batched(name)
        if half:
            waiting.setdefault(stem(name), []).append(call)
        elif half is False and waiting.get(stem(name)):
            other = waiting[stem(name)].pop()
            partner[call], partner[other] = other, call
    return partner
